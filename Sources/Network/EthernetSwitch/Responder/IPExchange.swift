import Ethernet

/// The two addresses of an IP packet.
enum IPExchange: Hashable {
  case v4(source: IPv4Address, destination: IPv4Address)
  case v6(source: IPv6Address, destination: IPv6Address)

  /// The same the other way round.
  var reversed: IPExchange {
    switch self {
    case .v4(let source, let destination): .v4(source: destination, destination: source)
    case .v6(let source, let destination): .v6(source: destination, destination: source)
    }
  }

  /// The folded sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1).
  func pseudoHeaderSum(protocolNumber: UInt8, byteCount: Int) -> UInt16 {
    var total = UInt64(protocolNumber) + UInt64(byteCount)
    switch self {
    case .v4(let source, let destination):
      total += UInt64(source.value) + UInt64(destination.value)
    case .v6(let source, let destination):
      for half in [source.high, source.low, destination.high, destination.low] {
        total += half >> 32 + half & 0xffff_ffff
      }
    }
    return InternetChecksum.fold(total)
  }
}

/// Numbers of protocols behind IP.
enum IPProtocol {
  static let hopByHop: UInt8 = 0
  static let icmp: UInt8 = 1
  static let tcp: UInt8 = 6
  static let udp: UInt8 = 17
  static let routing: UInt8 = 43
  static let fragment: UInt8 = 44
  static let icmp6: UInt8 = 58
  static let destinationOptions: UInt8 = 60
}

/// Ethernet types.
enum EtherType {
  static let ipv4: UInt16 = 0x0800
  static let arp: UInt16 = 0x0806
  static let ipv6: UInt16 = 0x86dd
}
