import LinuxIO

/// An IPv4 or IPv6 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// 4 or 16 bytes in network order.
  public let bytes: [UInt8]

  /// Whether this is IPv6.
  public var isIPv6: Bool { bytes.count == 16 }
  /// 32 or 128.
  public var bitCount: Int { bytes.count * 8 }

  /// Parses dotted IPv4 or any form of IPv6, without a scope; nil for anything else.
  public init?(_ text: some StringProtocol) {
    guard let bytes = parseAddress(String(text)) else { return nil }
    self.bytes = bytes
  }

  /// An address of 4 or 16 bytes in network order; nil for another length.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// The usual text: dotted, or the short form of RFC 5952.
  public var description: String { addressText(bytes) }

  /// 127.0.0.0/8 or ::1.
  public var isLoopback: Bool {
    isIPv6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
  }
  /// 224.0.0.0/4 or ff00::/8.
  public var isMulticast: Bool { isIPv6 ? bytes[0] == 0xff : bytes[0] & 0xf0 == 0xe0 }
  /// 0.0.0.0 or ::.
  public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }
  /// 169.254.0.0/16 or fe80::/10.
  public var isLinkLocal: Bool {
    isIPv6 ? bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 : bytes[0] == 169 && bytes[1] == 254
  }
}

/// Why a text is no address, network or route.
public struct IPTextError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let text: String
  /// What is wrong with it, and what would be right.
  public let problem: String

  /// A problem of a text.
  public init(_ text: some StringProtocol, _ problem: String) {
    self.text = String(text)
    self.problem = problem
  }

  /// Text and problem.
  public var description: String { "`\(text)`: \(problem)" }
}

/// An address with the length of its network's prefix: that of an interface (10.77.0.2/24), or a network (10.77.0.0/24).
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
  /// The address, with the bits behind the prefix as they were given.
  public let address: IPAddress
  /// How many bits name the network: 0 to 32 or 128.
  public let prefixLength: Int

  /// An address in a network; nil when the prefix is too long or negative.
  public init?(_ address: IPAddress, prefixLength: Int) {
    guard prefixLength >= 0, prefixLength <= address.bitCount else { return nil }
    self.address = address
    self.prefixLength = prefixLength
  }

  /// Parses `ADDRESS/PREFIX`, or `ADDRESS` alone, which is a network of its own (/32, /128).
  ///
  /// - Throws: what is wrong with the text.
  public init(parsing text: some StringProtocol) throws(IPTextError) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(parts[0]) else {
      throw IPTextError(text, "not an IP address with a prefix, such as 10.77.0.2/24 or fd00::2/64")
    }
    var length = address.bitCount
    if parts.count == 2 {
      guard let number = UInt8(parts[1]), parts[1].first != "+", Int(number) <= address.bitCount else {
        throw IPTextError(text, "the prefix must be a number from 0 to \(address.bitCount)")
      }
      length = Int(number)
    }
    self.address = address
    prefixLength = length
  }

  /// `ADDRESS/PREFIX`.
  public var description: String { "\(address)/\(prefixLength)" }

  /// The network alone: the bits behind the prefix are zero.
  public var network: IPNetwork {
    IPNetwork(IPAddress(bytes: masked { $0 & $1 })!, prefixLength: prefixLength)!
  }

  /// Whether all bits behind the prefix are zero.
  public var isNetwork: Bool { self == network }

  /// The IPv4 broadcast address; nil for IPv6 and for prefixes longer than 30.
  public var broadcast: IPAddress? {
    address.isIPv6 || prefixLength > 30 ? nil : IPAddress(bytes: masked { $0 | ~$1 })
  }

  /// Whether `other` is an address of this network.
  public func contains(_ other: IPAddress) -> Bool {
    guard other.isIPv6 == address.isIPv6, let candidate = IPNetwork(other, prefixLength: prefixLength) else {
      return false
    }
    return candidate.network == network
  }

  private func masked(_ combine: (_ byte: UInt8, _ mask: UInt8) -> UInt8) -> [UInt8] {
    address.bytes.enumerated().map { index, byte in
      let bits = min(8, max(0, prefixLength - index * 8))
      return combine(byte, UInt8(truncatingIfNeeded: 0xff00 >> bits))
    }
  }
}
