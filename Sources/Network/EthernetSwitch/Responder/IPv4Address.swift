/// An IPv4 address.
public struct IPv4Address: Hashable, BitwiseCopyable, Sendable {
  /// The four bytes as a number, the first on top.
  public var value: UInt32

  /// The address with this number.
  public init(value: UInt32) {
    self.value = value
  }

  /// 0.0.0.0
  public static var unspecified: IPv4Address { IPv4Address(value: 0) }
  /// 255.255.255.255
  public static var broadcast: IPv4Address { IPv4Address(value: .max) }

  /// Whether one host can have it, in any network.
  public var isHost: Bool { value >> 24 != 0 && value >> 24 != 127 && value < 0xe000_0000 }

  /// Parses four decimal numbers with dots between them; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
        let byte = UInt8(part)
      else { return nil }
      value = value << 8 | UInt32(byte)
    }
    self.value = value
  }
}

extension IPv4Address: CustomStringConvertible {
  /// Four decimal numbers.
  public var description: String {
    "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
  }
}

/// An address with the network that it is in: 10.77.0.1/24.
public struct IPv4Interface: Hashable, Sendable {
  /// The address of the interface.
  public var address: IPv4Address
  /// How many bits name the network; 1 to 30.
  public var prefixLength: Int

  /// An interface; nil unless the address is that of a host in a network of 2 hosts at least.
  public init?(address: IPv4Address, prefixLength: Int) {
    self.address = address
    self.prefixLength = prefixLength
    guard (1...30).contains(prefixLength), address.isHost, address != network, address != broadcast else { return nil }
  }

  /// Parses ADDRESS/LENGTH; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPv4Address(parts[0]), let length = Int(parts[1]) else { return nil }
    self.init(address: address, prefixLength: length)
  }

  /// The mask of the network.
  public var mask: IPv4Address { IPv4Address(value: ~0 << UInt32(32 - prefixLength)) }
  /// The first address, which names the network.
  public var network: IPv4Address { IPv4Address(value: address.value & mask.value) }
  /// The last address, which names all hosts.
  public var broadcast: IPv4Address { IPv4Address(value: address.value | ~mask.value) }

  /// Whether a host of the network may have this address.
  public func hasHost(_ host: IPv4Address) -> Bool {
    host.value & mask.value == network.value && host != network && host != broadcast && host.isHost
  }
}
