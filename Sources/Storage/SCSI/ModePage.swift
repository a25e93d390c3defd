/// The code of a mode page (T10 SPC-4, SBC-3); six bits.
public struct ModePage: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// The caching page: write cache, read cache.
  @inlinable public static var caching: ModePage { ModePage(rawValue: 0x08) }

  /// Every page that the target has.
  @inlinable public static var all: ModePage { ModePage(rawValue: 0x3F) }
}

extension ModePage: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .caching: "caching"
    case .all: "all pages"
    default: "mode page \(rawValue.hexadecimal(digits: 2))"
    }
  }
}
