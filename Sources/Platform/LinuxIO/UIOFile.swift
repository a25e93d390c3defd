import CLinux

/// A device of the kernel's user-space I/O (UIO): memory to be mapped, and a count of events to wait for.
///
/// Each open file has a mark of its own in the count, so that everybody who waits opens the device for himself.
public final class UIOFile: Sendable {
  private let owned: OwnedDescriptor

  /// Readable while events have come that `takeEvents` has not seen, or when the device is gone.
  public var descriptor: Int32 { owned.number }

  /// Opens the device node at `path`.
  ///
  /// - Throws: the errno of open(2); the driver may refuse, too.
  public init(path: String) throws(Errno) {
    owned = try OwnedDescriptor.open(path, flags: O_RDWR)
    try owned.setNonBlocking()
  }

  /// Takes note of all events so far; answers whether there were new ones. Never waits.
  ///
  /// - Throws: EIO when the device is gone.
  public func takeEvents() throws(Errno) -> Bool {
    var count: Int32 = 0
    // SAFETY: four bytes of a local value are written during the call.
    let result = unsafe read(owned.number, &count, 4)
    if result == 4 { return true }
    let failure = result < 0 ? Errno(rawValue: synthgate_errno()) : .EIO
    if failure == .EAGAIN || failure == .EINTR { return false }
    throw failure
  }

  /// Has the driver let interrupts through, or hold them back. What else that does, the driver decides.
  ///
  /// - Throws: EIO when the device is gone.
  public func setInterrupts(enabled: Bool) throws(Errno) {
    var word: Int32 = enabled ? 1 : 0
    // SAFETY: four bytes of a local value are read during the call.
    guard unsafe write(owned.number, &word, 4) == 4 else { throw Errno(rawValue: synthgate_errno()) }
  }
}
