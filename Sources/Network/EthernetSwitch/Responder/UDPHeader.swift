import Ethernet
import WireBytes

/// The header of a UDP datagram (RFC 768).
struct UDPHeader: Hashable {
  var sourcePort: UInt16
  var destinationPort: UInt16
  /// Header and payload, in bytes.
  var totalByteCount: Int
  /// 0: none.
  var checksum: UInt16

  static let byteCount = 8

  init(sourcePort: UInt16, destinationPort: UInt16, payloadByteCount: Int) {
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    totalByteCount = UDPHeader.byteCount + payloadByteCount
    checksum = 0
  }

  /// Nil for a datagram that is not whole.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= UDPHeader.byteCount else { return nil }
    sourcePort = bytes.be16(at: 0)
    destinationPort = bytes.be16(at: 2)
    totalByteCount = Int(bytes.be16(at: 4))
    checksum = bytes.be16(at: 6)
    guard totalByteCount >= UDPHeader.byteCount, totalByteCount <= bytes.byteCount else { return nil }
  }

  /// The datagram of this header and `payload`, with its checksum.
  func datagram(_ payload: RawSpan, _ exchange: IPExchange) -> [UInt8] {
    [UInt8](zeroed: totalByteCount) { bytes in
      bytes.storeBE(sourcePort, at: 0)
      bytes.storeBE(destinationPort, at: 2)
      bytes.storeBE(UInt16(totalByteCount), at: 4)
      bytes.store(payload, at: UDPHeader.byteCount)
      let seed = exchange.pseudoHeaderSum(protocolNumber: IPProtocol.udp, byteCount: totalByteCount)
      let sum = ~InternetChecksum.sum(bytes.bytes, 0..<totalByteCount, seed: seed)
      bytes.storeBE(sum == 0 ? 0xffff : sum, at: 6)
    }
  }
}
