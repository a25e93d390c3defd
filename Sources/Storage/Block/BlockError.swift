public import LinuxIO

/// Why a request failed. The errno and the SCSI sense of each case are given in one place each.
public enum BlockError: Error, Equatable, Sendable, CaseIterable {
  /// The range does not lie on the disk.
  case outOfRange
  /// Offset or length is not a multiple of the request alignment, or the memory does not fit the length.
  case misaligned
  /// The disk may not be written.
  case readOnly
  /// The backing store is full.
  case noSpace
  /// The medium can't be read or written there.
  case medium
  /// The operation is not available.
  case notSupported
  /// Another holder has reserved the disk.
  case reserved
  /// No queue or no exclusive access is left.
  case busy
  /// No memory is left.
  case noMemory
  /// No answer came in the time allowed.
  case timedOut
  /// The disk is gone.
  case gone
  /// Any other failure of the device.
  case failed
}

extension BlockError {
  /// What a user of a file sees.
  public var errno: Errno {
    switch self {
    case .outOfRange, .misaligned: .EINVAL
    case .readOnly: .EROFS
    case .noSpace: .ENOSPC
    case .medium, .failed: .EIO
    case .notSupported: .EOPNOTSUPP
    case .reserved: .EBADE
    case .busy: .EBUSY
    case .noMemory: .ENOMEM
    case .timedOut: .ETIMEDOUT
    case .gone: .ENODEV
    }
  }

  /// The error that a failed system call on the backing store means.
  public init(_ errno: Errno) {
    switch errno {
    case .EROFS, .EPERM, .EACCES: self = .readOnly
    case .ENOSPC, .EFBIG: self = .noSpace
    case .EINVAL: self = .misaligned
    case .ENODATA: self = .medium
    case .EOPNOTSUPP, .ENOSYS: self = .notSupported
    case .EBADE: self = .reserved
    case .EBUSY: self = .busy
    case .ENOMEM: self = .noMemory
    case .ETIMEDOUT: self = .timedOut
    case .ENODEV, .ENXIO, .ENOLINK, .ENOTCONN: self = .gone
    default: self = .failed
    }
  }
}

extension BlockError: CustomStringConvertible {
  /// What went wrong, in words.
  public var description: String {
    switch self {
    case .outOfRange: "the range lies beyond the end of the disk"
    case .misaligned: "offset or length is not aligned"
    case .readOnly: "the disk is read-only"
    case .noSpace: "no space is left behind the disk"
    case .medium: "the medium can't be read or written there"
    case .notSupported: "the disk does not support this"
    case .reserved: "another holder has reserved the disk"
    case .busy: "the disk is in use"
    case .noMemory: "no memory is left"
    case .timedOut: "the disk did not answer in time"
    case .gone: "the disk is gone"
    case .failed: "the disk failed"
    }
  }
}
