/// The class of a condition that sense data report (T10 SPC-4); four bits.
public struct SenseKey: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Nothing to report.
  @inlinable public static var noSense: SenseKey { SenseKey(rawValue: 0x0) }

  /// The command ended well after some recovery.
  @inlinable public static var recoveredError: SenseKey { SenseKey(rawValue: 0x1) }

  /// The unit cannot be accessed now.
  @inlinable public static var notReady: SenseKey { SenseKey(rawValue: 0x2) }

  /// The medium could not be read or written.
  @inlinable public static var mediumError: SenseKey { SenseKey(rawValue: 0x3) }

  /// The target failed beyond recovery.
  @inlinable public static var hardwareError: SenseKey { SenseKey(rawValue: 0x4) }

  /// The command or its parameters are wrong.
  @inlinable public static var illegalRequest: SenseKey { SenseKey(rawValue: 0x5) }

  /// Something about the unit changed since the last command.
  @inlinable public static var unitAttention: SenseKey { SenseKey(rawValue: 0x6) }

  /// The medium is protected against this access.
  @inlinable public static var dataProtect: SenseKey { SenseKey(rawValue: 0x7) }

  /// Blank or non-blank medium where the other was expected.
  @inlinable public static var blankCheck: SenseKey { SenseKey(rawValue: 0x8) }

  /// A condition of the vendor's own.
  @inlinable public static var vendorSpecific: SenseKey { SenseKey(rawValue: 0x9) }

  /// A third-party copy ended early.
  @inlinable public static var copyAborted: SenseKey { SenseKey(rawValue: 0xA) }

  /// The target gave the command up; a retry may succeed.
  @inlinable public static var abortedCommand: SenseKey { SenseKey(rawValue: 0xB) }

  /// Data remain that the medium has no room for.
  @inlinable public static var volumeOverflow: SenseKey { SenseKey(rawValue: 0xD) }

  /// Data sent and data on the medium differ.
  @inlinable public static var miscompare: SenseKey { SenseKey(rawValue: 0xE) }

  /// The command ended, with information to report.
  @inlinable public static var completed: SenseKey { SenseKey(rawValue: 0xF) }
}

extension SenseKey: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .noSense: "NO SENSE"
    case .recoveredError: "RECOVERED ERROR"
    case .notReady: "NOT READY"
    case .mediumError: "MEDIUM ERROR"
    case .hardwareError: "HARDWARE ERROR"
    case .illegalRequest: "ILLEGAL REQUEST"
    case .unitAttention: "UNIT ATTENTION"
    case .dataProtect: "DATA PROTECT"
    case .blankCheck: "BLANK CHECK"
    case .vendorSpecific: "VENDOR SPECIFIC"
    case .copyAborted: "COPY ABORTED"
    case .abortedCommand: "ABORTED COMMAND"
    case .volumeOverflow: "VOLUME OVERFLOW"
    case .miscompare: "MISCOMPARE"
    case .completed: "COMPLETED"
    default: "SENSE KEY \(rawValue.hexadecimal(digits: 1))"
    }
  }
}
