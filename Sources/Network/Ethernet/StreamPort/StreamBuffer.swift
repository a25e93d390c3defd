import LinuxIO
import SharedMemory

/// Bytes of a stream that wait: filled at the end, used up from the start.
struct StreamBuffer: ~Copyable {
  private(set) var memory: PrivateMemory
  private(set) var start = 0
  private(set) var end = 0
  let capacity: Int

  init(capacity: Int) throws(Errno) {
    self.capacity = capacity
    memory = try PrivateMemory(byteCount: capacity)
  }

  var byteCount: Int { end - start }

  /// The waiting bytes.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    get { memory.bytes.extracting(start..<end) }
  }

  /// The `count` waiting bytes from `offset` on, to be lent.
  func slice(at offset: Int, count: Int) -> MemorySlice {
    precondition(offset >= 0 && count >= 0 && offset + count <= byteCount)
    return memory.slice.slice(at: start + offset, count: count)
  }

  mutating func removeAll() {
    start = 0
    end = 0
  }

  mutating func removeFirst(_ count: Int) {
    precondition(count >= 0 && count <= byteCount)
    start += count
    if start == end { removeAll() }
  }

  /// Makes room for `count` bytes at the end; false when there is not so much.
  mutating func makeRoom(for count: Int) -> Bool {
    if count <= capacity - end { return true }
    guard count <= capacity - byteCount else { return false }
    let waiting = byteCount
    memory.slice.copyIn(memory.slice.slice(at: start, count: waiting))
    start = 0
    end = waiting
    return true
  }

  /// Appends what `fill` puts into the free bytes at the end, of which it answers how many it has used.
  mutating func append<R>(_ fill: (inout MutableRawSpan) -> (count: Int, result: R)) -> R {
    let (from, to) = (end, capacity)
    var bytes = memory.mutableBytes
    var free = bytes._mutatingExtracting(from..<to)
    let (count, result) = fill(&free)
    precondition(count >= 0 && count <= capacity - end)
    end += count
    return result
  }
}
