import Block
import SCSI
import StorvscProtocol

extension BlockError {
  /// What the guest is told of a request that failed.
  ///
  /// - Parameter isRead: whether the request only read.
  func completion(isRead: Bool) -> SCSIRequest {
    switch self {
    case .outOfRange: .checkCondition(.lbaOutOfRange)
    // The target checks alignment and length itself: that the device still complains is a fault of ours.
    case .misaligned, .failed: .checkCondition(.internalTargetFailure)
    case .readOnly: .checkCondition(.writeProtected)
    case .noSpace: .checkCondition(.spaceAllocationFailed)
    case .medium: .checkCondition(isRead ? .unrecoveredReadError : .writeError)
    case .notSupported: .checkCondition(.invalidOpcode)
    case .reserved: .completion(.error, .reservationConflict)
    case .busy, .noMemory: .completion(.busy, .busy)
    // Guests repeat an aborted command a few times.
    case .timedOut: .checkCondition(.aborted)
    case .gone: .checkCondition(.noMedium)
    }
  }
}
