/// The status byte of a command (T10 SAM-5).
public struct SCSIStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Good.
  @inlinable public static var good: SCSIStatus { SCSIStatus(rawValue: 0x00) }

  /// Check condition: sense data tells more.
  @inlinable public static var checkCondition: SCSIStatus { SCSIStatus(rawValue: 0x02) }

  /// Condition met.
  @inlinable public static var conditionMet: SCSIStatus { SCSIStatus(rawValue: 0x04) }

  /// Busy.
  @inlinable public static var busy: SCSIStatus { SCSIStatus(rawValue: 0x08) }

  /// Intermediate.
  @inlinable public static var intermediate: SCSIStatus { SCSIStatus(rawValue: 0x10) }

  /// Intermediate, condition met.
  @inlinable public static var intermediateConditionMet: SCSIStatus { SCSIStatus(rawValue: 0x14) }

  /// Reservation conflict.
  @inlinable public static var reservationConflict: SCSIStatus { SCSIStatus(rawValue: 0x18) }

  /// Command terminated.
  @inlinable public static var commandTerminated: SCSIStatus { SCSIStatus(rawValue: 0x22) }

  /// Task set full.
  @inlinable public static var taskSetFull: SCSIStatus { SCSIStatus(rawValue: 0x28) }

  /// Task aborted.
  @inlinable public static var taskAborted: SCSIStatus { SCSIStatus(rawValue: 0x40) }
}

extension SCSIStatus: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .good: "good"
    case .checkCondition: "check condition"
    case .conditionMet: "condition met"
    case .busy: "busy"
    case .intermediate: "intermediate"
    case .intermediateConditionMet: "intermediate, condition met"
    case .reservationConflict: "reservation conflict"
    case .commandTerminated: "command terminated"
    case .taskSetFull: "task set full"
    case .taskAborted: "task aborted"
    default: "SCSI status \(rawValue.hexadecimal(digits: 2))"
    }
  }
}
