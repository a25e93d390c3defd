public import Block
public import FUSEBridge
public import LinuxIO

/// How a `DiskFS` is set up.
public struct DiskFSOptions: Sendable {
  /// Threads, each with a queue of the device; limited to what the device offers.
  public var workerCount = 2
  /// Requests in flight per worker. Each takes a buffer of `transferByteCount` plus two pages; fewer are used where the
  /// device has no memory for more.
  public var queueDepth = 64
  /// The longest request in bytes, a multiple of 4096 up to 1 MiB; limited to what the device transfers at once.
  public var transferByteCount = 1 << 20
  /// Files can't be written, whatever the device allows.
  public var isReadOnly = false
  /// How long a worker looks for more before it sleeps, in nanoseconds, while that has lately paid; 0: never. To be woken
  /// on another processor, and to wake the reader there, takes about as long.
  public var spinNanoseconds: UInt64 = 80_000
  /// What /proc/mounts shows as the device.
  public var source = "synthgate"

  /// The defaults.
  public init() {}
}

/// Why a disk could not be shown.
public enum DiskFSError: Error, Equatable, Sendable {
  /// The mount failed.
  case mount(FUSEError)
  /// The device gave no queue or no memory.
  case device(BlockError)
  /// A thread, an epoll set or an eventfd was refused.
  case system(Errno)
  /// A partition has a name that is not allowed or taken, or does not lie on the disk.
  case partition(String)
  /// `start` was called before.
  case alreadyStarted
}

extension DiskFSError: CustomStringConvertible {
  /// What failed, in words.
  public var description: String {
    switch self {
    case .mount(let error): "\(error)"
    case .device(let error): "\(error)"
    case .system(let errno): "worker: \(errno)"
    case .partition(let name): "partition \(name): the name is not allowed or taken, or the range is not on the disk"
    case .alreadyStarted: "the disk is shown already"
    }
  }
}

extension DiskFSError {
  /// Whether a permission is what is missing.
  public var isPermission: Bool {
    switch self {
    case .mount(.device(.EPERM)), .mount(.device(.EACCES)), .mount(.mount(_, .EPERM)), .mount(.mount(_, .EACCES)): true
    default: false
    }
  }

  /// What a user can do about it; empty when nothing can be advised.
  public var advice: String {
    switch self {
    case .mount(.device(.ENOENT)), .mount(.device(.ENODEV)): "the kernel has no FUSE: modprobe fuse"
    case .mount(.device): "allow this user to open /dev/fuse"
    case .mount(.mount(_, .EPERM)), .mount(.mount(_, .EACCES)): "run as root, or install fuse3 (fusermount3)"
    default: ""
    }
  }
}

/// A protection that the system did not grant; the disk works without it.
public struct DiskFSWarning: Sendable, Equatable {
  /// What was asked for.
  public var what: String
  /// Why it was refused.
  public var errno: Errno
}
