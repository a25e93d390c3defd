/// Why bytes of a peer are no message of a network channel.
public enum NetvscError: Error, Equatable, BitwiseCopyable, Sendable {
  /// The bytes end before the layout does; the numbers are bytes from the start of the message.
  case tooShort(byteCount: Int, needed: Int)
  /// The message is not of the type that was expected; the numbers are message types.
  case unexpectedType(UInt32, expected: UInt32)
  /// The length word of an RNDIS message is below its minimum, or more than is there.
  case length(UInt32, available: Int)
  /// A part of a message lies before `minimum` or past the end of the message, in bytes.
  case part(offset: UInt32, byteCount: UInt32, minimum: Int, available: Int)
  /// A count or size that the protocol does not allow.
  case count(UInt32)
  /// A per-packet information element that does not fit its list: offset in the list, and its size word.
  case packetInformation(offset: Int, byteCount: UInt32)
  /// An NDIS object of another type, of revision 0, or with a size that does not fit.
  case object(type: UInt8, revision: UInt8, byteCount: UInt16)
  /// A frame that is not what its offload request says.
  case frame(FrameFault)

  /// What does not fit between a frame and the offload that is asked for it.
  public enum FrameFault: UInt8, BitwiseCopyable, Sendable {
    /// Neither IPv4 nor IPv6, or its headers are cut off.
    case notIP
    /// The layer-4 offset lies inside the IP header or past the end of the frame.
    case layer4Offset
    /// Segmentation of what is not TCP, or a TCP header that does not fit.
    case notTCP
    /// The segment size is zero or too large.
    case segmentSize
  }
}

extension NetvscError: CustomStringConvertible {
  /// What is wrong and where.
  public var description: String {
    switch self {
    case .tooShort(let byteCount, let needed): "message of \(byteCount) bytes, needs \(needed)"
    case .unexpectedType(let type, let expected):
      "message type 0x\(type.hexadecimal(digits: 1)) instead of 0x\(expected.hexadecimal(digits: 1))"
    case .length(let length, let available): "length word says \(length) bytes where \(available) are"
    case .part(let offset, let byteCount, let minimum, let available):
      "part of \(byteCount) bytes at \(offset) does not lie between \(minimum) and \(available)"
    case .count(let count): "count \(count) is not allowed"
    case .packetInformation(let offset, let byteCount):
      "per-packet information of \(byteCount) bytes at \(offset) of its list"
    case .object(let type, let revision, let byteCount):
      "NDIS object type 0x\(type.hexadecimal(digits: 2)) revision \(revision) of \(byteCount) bytes"
    case .frame(.notIP): "offload of a frame without whole IP headers"
    case .frame(.layer4Offset): "layer-4 offset outside the payload of the IP packet"
    case .frame(.notTCP): "segmentation of a frame without a whole TCP header"
    case .frame(.segmentSize): "segment size zero or too large"
    }
  }
}

extension RawSpan {
  /// Checks that there are `needed` bytes from the start.
  @inlinable
  func require(_ needed: Int) throws(NetvscError) {
    guard needed <= byteCount else { throw .tooShort(byteCount: byteCount, needed: needed) }
  }

  /// Checks that `count` bytes at `offset` start at or after `minimum` and end inside the first `limit` bytes.
  @inlinable
  func requirePart(offset: UInt32, count: UInt32, minimum: Int, limit: Int) throws(NetvscError) {
    guard Int(offset) >= minimum, Int(offset) <= limit, Int(count) <= limit - Int(offset) else {
      throw .part(offset: offset, byteCount: count, minimum: minimum, available: limit)
    }
  }
}
