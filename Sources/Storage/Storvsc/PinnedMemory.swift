import SharedMemory
import VMBusChannel

/// Guest addresses of memory, looked up without references: a flat copy of the ranges of a `GuestMemory`.
struct PinnedMemory {
  private struct Range: BitwiseCopyable {
    var start: UInt
    var end: UInt
    var guestAddress: UInt64
  }

  private let ranges: [Range]

  init(_ memory: GuestMemory) {
    ranges = memory.ranges.map {
      let slice = $0.region.slice
      return Range(start: slice.address, end: slice.address + UInt(slice.byteCount), guestAddress: $0.guestAddress)
    }
  }

  /// The guest physical address of the `count` bytes at `address`, if they lie in one range.
  func guestAddress(of address: UInt, count: Int) -> UInt64? {
    for range in ranges where address >= range.start && address < range.end {
      guard UInt(count) <= range.end - address else { return nil }
      return range.guestAddress + UInt64(address - range.start)
    }
    return nil
  }
}

extension ScatterList {
  /// The index of the piece that holds byte `offset` of the list, and the position in it.
  func locate(_ offset: Int) -> (piece: Int, position: Int) {
    var skip = offset
    var index = 0
    while index + 1 < count, skip >= self[index].byteCount {
      skip -= self[index].byteCount
      index += 1
    }
    return (index, skip)
  }

  /// Copies as many bytes as `target` holds out of the list.
  func copy(from offset: Int, to target: MemorySlice) {
    var (index, position) = locate(offset)
    var done = 0
    while done < target.byteCount {
      let piece = self[index]
      let part = min(piece.byteCount - position, target.byteCount - done)
      target.copyIn(piece.slice(at: position, count: part), at: done)
      done += part
      position = 0
      index += 1
    }
  }

  /// Copies all bytes of `source` into the list.
  func copy(from source: MemorySlice, to offset: Int) {
    var (index, position) = locate(offset)
    var done = 0
    while done < source.byteCount {
      let piece = self[index]
      let part = min(piece.byteCount - position, source.byteCount - done)
      piece.copyIn(source.slice(at: done, count: part), at: position)
      done += part
      position = 0
      index += 1
    }
  }
}
