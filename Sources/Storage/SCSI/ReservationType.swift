/// The type of a persistent reservation (T10 SPC-4); four bits.
public struct ReservationType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Write exclusive.
  @inlinable public static var writeExclusive: ReservationType { ReservationType(rawValue: 0x1) }

  /// Exclusive access.
  @inlinable public static var exclusiveAccess: ReservationType { ReservationType(rawValue: 0x3) }

  /// Write exclusive, registrants only.
  @inlinable public static var writeExclusiveRegistrantsOnly: ReservationType { ReservationType(rawValue: 0x5) }

  /// Exclusive access, registrants only.
  @inlinable public static var exclusiveAccessRegistrantsOnly: ReservationType { ReservationType(rawValue: 0x6) }

  /// Write exclusive, all registrants.
  @inlinable public static var writeExclusiveAllRegistrants: ReservationType { ReservationType(rawValue: 0x7) }

  /// Exclusive access, all registrants.
  @inlinable public static var exclusiveAccessAllRegistrants: ReservationType { ReservationType(rawValue: 0x8) }
}

extension ReservationType: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .writeExclusive: "write exclusive"
    case .exclusiveAccess: "exclusive access"
    case .writeExclusiveRegistrantsOnly: "write exclusive, registrants only"
    case .exclusiveAccessRegistrantsOnly: "exclusive access, registrants only"
    case .writeExclusiveAllRegistrants: "write exclusive, all registrants"
    case .exclusiveAccessAllRegistrants: "exclusive access, all registrants"
    default: "reservation type \(rawValue.hexadecimal(digits: 1))"
    }
  }
}
