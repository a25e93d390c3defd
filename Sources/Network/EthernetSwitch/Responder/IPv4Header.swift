import Ethernet
import WireBytes

/// The header of an IPv4 packet (RFC 791).
struct IPv4Header: Hashable {
  /// With options, in bytes.
  var headerByteCount: Int
  /// Header and payload, in bytes.
  var totalByteCount: Int
  var identification: UInt16
  var forbidsFragments: Bool
  var hasMoreFragments: Bool
  /// Where the payload stands in the whole, in bytes.
  var fragmentOffset: Int
  var timeToLive: UInt8
  var protocolNumber: UInt8
  var source: IPv4Address
  var destination: IPv4Address

  /// The size without options, in bytes.
  static let byteCount = 20

  init(
    payloadByteCount: Int, identification: UInt16, protocolNumber: UInt8, source: IPv4Address,
    destination: IPv4Address, hasMoreFragments: Bool = false, fragmentOffset: Int = 0
  ) {
    headerByteCount = IPv4Header.byteCount
    totalByteCount = IPv4Header.byteCount + payloadByteCount
    self.identification = identification
    forbidsFragments = false
    self.hasMoreFragments = hasMoreFragments
    self.fragmentOffset = fragmentOffset
    timeToLive = 64
    self.protocolNumber = protocolNumber
    self.source = source
    self.destination = destination
  }

  /// Nil for what is not a whole IPv4 packet with a valid checksum of its header. Bytes behind the packet are padding.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= IPv4Header.byteCount, bytes.byte(at: 0) >> 4 == 4 else { return nil }
    headerByteCount = Int(bytes.byte(at: 0) & 15) * 4
    totalByteCount = Int(bytes.be16(at: 2))
    guard headerByteCount >= IPv4Header.byteCount, totalByteCount >= headerByteCount,
      totalByteCount <= bytes.byteCount, InternetChecksum.sum(bytes, 0..<headerByteCount) == 0xffff
    else { return nil }
    identification = bytes.be16(at: 4)
    let fragment = bytes.be16(at: 6)
    forbidsFragments = fragment & 0x4000 != 0
    hasMoreFragments = fragment & 0x2000 != 0
    fragmentOffset = Int(fragment & 0x1fff) * 8
    timeToLive = bytes.byte(at: 8)
    protocolNumber = bytes.byte(at: 9)
    source = IPv4Address(value: bytes.be32(at: 12))
    destination = IPv4Address(value: bytes.be32(at: 16))
  }

  /// Stores a header without options, and its checksum.
  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeBE(UInt8(0x45), at: offset)
    bytes.storeBE(UInt8(0), at: offset + 1)
    bytes.storeBE(UInt16(totalByteCount), at: offset + 2)
    bytes.storeBE(identification, at: offset + 4)
    let flags: UInt16 = (forbidsFragments ? 0x4000 : 0) | (hasMoreFragments ? 0x2000 : 0)
    bytes.storeBE(flags | UInt16(fragmentOffset / 8), at: offset + 6)
    bytes.storeBE(timeToLive, at: offset + 8)
    bytes.storeBE(protocolNumber, at: offset + 9)
    bytes.storeBE(UInt16(0), at: offset + 10)
    bytes.storeBE(source.value, at: offset + 12)
    bytes.storeBE(destination.value, at: offset + 16)
    bytes.storeBE(~InternetChecksum.sum(bytes.bytes, offset..<(offset + IPv4Header.byteCount)), at: offset + 10)
  }
}
