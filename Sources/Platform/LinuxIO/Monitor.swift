import CLinux

/// A value behind a mutex, with a condition that waiters sleep on. For the control plane: never on the path of an I/O.
@safe public final class Monitor<Value>: @unchecked Sendable {
  // SAFETY: `value` is touched only between lock and unlock of the mutex, which `withLock` and `wait` pair.
  private var value: Value
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  /// A monitor that holds `value`.
  public init(_ value: sending Value) {
    self.value = value
    // SAFETY: both objects live at stable addresses until deinit, and are initialized before anybody sees them.
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    // SAFETY: nobody holds a reference any more, so nobody waits or holds the lock.
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// Runs `body` with the value locked, then wakes every waiter so that it looks again.
  public func withLock<R, E: Error>(_ body: (inout Value) throws(E) -> sending R) throws(E) -> sending R {
    // SAFETY: the mutex is valid until deinit; `defer` pairs the calls.
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(condition)
      unsafe pthread_mutex_unlock(mutex)
    }
    return try body(&value)
  }

  /// Waits until `body` answers a value, which is returned, or until `milliseconds` have passed, which answers nil.
  /// `body` runs with the value locked, at once and after each change.
  public func wait<R>(milliseconds: Int, until body: (inout Value) -> sending R?) -> sending R? {
    let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    var limit = timespec()
    limit.tv_sec = Int(deadline / 1_000_000_000)
    limit.tv_nsec = Int(deadline % 1_000_000_000)
    // SAFETY: the mutex and the condition are valid until deinit; `defer` pairs the calls.
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&value) {
        unsafe pthread_cond_broadcast(condition)
        return result
      }
      if unsafe pthread_cond_timedwait(condition, mutex, &limit) == ETIMEDOUT {
        return body(&value)
      }
    }
  }
}
