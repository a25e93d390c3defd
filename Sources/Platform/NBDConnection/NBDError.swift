public import LinuxIO

/// Why there is no connection with a server.
public struct NBDError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The step that failed.
  public enum Step: Sendable, Equatable {
    /// Preparing it: a file that is named can't be read, or TLS is not available.
    case setUp
    /// Reaching the server, and the greetings, TLS included.
    case connection
    /// Opening the export.
    case export
    /// It took too long.
    case time
    /// The caller did not want it any more.
    case cancelled
  }

  /// The step that failed.
  public var step: Step
  /// The errno; nil where there is none.
  public var errno: Errno?
  /// What libnbd says, perhaps empty.
  public var text: String

  /// An error.
  public init(_ step: Step, _ errno: Errno? = nil, _ text: String = "") {
    self.step = step
    self.errno = errno
    self.text = text
  }

  /// What libnbd says, or the errno in words.
  public var description: String {
    switch step {
    case .time: "it did not answer in time"
    case .cancelled: "it was given up"
    case .setUp, .connection, .export:
      text.isEmpty ? errno.map { "\($0)" } ?? "the server has ended the connection" : text
    }
  }
}
