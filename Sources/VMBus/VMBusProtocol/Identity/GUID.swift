public import WireBytes

/// A 16-byte identifier of a device class, a device instance, a socket endpoint or a client.
///
/// On the wire the first three fields are little-endian and the last eight bytes stand as they are printed.
public struct GUID: Hashable, Sendable, CustomStringConvertible {
  /// Wire bytes 0 to 7, as a little-endian integer.
  @usableFromInline let low: UInt64
  /// Wire bytes 8 to 15, as a little-endian integer.
  @usableFromInline let high: UInt64

  /// The size on the wire, in bytes.
  public static let byteCount = 16

  /// The identifier whose bytes are all zero; it names nothing.
  public static let zero = GUID(0, 0, 0, 0)

  /// Reads the 16 wire bytes from `offset` on; traps when they leave the span.
  @inlinable
  public init(parsing bytes: RawSpan, at offset: Int = 0) {
    low = bytes.le64(at: offset)
    high = bytes.le64(at: offset + 8)
  }

  /// An identifier from its printed groups; `last` holds the two last groups, first byte most significant.
  public init(_ first: UInt32, _ second: UInt16, _ third: UInt16, _ last: UInt64) {
    low = UInt64(first) | UInt64(second) << 32 | UInt64(third) << 48
    high = last.byteSwapped
  }

  /// Reads the canonical text, 8-4-4-4-12 hexadecimal digits of either case, with or without braces.
  public init?(_ text: String) {
    var digits = Substring(text)
    if digits.hasPrefix("{"), digits.hasSuffix("}"), digits.count > 1 {
      digits = digits.dropFirst().dropLast()
    }
    let groups = digits.split(separator: "-", omittingEmptySubsequences: false)
    guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12],
      digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
      let first = UInt32(groups[0], radix: 16), let second = UInt16(groups[1], radix: 16),
      let third = UInt16(groups[2], radix: 16), let fourth = UInt64(groups[3], radix: 16),
      let fifth = UInt64(groups[4], radix: 16)
    else { return nil }
    self.init(first, second, third, fourth << 48 | fifth)
  }

  /// Writes the 16 wire bytes from `offset` on; traps when they leave the span.
  @inlinable
  public func store(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLE(low, at: offset)
    bytes.storeLE(high, at: offset + 8)
  }

  /// The first printed group.
  public var first: UInt32 { UInt32(truncatingIfNeeded: low) }
  /// The second printed group.
  public var second: UInt16 { UInt16(truncatingIfNeeded: low >> 32) }
  /// The third printed group.
  public var third: UInt16 { UInt16(truncatingIfNeeded: low >> 48) }
  /// The fourth and fifth printed groups, first byte most significant.
  public var last: UInt64 { high.byteSwapped }

  /// The canonical text in lower case, as sysfs prints it.
  public var description: String {
    let groups = [
      (UInt64(first), 8), (UInt64(second), 4), (UInt64(third), 4), (last >> 48, 4), (last & 0xffff_ffff_ffff, 12),
    ]
    return groups.map { value, width in
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: width - digits.count) + digits
    }.joined(separator: "-")
  }
}

extension GUID: Comparable {
  /// Orders by the printed text, the order in which a host offers its channels.
  public static func < (left: GUID, right: GUID) -> Bool {
    (left.first, left.second, left.third, left.last) < (right.first, right.second, right.third, right.last)
  }
}
