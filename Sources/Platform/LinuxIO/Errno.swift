import CLinux

/// An error number of the kernel or the C library; always positive.
public struct Errno: Error, Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  /// The number, as in errno(3).
  public let rawValue: Int32

  /// The error with this number.
  public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// The text of strerror(3).
  public var description: String {
    // SAFETY: strerror_r fills or ignores the local buffer and answers a null-terminated text that lives long enough.
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      unsafe String(cString: strerror_r(rawValue, buffer.baseAddress!, 256))
    }
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Errno {
  public static let EPERM = Errno(rawValue: 1)
  public static let ENOENT = Errno(rawValue: 2)
  public static let ESRCH = Errno(rawValue: 3)
  public static let EINTR = Errno(rawValue: 4)
  public static let EIO = Errno(rawValue: 5)
  public static let ENXIO = Errno(rawValue: 6)
  public static let EBADF = Errno(rawValue: 9)
  public static let EAGAIN = Errno(rawValue: 11)
  public static let ENOMEM = Errno(rawValue: 12)
  public static let EACCES = Errno(rawValue: 13)
  public static let EFAULT = Errno(rawValue: 14)
  public static let EBUSY = Errno(rawValue: 16)
  public static let EEXIST = Errno(rawValue: 17)
  public static let EXDEV = Errno(rawValue: 18)
  public static let ENODEV = Errno(rawValue: 19)
  public static let ENOTDIR = Errno(rawValue: 20)
  public static let EISDIR = Errno(rawValue: 21)
  public static let EINVAL = Errno(rawValue: 22)
  public static let EFBIG = Errno(rawValue: 27)
  public static let ENOSPC = Errno(rawValue: 28)
  public static let EROFS = Errno(rawValue: 30)
  public static let EPIPE = Errno(rawValue: 32)
  public static let ERANGE = Errno(rawValue: 34)
  public static let ENAMETOOLONG = Errno(rawValue: 36)
  public static let ENOSYS = Errno(rawValue: 38)
  public static let ELOOP = Errno(rawValue: 40)
  public static let EBADE = Errno(rawValue: 52)
  public static let ENODATA = Errno(rawValue: 61)
  public static let ENOLINK = Errno(rawValue: 67)
  public static let EPROTO = Errno(rawValue: 71)
  public static let ENOTUNIQ = Errno(rawValue: 76)
  public static let EBADFD = Errno(rawValue: 77)
  public static let EMSGSIZE = Errno(rawValue: 90)
  public static let EOPNOTSUPP = Errno(rawValue: 95)
  public static let EADDRINUSE = Errno(rawValue: 98)
  public static let EADDRNOTAVAIL = Errno(rawValue: 99)
  public static let ENETDOWN = Errno(rawValue: 100)
  public static let ENETUNREACH = Errno(rawValue: 101)
  public static let ECONNABORTED = Errno(rawValue: 103)
  public static let ECONNRESET = Errno(rawValue: 104)
  public static let ENOBUFS = Errno(rawValue: 105)
  public static let ENOTCONN = Errno(rawValue: 107)
  public static let ETIMEDOUT = Errno(rawValue: 110)
  public static let ECONNREFUSED = Errno(rawValue: 111)
  public static let EHOSTUNREACH = Errno(rawValue: 113)
}
