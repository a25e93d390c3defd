public import Ethernet

/// An IPv6 address.
public struct IPv6Address: Hashable, BitwiseCopyable, Sendable {
  /// The first eight bytes as a number.
  public var high: UInt64
  /// The last eight bytes as a number.
  public var low: UInt64

  /// The address with these halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// ::
  public static var unspecified: IPv6Address { IPv6Address(high: 0, low: 0) }
  /// ff02::1
  public static var allNodes: IPv6Address { IPv6Address(high: 0xff02 << 48, low: 1) }

  /// fe80:: with the identifier that EUI-64 makes of an Ethernet address (RFC 4291 appendix A).
  public init(linkLocalOf address: MACAddress) {
    let upper = (address.value >> 24) ^ 0x02_0000
    self.init(high: 0xfe80 << 48, low: upper << 40 | 0xff_fe00_0000 | address.value & 0xff_ffff)
  }

  /// Whether it names a group.
  public var isMulticast: Bool { high >> 56 == 0xff }

  /// The group that this address is asked for in (RFC 4291 2.7.1).
  public var solicitedNode: IPv6Address {
    IPv6Address(high: 0xff02 << 48, low: 0x1_ff00_0000 | low & 0xff_ffff)
  }

  /// The Ethernet address of a group (RFC 2464 7).
  public var groupAddress: MACAddress { MACAddress(value: 0x3333 << 32 | low & 0xffff_ffff) }

  /// Parses the text of RFC 4291 2.2, without the form that ends as an IPv4 address; nil for anything else.
  public init?(_ text: some StringProtocol) {
    guard text.utf8.allSatisfy({ $0 < 128 }), (2...39).contains(text.utf8.count) else { return nil }
    let groups = text.split(separator: ":" as Character, omittingEmptySubsequences: false)
    var before: [UInt16] = []
    var after: [UInt16] = []
    var hasGap = false
    for (index, group) in groups.enumerated() {
      if group.isEmpty {
        // An empty group stands at a "::"; at either end of the text there are two of them.
        let isEdge =
          (index == 0 && groups.count > 1 && groups[1].isEmpty)
          || (index == groups.count - 1 && groups.count > 1 && groups[index - 1].isEmpty)
        if isEdge { continue }
        if hasGap { return nil }
        hasGap = true
        continue
      }
      guard group.utf8.count <= 4, group.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
        let value = UInt16(group, radix: 16)
      else { return nil }
      if hasGap { after.append(value) } else { before.append(value) }
    }
    let count = before.count + after.count
    guard hasGap ? count < 8 : count == 8 else { return nil }
    let all = before + [UInt16](repeating: 0, count: 8 - count) + after
    self.init(
      high: all[..<4].reduce(0) { $0 << 16 | UInt64($1) }, low: all[4...].reduce(0) { $0 << 16 | UInt64($1) })
  }
}

extension IPv6Address: CustomStringConvertible {
  /// Hexadecimal numbers, the longest run of zeros left out (RFC 5952).
  public var description: String {
    let groups = (0..<8).map { index in
      UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - index % 4 * 16))
    }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(1, best.count) { best = start..<end }
      start = max(end, start + 1)
    }
    func text(_ range: Range<Int>) -> String { groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
    return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
  }
}

/// An address with the network that it is in: fd77::1/64.
public struct IPv6Interface: Hashable, Sendable {
  /// The address of the interface.
  public var address: IPv6Address
  /// How many bits name the network; 1 to 127.
  public var prefixLength: Int

  /// Parses ADDRESS/LENGTH; nil for anything else, or for the address of a group.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPv6Address(parts[0]), let length = Int(parts[1]),
      (1...127).contains(length), !address.isMulticast, address != .unspecified
    else { return nil }
    self.address = address
    prefixLength = length
  }
}
