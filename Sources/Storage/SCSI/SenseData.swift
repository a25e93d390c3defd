import WireBytes

/// What went wrong with a command: sense key, additional sense code and its qualifier (T10 SPC-4).
public struct SenseData: Equatable, Hashable, BitwiseCopyable, Sendable {
  /// The class of the condition.
  public var key: SenseKey
  /// The additional sense code.
  public var asc: UInt8
  /// The qualifier of the additional sense code.
  public var ascq: UInt8
  /// Whether the condition belongs to an earlier command (response codes 71 and 73).
  public var isDeferred: Bool

  /// The bytes of the fixed format as a target sends it.
  @inlinable public static var byteCount: Int { 18 }

  /// A condition of the current command.
  @inlinable
  public init(_ key: SenseKey, _ asc: UInt8, _ ascq: UInt8, isDeferred: Bool = false) {
    self.key = SenseKey(rawValue: key.rawValue & 0x0f)
    self.asc = asc
    self.ascq = ascq
    self.isDeferred = isDeferred
  }

  /// Parses the fixed (70, 71) or the descriptor format (72, 73).
  ///
  /// Nil if the response code is another or the bytes end before the sense key; codes that are cut off are 0.
  public init?(parsing bytes: RawSpan) {
    var high: UInt64 = 0
    var low: UInt64 = 0
    for index in 0..<min(bytes.byteCount, 16) {
      let byte = UInt64(bytes.byte(at: index))
      if index < 8 {
        high |= byte << UInt64(56 - 8 * index)
      } else {
        low |= byte << UInt64(120 - 8 * index)
      }
    }
    self.init(high: high, low: low, byteCount: bytes.byteCount)
  }

  /// Parses sense data of `byteCount` bytes, of which `high` holds the first eight and `low` the next eight, both
  /// big-endian: all that matters lies there.
  public init?(high: UInt64, low: UInt64, byteCount: Int) {
    let code = UInt8(truncatingIfNeeded: high >> 56) & 0x7f
    switch code {
    case 0x70, 0x71:
      guard byteCount >= 3 else { return nil }
      // Byte 7 tells how many bytes follow it.
      let valid = byteCount < 8 ? byteCount : min(byteCount, 8 + Int(high & 0xff))
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: high >> 40) & 0x0f)
      asc = valid > 12 ? UInt8(truncatingIfNeeded: low >> 24) : 0
      ascq = valid > 13 ? UInt8(truncatingIfNeeded: low >> 16) : 0
    case 0x72, 0x73:
      guard byteCount >= 2 else { return nil }
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: high >> 48) & 0x0f)
      asc = byteCount > 2 ? UInt8(truncatingIfNeeded: high >> 40) : 0
      ascq = byteCount > 3 ? UInt8(truncatingIfNeeded: high >> 32) : 0
    default:
      return nil
    }
    isDeferred = code & 0x01 != 0
  }

  /// Bytes 0-7 of the fixed format, big-endian.
  public var high: UInt64 {
    (isDeferred ? 0x71 : 0x70) << 56 | UInt64(key.rawValue & 0x0f) << 40 | 0x0a
  }

  /// Bytes 8-15 of the fixed format, big-endian; bytes 16 and 17 are zero.
  public var low: UInt64 {
    UInt64(asc) << 24 | UInt64(ascq) << 16
  }

  /// Stores the fixed format at the start of `target`, which must have 18 bytes, and returns 18.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.storeBE(high, at: 0)
    target.storeBE(low, at: 8)
    target.zero(from: 16, count: 2)
    return SenseData.byteCount
  }
}
