public import SCSI

extension SRBStatus {
  /// The bits that hold the status itself.
  @inlinable public static var statusMask: UInt8 { 0x3f }

  /// The status without its flags.
  @inlinable
  public var status: SRBStatus {
    SRBStatus(rawValue: rawValue & SRBStatus.statusMask)
  }

  /// Bit 6: the port driver froze its queue. No host of a virtual disk has a reason to set it.
  @inlinable
  public var isQueueFrozen: Bool {
    rawValue & 0x40 != 0
  }

  /// Bit 7: sense data are in the request.
  @inlinable
  public var hasAutosense: Bool {
    rawValue & 0x80 != 0
  }

  /// This status with bit 7 set: sense data are in the request.
  @inlinable
  public var withAutosense: SRBStatus {
    SRBStatus(rawValue: rawValue | 0x80)
  }

  /// The status of a command that ends with `sense`: invalid request for what the initiator did wrong, else error;
  /// with the autosense flag.
  @inlinable
  public init(reporting sense: SenseData) {
    self = (sense.key == .illegalRequest ? SRBStatus.invalidRequest : .error).withAutosense
  }

  /// The status of the vstor header that goes with this status of a request.
  @inlinable
  public var headerStatus: NTStatus {
    switch status {
    case .success: .success
    case .busy: .deviceBusy
    case .invalidLUN, .invalidTargetID, .noDevice, .noHBA: .deviceDoesNotExist
    case .timeout, .commandTimeout: .ioTimeout
    case .selectionTimeout: .deviceNotConnected
    case .badFunction, .badSRBBlockLength: .invalidDeviceRequest
    case .dataOverrun: .bufferOverflow
    case .requestFlushed: .unsuccessful
    case .aborted: .cancelled
    default: .ioDeviceError
    }
  }
}
