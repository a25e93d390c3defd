import CLinux

/// A terminal that hands over every key as it is pressed, until `restore`. One at a time in a process.
public struct RawTerminal: Sendable {
  private let descriptor: Int32

  /// Switches the terminal over.
  ///
  /// - Throws: ENOTTY when it is none.
  public init(descriptor: Int32) throws(Errno) {
    _ = try check(synthgate_terminal_raw(descriptor))
    self.descriptor = descriptor
  }

  /// Gives the terminal back as it was.
  public func restore() {
    _ = synthgate_terminal_restore(descriptor)
  }
}
