import CLinux

/// A timer that is a descriptor: readable once its time has come, until it is acknowledged or set again.
public final class TimerFD: Sendable {
  private let owned: OwnedDescriptor

  /// The descriptor to wait on.
  public var descriptor: Int32 { owned.number }

  /// A timer of the monotonic clock that is not set.
  public init() throws(Errno) {
    owned = try OwnedDescriptor(
      adopting: checkErrno(timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC) | Int32(TFD_NONBLOCK))))
  }

  /// Sets the timer to fire once at `nanoseconds` of the monotonic clock (`monotonicNanoseconds`); a time in the past
  /// fires at once.
  public func set(at nanoseconds: UInt64) {
    // Zero would disarm the timer.
    let time = max(1, nanoseconds)
    var value = itimerspec()
    value.it_value.tv_sec = Int(time / 1_000_000_000)
    value.it_value.tv_nsec = Int(time % 1_000_000_000)
    // SAFETY: the kernel reads a local value during the call.
    _ = unsafe timerfd_settime(owned.number, Int32(TFD_TIMER_ABSTIME), &value, nil)
  }

  /// Makes the descriptor unreadable until the timer fires the next time; answers whether it had fired.
  @discardableResult
  public func acknowledge() -> Bool {
    // SAFETY: eight bytes of a local value are written during the call.
    var count: UInt64 = 0
    return unsafe read(owned.number, &count, 8) == 8
  }
}
