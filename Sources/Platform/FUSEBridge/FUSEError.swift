public import LinuxIO

/// Why a FUSE filesystem could not be shown.
public enum FUSEError: Error, Equatable, Sendable {
  /// /dev/fuse could not be opened; ENOENT or ENODEV without the kernel module.
  case device(Errno)
  /// The mount point was refused.
  case mount(path: String, Errno)
  /// The kernel's FUSE_INIT did not come, or its version is not understood.
  case handshake(Errno)
  /// A further descriptor of the connection was refused.
  case clone(Errno)
  /// libfuse refused to make a session.
  case session
}

extension FUSEError: CustomStringConvertible {
  /// What failed and where.
  public var description: String {
    switch self {
    case .device(let errno): "/dev/fuse: \(errno)"
    case .mount(let path, let errno): "mount at \(path): \(errno)"
    case .handshake(let errno): "FUSE handshake: \(errno)"
    case .clone(let errno): "further FUSE descriptor: \(errno)"
    case .session: "libfuse made no session"
    }
  }
}
