import Ethernet
import WireBytes

/// The header of a TCP segment (RFC 9293), without options.
struct TCPHeader: Hashable {
  var sourcePort: UInt16
  var destinationPort: UInt16
  var sequence: UInt32
  var acknowledgment: UInt32
  /// With options, in bytes.
  var headerByteCount: Int
  var flags: UInt8

  static let byteCount = 20
  static let fin: UInt8 = 1
  static let syn: UInt8 = 2
  static let reset: UInt8 = 4
  static let ack: UInt8 = 16

  /// Nil for a header that is not whole.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= TCPHeader.byteCount else { return nil }
    sourcePort = bytes.be16(at: 0)
    destinationPort = bytes.be16(at: 2)
    sequence = bytes.be32(at: 4)
    acknowledgment = bytes.be32(at: 8)
    headerByteCount = Int(bytes.byte(at: 12) >> 4) * 4
    flags = bytes.byte(at: 13)
    guard headerByteCount >= TCPHeader.byteCount, headerByteCount <= bytes.byteCount else { return nil }
  }

  /// The reset that answers this segment of `byteCount` bytes where nobody listens (RFC 9293 3.10.7.1); nil for a reset.
  func refusal(byteCount: Int) -> TCPHeader? {
    guard flags & TCPHeader.reset == 0 else { return nil }
    var reply = self
    reply.sourcePort = destinationPort
    reply.destinationPort = sourcePort
    reply.headerByteCount = TCPHeader.byteCount
    if flags & TCPHeader.ack != 0 {
      reply.sequence = acknowledgment
      reply.acknowledgment = 0
      reply.flags = TCPHeader.reset
    } else {
      var length = UInt32(byteCount - headerByteCount)
      if flags & TCPHeader.syn != 0 { length += 1 }
      if flags & TCPHeader.fin != 0 { length += 1 }
      reply.sequence = 0
      reply.acknowledgment = sequence &+ length
      reply.flags = TCPHeader.reset | TCPHeader.ack
    }
    return reply
  }

  /// The segment of this header alone, with its checksum.
  func segment(_ exchange: IPExchange) -> [UInt8] {
    [UInt8](zeroed: TCPHeader.byteCount) { bytes in
      bytes.storeBE(sourcePort, at: 0)
      bytes.storeBE(destinationPort, at: 2)
      bytes.storeBE(sequence, at: 4)
      bytes.storeBE(acknowledgment, at: 8)
      bytes.storeBE(UInt8(TCPHeader.byteCount / 4) << 4, at: 12)
      bytes.storeBE(flags, at: 13)
      let seed = exchange.pseudoHeaderSum(protocolNumber: IPProtocol.tcp, byteCount: TCPHeader.byteCount)
      bytes.storeBE(~InternetChecksum.sum(bytes.bytes, 0..<TCPHeader.byteCount, seed: seed), at: 16)
    }
  }
}
