import Block
import SCSI
import StorvscProtocol

/// What a completion means, decided from top to bottom as in a table.
enum CompletionVerdict: Equatable {
  /// All was done.
  case done
  /// Good status, but not all bytes were moved, or more than asked for: once more, then fail.
  case wrongLength
  /// There is no such disk any more.
  case gone
  /// The disk can't take the command now: again after a growing delay.
  case busy
  /// The command was aborted, or its end is not known: again, a few times.
  case again
  /// The disk reports a change and has not carried out the command: again.
  case unitAttention(SenseData)
  /// The disk starts up: again after a second.
  case becomingReady
  /// The medium is bad somewhere in the range.
  case medium
  /// The hardware failed: again, once or twice.
  case hardware
  /// The disk does not know the command, or a field of it.
  case unsupported
  /// The range does not lie on the disk: it has shrunk, or we have counted wrong.
  case outOfRange
  /// The disk is write protected.
  case readOnly
  /// Fails, and repeating would not help.
  case failed(BlockError)

  /// The verdict on a completion.
  ///
  /// - Parameter expectedByteCount: the bytes that must have been moved; nil where the length says nothing.
  init(_ status: NTStatus, _ request: SCSIRequest, expectedByteCount: Int?) {
    let srb = request.srbStatus.status
    let sense = request.sense
    let isLengthRight = expectedByteCount.map { Int(request.dataTransferByteCount) == $0 } ?? true
    let isRecovered = sense.map { $0.key == .noSense || $0.key == .recoveredError } ?? false
    if srb == .success && request.scsiStatus == .good || isRecovered {
      self = isLengthRight ? .done : .wrongLength
    } else if srb == .invalidLUN || srb == .invalidTargetID || srb == .noDevice || status == .deviceDoesNotExist {
      self = .gone
    } else if request.scsiStatus == .busy || request.scsiStatus == .taskSetFull || srb == .busy {
      self = .busy
    } else if request.scsiStatus == .reservationConflict {
      self = .failed(.reserved)
    } else if let sense {
      // Sense data comes before the SRB status "aborted", which accompanies sense key B.
      self = CompletionVerdict(sense)
    } else if request.scsiStatus == .taskAborted || [.aborted, .busReset, .requestFlushed].contains(srb) {
      self = .again
    } else if srb == .invalidRequest || srb == .badSRBBlockLength || srb == .badFunction {
      self = .failed(.failed)
    } else if srb == .dataOverrun {
      self = .wrongLength
    } else {
      self = .again
    }
  }

  private init(_ sense: SenseData) {
    switch (sense.key, sense.asc) {
    case (.unitAttention, _): self = .unitAttention(sense)
    case (.notReady, 0x04) where sense.ascq == 0x01 || sense.ascq == 0x0a: self = .becomingReady
    case (.notReady, 0x3a): self = .failed(.gone)
    case (.abortedCommand, 0x10), (.mediumError, 0x10): self = .failed(.medium)
    case (.abortedCommand, _): self = .again
    case (.mediumError, _): self = .medium
    case (.hardwareError, _): self = .hardware
    case (.illegalRequest, 0x20), (.illegalRequest, 0x24): self = .unsupported
    case (.illegalRequest, 0x21): self = .outOfRange
    case (.illegalRequest, 0x25): self = .gone
    case (.illegalRequest, _): self = .failed(.failed)
    case (.dataProtect, 0x27) where sense.ascq == 0x07: self = .failed(.noSpace)
    case (.dataProtect, _): self = .readOnly
    default: self = .again
    }
  }
}
