/// Why bytes of a ring are no packet; the channel that holds them is corrupt.
public enum PacketError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Fewer bytes than a descriptor and a trailer.
  case tooShort(available: Int)
  /// The length word says less than a descriptor, or more than is there.
  case length(byteCount: Int, available: Int)
  /// The payload would start inside the descriptor or past the packet.
  case payloadOffset(byteOffset: Int, byteCount: Int)
  /// A flag other than "completion requested".
  case flags(PacketFlags)
  /// A type that this side does not accept.
  case type(PacketType)
  /// No page range in a GPA-direct packet.
  case noRanges
  /// The ranges do not fit before the payload.
  case ranges(count: UInt32, byteCount: Int)
  /// A page range of no bytes.
  case emptyRange(index: Int)
  /// A page range that starts past its first page.
  case byteOffset(index: Int, UInt32)
  /// The payload is shorter than its header, or than the length that its header says.
  case payload(needs: Int, has: Int)
  /// A pipe header of a type that no peer sends.
  case pipeType(PipePacketType)

  /// What is wrong, with the numbers.
  public var description: String {
    switch self {
    case .tooShort(let available): "\(available) bytes in the ring are no packet"
    case .length(let byteCount, let available): "a packet of \(byteCount) bytes where \(available) are in the ring"
    case .payloadOffset(let offset, let byteCount): "a payload at \(offset) of a packet of \(byteCount) bytes"
    case .flags(let flags): "packet flags 0x\(String(flags.rawValue, radix: 16))"
    case .type(let type): "unexpected packet: \(type)"
    case .noRanges: "a packet without page ranges"
    case .ranges(let count, let byteCount): "\(count) page ranges do not fit into \(byteCount) bytes"
    case .emptyRange(let index): "page range \(index) is empty"
    case .byteOffset(let index, let offset): "page range \(index) starts at byte \(offset) of its first page"
    case .payload(let needs, let has): "a payload of \(has) bytes; it needs \(needs)"
    case .pipeType(let type): "pipe packet type \(type.rawValue)"
    }
  }
}
