public import LinuxIO

/// Why the kernel, or libnl in front of it, refused a request about links, addresses or routes.
public struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was asked for, in words: `add address 10.0.0.1/24`.
  public let operation: String
  /// The kernel's error number.
  public let errno: Errno
  /// What the kernel says about it (extended acknowledgement); nil when it says nothing.
  public let detail: String?

  /// An error as given.
  public init(operation: String, errno: Errno, detail: String? = nil) {
    self.operation = operation
    self.errno = errno
    self.detail = detail
  }

  /// Operation, error and the kernel's words.
  public var description: String {
    "\(operation): \(errno)" + (detail.map { " (\($0))" } ?? "")
  }
}
