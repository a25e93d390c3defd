import WireBytes

/// A 16-byte identifier as image formats carry it: the first three fields little-endian, the last eight bytes as they are
/// printed.
public struct GUID: Hashable, Sendable, CustomStringConvertible {
  /// Bytes 0 to 7, as a little-endian integer.
  public let low: UInt64
  /// Bytes 8 to 15, as a little-endian integer.
  public let high: UInt64

  /// The size in bytes.
  public static let byteCount = 16
  /// The identifier whose bytes are all zero; it names nothing.
  public static let zero = GUID(low: 0, high: 0)

  /// An identifier of its bytes.
  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// Reads the 16 bytes from `offset` on; traps when they leave the span.
  public init(parsing bytes: RawSpan, at offset: Int = 0) {
    low = bytes.le64(at: offset)
    high = bytes.le64(at: offset + 8)
  }

  /// An identifier from its printed groups; `last` holds the two last groups, first byte most significant.
  public init(_ first: UInt32, _ second: UInt16, _ third: UInt16, _ last: UInt64) {
    low = UInt64(first) | UInt64(second) << 32 | UInt64(third) << 48
    high = last.byteSwapped
  }

  /// Reads the text, 8-4-4-4-12 hexadecimal digits of either case, with or without braces.
  public init?(_ text: String) {
    var digits = Substring(text)
    if digits.hasPrefix("{"), digits.hasSuffix("}"), digits.count > 1 { digits = digits.dropFirst().dropLast() }
    let groups = digits.split(separator: "-", omittingEmptySubsequences: false)
    guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12], digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
      let first = UInt32(groups[0], radix: 16), let second = UInt16(groups[1], radix: 16),
      let third = UInt16(groups[2], radix: 16), let fourth = UInt64(groups[3], radix: 16),
      let fifth = UInt64(groups[4], radix: 16)
    else { return nil }
    self.init(first, second, third, fourth << 48 | fifth)
  }

  /// A new identifier of random bits (RFC 9562, version 4).
  public static func random() -> GUID {
    let low = UInt64.random(in: 0...UInt64.max) & 0x0fff_ffff_ffff_ffff | 0x4000_0000_0000_0000
    let high = UInt64.random(in: 0...UInt64.max) & ~0xc0 | 0x80
    return GUID(low: low, high: high)
  }

  /// Writes the 16 bytes from `offset` on; traps when they leave the span.
  @_lifetime(bytes: copy bytes)
  public func store(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLE(low, at: offset)
    bytes.storeLE(high, at: offset + 8)
  }

  /// The text in lower case, without braces.
  public var description: String {
    let last = high.byteSwapped
    let groups: [(UInt64, Int)] = [
      (low & 0xffff_ffff, 8), (low >> 32 & 0xffff, 4), (low >> 48, 4), (last >> 48, 4), (last & 0xffff_ffff_ffff, 12),
    ]
    return groups.map { value, width in
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: width - digits.count) + digits
    }.joined(separator: "-")
  }
}
