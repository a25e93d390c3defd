import CLinux

/// A file descriptor that is closed exactly once, when its owner ends.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number of the descriptor; valid as long as this owner lives.
  public let number: Int32

  /// Takes over `number`; nobody else may close it.
  public init(adopting number: Int32) {
    precondition(number >= 0)
    self.number = number
  }

  deinit {
    _ = close(number)
  }

  /// Opens `path` with the O_ flags of open(2); close-on-exec is always set.
  ///
  /// - Throws: the errno of open(2).
  public static func open(_ path: String, flags: Int32, mode: UInt32 = 0o600) throws(Errno) -> OwnedDescriptor {
    // SAFETY: the string is null-terminated for the duration of the call.
    try unsafe OwnedDescriptor(adopting: check(synthgate_open(path, flags, mode)))
  }

  /// A second descriptor of the same open file, close-on-exec.
  public borrowing func duplicate() throws(Errno) -> OwnedDescriptor {
    try OwnedDescriptor(adopting: check(synthgate_fcntl(number, F_DUPFD_CLOEXEC, 3)))
  }

  /// Gives the number away: the caller closes it.
  public consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }

  /// Makes reads and writes of this open file fail with EAGAIN instead of waiting.
  public borrowing func setNonBlocking() throws(Errno) {
    let flags = try check(synthgate_fcntl(number, F_GETFL, 0))
    _ = try check(synthgate_fcntl(number, F_SETFL, flags | O_NONBLOCK))
  }
}

/// The value of a call that answers -errno when it fails.
@inlinable
public func check(_ result: Int32) throws(Errno) -> Int32 {
  if result < 0 { throw Errno(rawValue: -result) }
  return result
}

/// The value of a call that answers -errno when it fails.
@inlinable
public func check(_ result: Int) throws(Errno) -> Int {
  if result < 0 { throw Errno(rawValue: Int32(-result)) }
  return result
}

/// The value of a C library call that answers -1 and sets errno when it fails.
@inline(never)
func checkErrno(_ result: Int32) throws(Errno) -> Int32 {
  if result < 0 { throw Errno(rawValue: synthgate_errno()) }
  return result
}
