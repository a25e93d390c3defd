/// A 48-bit Ethernet address (IEEE 802).
public struct MACAddress: Hashable, BitwiseCopyable, Sendable {
  /// The six bytes as a number, the first on the wire on top; the upper 16 bits are zero.
  public let value: UInt64

  /// An address from the low 48 bits of `value`.
  @inlinable
  public init(value: UInt64) {
    self.value = value & 0xffff_ffff_ffff
  }

  /// FF:FF:FF:FF:FF:FF.
  @inlinable public static var broadcast: MACAddress { MACAddress(value: .max) }
  /// 00:00:00:00:00:00, which no interface has.
  @inlinable public static var zero: MACAddress { MACAddress(value: 0) }

  /// Byte `index` of 0..<6, in wire order.
  @inlinable
  public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < 6)
    return UInt8(truncatingIfNeeded: value >> (40 - 8 * UInt64(index)))
  }

  /// Whether the address names a group, broadcast included.
  @inlinable public var isMulticast: Bool { value & 0x0100_0000_0000 != 0 }
  /// Whether the address was made up locally rather than assigned to a vendor.
  @inlinable public var isLocallyAdministered: Bool { value & 0x0200_0000_0000 != 0 }
  /// Whether an interface may have this address: neither zero nor a group.
  @inlinable public var isUsable: Bool { value != 0 && !isMulticast }

  /// Parses six pairs of hexadecimal digits, separated by colons, by hyphens or not at all; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let characters = Array(text.utf8)
    guard characters.count == 12 || characters.count == 17 else { return nil }
    let stride = characters.count == 12 ? 2 : 3
    var value: UInt64 = 0
    for index in 0..<6 {
      let start = index * stride
      guard let high = MACAddress.digit(characters[start]), let low = MACAddress.digit(characters[start + 1]) else {
        return nil
      }
      if stride == 3, index < 5 {
        let separator = characters[start + 2]
        guard separator == characters[2], separator == UInt8(ascii: ":") || separator == UInt8(ascii: "-") else {
          return nil
        }
      }
      value = value << 8 | high << 4 | low
    }
    self.init(value: value)
  }

  private static func digit(_ character: UInt8) -> UInt64? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(character - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(character - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(character - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}

extension MACAddress: CustomStringConvertible {
  /// Lower-case hexadecimal with colons.
  public var description: String {
    (0..<6).map { index in
      let text = String(self[index], radix: 16)
      return text.utf8.count == 1 ? "0" + text : text
    }.joined(separator: ":")
  }
}
