import Ethernet
import WireBytes

/// A number that all frames of a flow share, in both directions.
enum FlowHash {
  /// The hash of the frame that starts with these bytes, 14 at least: of addresses and ports of TCP and UDP, of
  /// the addresses of other IP and of fragments, of the Ethernet addresses of anything else.
  static func of(_ headers: RawSpan) -> UInt32 {
    guard let ip = FrameHeaders(parsing: headers) else {
      let destination = UInt64(headers.be16(at: 0)) << 32 | UInt64(headers.be32(at: 2))
      let source = UInt64(headers.be16(at: 6)) << 32 | UInt64(headers.be32(at: 8))
      return mix(destination ^ source)
    }
    var word: UInt64
    if ip.isIPv6 {
      word = headers.be64(at: 22) ^ headers.be64(at: 38)
      // The halves are turned apart, or two hosts of one network would differ in nothing.
      word = (word << 7 | word >> 57) ^ headers.be64(at: 30) ^ headers.be64(at: 46)
    } else {
      word = UInt64(headers.be32(at: 26) ^ headers.be32(at: 30))
    }
    if ip.checksumOffset != nil, !ip.isFragment, ip.layer4Offset + 4 <= headers.byteCount {
      let ports = headers.be16(at: ip.layer4Offset) ^ headers.be16(at: ip.layer4Offset + 2)
      word ^= UInt64(ports) << 40 | UInt64(ip.protocolNumber) << 56
    }
    return mix(word)
  }

  /// Spreads the bits of `word` (the finalizer of a multiplicative hash).
  static func mix(_ word: UInt64) -> UInt32 {
    let product = (word ^ word >> 32) &* 0x9e37_79b9_7f4a_7c15
    return UInt32(truncatingIfNeeded: product >> 32)
  }
}
