import SharedMemory
import StorvscProtocol
import VMBusChannel
import VMBusProtocol

/// The guest's memory that a request names, as the packet describes it.
struct GuestBuffer: ~Escapable {
  /// The bytes that the command may move: the transfer length of the request.
  let byteCount: Int
  /// Whether packet and request agree, and are within the limits.
  let isSound: Bool

  private let packet: RawSpan
  private let descriptor: PacketDescriptor

  /// Checks the ranges of a GPA-direct packet against the request. An in-band packet has no memory.
  ///
  /// - Parameter limit: the most bytes of a transfer.
  @_lifetime(copy packet)
  init(_ descriptor: PacketDescriptor, _ packet: RawSpan, _ request: SCSIRequest, limit: Int) {
    self.packet = packet
    self.descriptor = descriptor
    byteCount = Int(request.dataTransferByteCount)
    guard descriptor.type == .gpaDirect else {
      isSound = byteCount == 0
      return
    }
    guard let ranges = try? GPADirectRanges(parsing: packet, descriptor: descriptor), ranges.count == 1 else {
      isSound = false
      return
    }
    isSound = byteCount <= limit && UInt64(byteCount) <= ranges.totalByteCount
  }

  /// Names the first `count` bytes, at most `byteCount`, in `table`; false when they are not all memory of the guest,
  /// or do not fit.
  mutating func resolve(byteCount count: Int, in memory: GuestMemory, into table: inout ScatterTable) -> Bool {
    table.removeAll()
    if count == 0 { return true }
    guard var ranges = try? GPADirectRanges(parsing: packet, descriptor: descriptor), let range = ranges.next() else {
      return false
    }
    var left = count
    var index = 0
    var offset = UInt64(range.byteOffset)
    while left > 0 {
      let first = ranges.page(at: index, of: range)
      // An address of 52 bits at most, as the memory has it, so that no sum below overflows.
      guard first < 1 << 40 else { return false }
      var pages = 1
      while index + pages < range.pageCount, ranges.page(at: index + pages, of: range) == first &+ UInt64(pages),
        pages * pageByteCount - Int(offset) < left
      {
        pages += 1
      }
      let length = min(left, pages * pageByteCount - Int(offset))
      let address = first << 12 + offset
      if let slice = memory.slice(at: address, byteCount: length) {
        guard table.append(slice) else { return false }
        index += pages
        left -= length
      } else {
        // Neighbouring pages may lie in two mappings.
        let part = min(left, pageByteCount - Int(offset))
        guard pages > 1, let slice = memory.slice(at: address, byteCount: part), table.append(slice) else {
          return false
        }
        index += 1
        left -= part
      }
      offset = 0
    }
    return true
  }
}
