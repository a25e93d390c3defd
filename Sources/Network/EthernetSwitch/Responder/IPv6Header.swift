import WireBytes

/// The header of an IPv6 packet (RFC 8200), together with a fragment header that follows it.
struct IPv6Header: Hashable {
  /// What a fragment header says (RFC 8200 4.5).
  struct Fragment: Hashable {
    var identification: UInt32
    /// Where the payload stands in the whole, in bytes.
    var offset: Int
    var hasMore: Bool
  }

  var hopLimit: UInt8
  var source: IPv6Address
  var destination: IPv6Address
  /// The protocol of the payload, behind the extension headers that were skipped.
  var protocolNumber: UInt8
  var fragment: Fragment?
  /// Where the payload is, in bytes from the start of the packet.
  var payload: Range<Int>

  /// The size without extensions, in bytes.
  static let byteCount = 40
  /// The size of a fragment header, in bytes.
  static let fragmentByteCount = 8

  init(
    payloadByteCount: Int, protocolNumber: UInt8, source: IPv6Address, destination: IPv6Address,
    hopLimit: UInt8 = 64, fragment: Fragment? = nil
  ) {
    self.hopLimit = hopLimit
    self.source = source
    self.destination = destination
    self.protocolNumber = protocolNumber
    self.fragment = fragment
    let start = IPv6Header.byteCount + (fragment == nil ? 0 : IPv6Header.fragmentByteCount)
    payload = start..<(start + payloadByteCount)
  }

  /// Nil for what is not a whole IPv6 packet, or has extension headers other than options and one fragment header.
  /// Bytes behind the packet are padding.
  init?(parsing bytes: RawSpan) {
    guard bytes.byteCount >= IPv6Header.byteCount, bytes.byte(at: 0) >> 4 == 6 else { return nil }
    let end = IPv6Header.byteCount + Int(bytes.be16(at: 4))
    guard end <= bytes.byteCount else { return nil }
    hopLimit = bytes.byte(at: 7)
    source = bytes.ipv6Address(at: 8)
    destination = bytes.ipv6Address(at: 24)
    var next = bytes.byte(at: 6)
    var offset = IPv6Header.byteCount
    fragment = nil
    chain: while true {
      switch next {
      case IPProtocol.hopByHop, IPProtocol.destinationOptions:
        guard offset + 8 <= end else { return nil }
        let count = (Int(bytes.byte(at: offset + 1)) + 1) * 8
        guard offset + count <= end else { return nil }
        next = bytes.byte(at: offset)
        offset += count
      case IPProtocol.fragment:
        guard fragment == nil, offset + 8 <= end else { return nil }
        let word = bytes.be16(at: offset + 2)
        next = bytes.byte(at: offset)
        fragment = Fragment(
          identification: bytes.be32(at: offset + 4), offset: Int(word & 0xfff8), hasMore: word & 1 != 0)
        offset += IPv6Header.fragmentByteCount
        // What follows is part of the fragment: only the first has headers there.
        break chain
      default:
        break chain
      }
    }
    protocolNumber = next
    payload = offset..<end
  }

  /// Stores the header, with that of a fragment.
  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.storeBE(UInt32(0x6000_0000), at: offset)
    bytes.storeBE(UInt16(payload.upperBound - IPv6Header.byteCount), at: offset + 4)
    bytes.storeBE(fragment == nil ? protocolNumber : IPProtocol.fragment, at: offset + 6)
    bytes.storeBE(hopLimit, at: offset + 7)
    bytes.storeIPv6(source, at: offset + 8)
    bytes.storeIPv6(destination, at: offset + 24)
    guard let fragment else { return }
    bytes.storeBE(UInt16(protocolNumber) << 8, at: offset + 40)
    bytes.storeBE(UInt16(fragment.offset) | (fragment.hasMore ? 1 : 0), at: offset + 42)
    bytes.storeBE(fragment.identification, at: offset + 44)
  }
}

extension RawSpan {
  /// The IPv6 address at `offset`.
  func ipv6Address(at offset: Int) -> IPv6Address {
    IPv6Address(high: be64(at: offset), low: be64(at: offset + 8))
  }
}

extension MutableRawSpan {
  /// Stores an IPv6 address at `offset`.
  @_lifetime(self: copy self)
  mutating func storeIPv6(_ address: IPv6Address, at offset: Int) {
    storeBE(address.high, at: offset)
    storeBE(address.low, at: offset + 8)
  }
}
