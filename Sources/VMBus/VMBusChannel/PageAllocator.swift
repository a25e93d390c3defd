import LinuxIO
public import SharedMemory

/// Hands out page-granular pieces of the guest's memory. First fit over a sorted list of free runs.
public struct PageAllocator: Sendable {
  private let slice: MemorySlice
  private var free: [Range<Int>]
  /// Pages from here on were never handed out, so that they are zeros still, and take no memory.
  private var untouched = 0

  /// All of `slice` is free, and zero.
  public init(_ slice: MemorySlice) {
    self.slice = slice
    free = [0..<(slice.byteCount / pageByteCount)]
  }

  /// Zeroed memory of at least `byteCount` bytes in whole pages; nil when there is no such run.
  public mutating func allocate(byteCount: Int) -> MemorySlice? {
    guard byteCount > 0, byteCount <= slice.byteCount else { return nil }
    let count = (byteCount + pageByteCount - 1) / pageByteCount
    guard let index = free.firstIndex(where: { $0.count >= count }) else { return nil }
    let first = free[index].lowerBound
    let rest = (first + count)..<free[index].upperBound
    if rest.isEmpty { free.remove(at: index) } else { free[index] = rest }
    if first < untouched {
      let used = min(count, untouched - first)
      slice.slice(at: first * pageByteCount, count: used * pageByteCount).fill(0)
    }
    untouched = max(untouched, first + count)
    return slice.slice(at: first * pageByteCount, count: count * pageByteCount)
  }

  /// Takes memory of `allocate` back; traps when it is none, or free already.
  public mutating func release(_ piece: MemorySlice) {
    precondition(piece.address >= slice.address && piece.byteCount % pageByteCount == 0)
    let first = Int(piece.address - slice.address) / pageByteCount
    let run = first..<(first + piece.byteCount / pageByteCount)
    let index = free.firstIndex { $0.lowerBound >= run.lowerBound } ?? free.count
    precondition(index == free.count || free[index].lowerBound >= run.upperBound)
    precondition(index == 0 || free[index - 1].upperBound <= run.lowerBound)
    free.insert(run, at: index)
    if index + 1 < free.count, free[index + 1].lowerBound == run.upperBound {
      free[index] = run.lowerBound..<free[index + 1].upperBound
      free.remove(at: index + 1)
    }
    if index > 0, free[index - 1].upperBound == run.lowerBound {
      free[index - 1] = free[index - 1].lowerBound..<free[index].upperBound
      free.remove(at: index)
    }
  }

  /// How many pages are free.
  public var freePageCount: Int { free.reduce(0) { $0 + $1.count } }
}
