/// The status byte of a SCSI request block (Windows: SRB_STATUS): a status in bits 0-5 and two flags.
///
/// Compare ``status``, not the whole value: a host may set either flag.
public struct SRBStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Pending.
  @inlinable public static var pending: SRBStatus { SRBStatus(rawValue: 0x00) }

  /// Success.
  @inlinable public static var success: SRBStatus { SRBStatus(rawValue: 0x01) }

  /// Aborted.
  @inlinable public static var aborted: SRBStatus { SRBStatus(rawValue: 0x02) }

  /// Abort failed.
  @inlinable public static var abortFailed: SRBStatus { SRBStatus(rawValue: 0x03) }

  /// Error.
  @inlinable public static var error: SRBStatus { SRBStatus(rawValue: 0x04) }

  /// Busy.
  @inlinable public static var busy: SRBStatus { SRBStatus(rawValue: 0x05) }

  /// Invalid request.
  @inlinable public static var invalidRequest: SRBStatus { SRBStatus(rawValue: 0x06) }

  /// Invalid path id.
  @inlinable public static var invalidPathID: SRBStatus { SRBStatus(rawValue: 0x07) }

  /// No device.
  @inlinable public static var noDevice: SRBStatus { SRBStatus(rawValue: 0x08) }

  /// Timeout.
  @inlinable public static var timeout: SRBStatus { SRBStatus(rawValue: 0x09) }

  /// Selection timeout.
  @inlinable public static var selectionTimeout: SRBStatus { SRBStatus(rawValue: 0x0A) }

  /// Command timeout.
  @inlinable public static var commandTimeout: SRBStatus { SRBStatus(rawValue: 0x0B) }

  /// Message rejected.
  @inlinable public static var messageRejected: SRBStatus { SRBStatus(rawValue: 0x0D) }

  /// Bus reset.
  @inlinable public static var busReset: SRBStatus { SRBStatus(rawValue: 0x0E) }

  /// Parity error.
  @inlinable public static var parityError: SRBStatus { SRBStatus(rawValue: 0x0F) }

  /// Request sense failed.
  @inlinable public static var requestSenseFailed: SRBStatus { SRBStatus(rawValue: 0x10) }

  /// No HBA.
  @inlinable public static var noHBA: SRBStatus { SRBStatus(rawValue: 0x11) }

  /// Data overrun.
  @inlinable public static var dataOverrun: SRBStatus { SRBStatus(rawValue: 0x12) }

  /// Unexpected bus free.
  @inlinable public static var unexpectedBusFree: SRBStatus { SRBStatus(rawValue: 0x13) }

  /// Phase sequence failure.
  @inlinable public static var phaseSequenceFailure: SRBStatus { SRBStatus(rawValue: 0x14) }

  /// Bad SRB block length.
  @inlinable public static var badSRBBlockLength: SRBStatus { SRBStatus(rawValue: 0x15) }

  /// Request flushed.
  @inlinable public static var requestFlushed: SRBStatus { SRBStatus(rawValue: 0x16) }

  /// Invalid LUN.
  @inlinable public static var invalidLUN: SRBStatus { SRBStatus(rawValue: 0x20) }

  /// Invalid target id.
  @inlinable public static var invalidTargetID: SRBStatus { SRBStatus(rawValue: 0x21) }

  /// Bad function.
  @inlinable public static var badFunction: SRBStatus { SRBStatus(rawValue: 0x22) }

  /// Error recovery.
  @inlinable public static var errorRecovery: SRBStatus { SRBStatus(rawValue: 0x23) }

  /// Not powered.
  @inlinable public static var notPowered: SRBStatus { SRBStatus(rawValue: 0x24) }

  /// Link down.
  @inlinable public static var linkDown: SRBStatus { SRBStatus(rawValue: 0x25) }

  /// Internal error.
  @inlinable public static var internalError: SRBStatus { SRBStatus(rawValue: 0x30) }
}

extension SRBStatus: CustomStringConvertible {
  /// The standard name of the status, or its number, and the flags that are set.
  public var description: String {
    let flags = (isQueueFrozen ? ", queue frozen" : "") + (hasAutosense ? ", autosense" : "")
    return status.name + flags
  }

  private var name: String {
    switch self {
    case .pending: "pending"
    case .success: "success"
    case .aborted: "aborted"
    case .abortFailed: "abort failed"
    case .error: "error"
    case .busy: "busy"
    case .invalidRequest: "invalid request"
    case .invalidPathID: "invalid path id"
    case .noDevice: "no device"
    case .timeout: "timeout"
    case .selectionTimeout: "selection timeout"
    case .commandTimeout: "command timeout"
    case .messageRejected: "message rejected"
    case .busReset: "bus reset"
    case .parityError: "parity error"
    case .requestSenseFailed: "request sense failed"
    case .noHBA: "no HBA"
    case .dataOverrun: "data overrun"
    case .unexpectedBusFree: "unexpected bus free"
    case .phaseSequenceFailure: "phase sequence failure"
    case .badSRBBlockLength: "bad SRB block length"
    case .requestFlushed: "request flushed"
    case .invalidLUN: "invalid LUN"
    case .invalidTargetID: "invalid target id"
    case .badFunction: "bad function"
    case .errorRecovery: "error recovery"
    case .notPowered: "not powered"
    case .linkDown: "link down"
    case .internalError: "internal error"
    default: "SRB status \(rawValue.hexadecimal(digits: 2))"
    }
  }
}
