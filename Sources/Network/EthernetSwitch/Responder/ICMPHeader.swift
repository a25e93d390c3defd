import Ethernet
import WireBytes

/// The first eight bytes of an ICMP message (RFC 792) or an ICMPv6 message (RFC 4443).
struct ICMPHeader: Hashable {
  var type: UInt8
  var code: UInt8
  var checksum: UInt16
  /// Identifier and sequence number of an echo; unused, flags or a size elsewhere.
  var word: UInt32

  static let byteCount = 8

  static let echoReply4: UInt8 = 0
  static let unreachable4: UInt8 = 3
  static let portUnreachable4: UInt8 = 3
  static let echoRequest4: UInt8 = 8
  static let unreachable6: UInt8 = 1
  static let portUnreachable6: UInt8 = 4
  static let echoRequest6: UInt8 = 128
  static let echoReply6: UInt8 = 129
  static let neighborSolicitation: UInt8 = 135
  static let neighborAdvertisement: UInt8 = 136

  init(type: UInt8, code: UInt8, word: UInt32) {
    self.type = type
    self.code = code
    checksum = 0
    self.word = word
  }

  /// Nil for what is too short.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= ICMPHeader.byteCount else { return nil }
    type = bytes.byte(at: 0)
    code = bytes.byte(at: 1)
    checksum = bytes.be16(at: 2)
    word = bytes.be32(at: 4)
  }

  /// A message of this header and `body`, with its checksum.
  ///
  /// - Parameter pseudoHeader: the sum of the pseudo-header, for ICMPv6; see ``IPExchange``.
  func message(body: RawSpan, pseudoHeader: UInt16 = 0) -> [UInt8] {
    [UInt8](zeroed: ICMPHeader.byteCount + body.byteCount) { bytes in
      bytes.storeBE(type, at: 0)
      bytes.storeBE(code, at: 1)
      bytes.storeBE(word, at: 4)
      bytes.store(body, at: ICMPHeader.byteCount)
      bytes.storeBE(~InternetChecksum.sum(bytes.bytes, 0..<bytes.byteCount, seed: pseudoHeader), at: 2)
    }
  }
}

/// A neighbour solicitation or advertisement (RFC 4861 4.3, 4.4), with its ICMPv6 header.
struct NeighborMessage: Hashable {
  /// 135 solicitation, 136 advertisement.
  var type: UInt8
  /// R, S and O of an advertisement in the upper three bits.
  var flags: UInt32
  var target: IPv6Address
  /// Source address of a solicitation, target address of an advertisement.
  var linkAddress: MACAddress?

  static let solicited: UInt32 = 0x4000_0000
  static let override: UInt32 = 0x2000_0000

  init(type: UInt8, flags: UInt32, target: IPv6Address, linkAddress: MACAddress?) {
    self.type = type
    self.flags = flags
    self.target = target
    self.linkAddress = linkAddress
  }

  /// Nil for another message, or one with options that are not whole.
  init?(parsing bytes: RawSpan) {
    guard let header = ICMPHeader(parsing: bytes), header.code == 0, bytes.byteCount >= 24,
      header.type == ICMPHeader.neighborSolicitation || header.type == ICMPHeader.neighborAdvertisement
    else { return nil }
    type = header.type
    flags = header.word
    target = bytes.ipv6Address(at: 8)
    linkAddress = nil
    let kind: UInt8 = type == ICMPHeader.neighborSolicitation ? 1 : 2
    var offset = 24
    while offset < bytes.byteCount {
      guard offset + 8 <= bytes.byteCount else { return nil }
      let count = Int(bytes.byte(at: offset + 1)) * 8
      guard count > 0, offset + count <= bytes.byteCount else { return nil }
      if bytes.byte(at: offset) == kind { linkAddress = bytes.macAddress(at: offset + 2) }
      offset += count
    }
  }

  /// The message behind the IPv6 header, with its checksum.
  func message(pseudoHeader: (_ byteCount: Int) -> UInt16) -> [UInt8] {
    let body = [UInt8](zeroed: linkAddress == nil ? 16 : 24) { bytes in
      bytes.storeIPv6(target, at: 0)
      if let linkAddress {
        bytes.storeBE(UInt16(type == ICMPHeader.neighborSolicitation ? 0x0101 : 0x0201), at: 16)
        bytes.storeMAC(linkAddress, at: 18)
      }
    }
    return ICMPHeader(type: type, code: 0, word: flags)
      .message(body: body.rawSpan, pseudoHeader: pseudoHeader(ICMPHeader.byteCount + body.count))
  }
}
