import CLinux

/// An eventfd: a counter that is readable while it is not zero. Doorbells and wake-ups are made of it.
public final class EventFD: Sendable {
  private let owned: OwnedDescriptor

  /// The descriptor to wait on.
  public var descriptor: Int32 { owned.number }

  /// A new, non-blocking event counter at zero.
  public init() throws(Errno) {
    owned = try OwnedDescriptor(adopting: checkErrno(eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))))
  }

  /// An event counter that another process handed over.
  public init(adopting owned: consuming OwnedDescriptor) {
    self.owned = owned
  }

  /// A second descriptor of this counter, to be handed to another process.
  public func duplicate() throws(Errno) -> OwnedDescriptor {
    try owned.duplicate()
  }

  /// Adds one. A counter that is full already wakes its reader, so that a failure loses nothing.
  public func signal() {
    // SAFETY: eight bytes of a local value are read during the call.
    var one: UInt64 = 1
    _ = unsafe write(owned.number, &one, 8)
  }

  /// Whether the counter takes no more, so that `signal` waits where a peer has made it blocking.
  public var isFull: Bool { !isReadyForOutput(owned.number) }

  /// Sets the counter back to zero and answers whether it was above. Never waits, whatever a peer that holds the counter
  /// has done to its flags.
  @discardableResult
  public func drain() -> Bool {
    synthgate_drain_eventfd(owned.number) == 8
  }
}
