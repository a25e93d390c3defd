import CLinux

/// A POSIX thread of the data plane: it owns a queue and is joined before the queue's memory goes.
public final class WorkerThread: Sendable {
  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  // SAFETY: a thread id is a plain number that is written once, before anybody can see this object.
  private let thread: pthread_t

  /// Starts a thread that runs `body`. All signals are blocked in it but those that tell
  /// its own faults.
  ///
  /// - Parameter name: shown by `ps -T` and debuggers, at most 15 characters.
  public init(name: String, body: @escaping @Sendable () -> Void) throws(Errno) {
    // SAFETY: plain local values; the new thread takes over the retained start object, or it is released here.
    let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
    var thread = pthread_t()
    var all = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&all)
    // Faults of the thread itself: blocked ones end the process without a word, and memory that vanishes is met by one.
    for fault in [SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { unsafe sigdelset(&all, fault) }
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    let failure = unsafe pthread_create(
      &thread, nil,
      { context in
        let start = unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
        _ = unsafe synthgate_set_thread_name(String(start.name.prefix(15)))
        start.body()
        return nil
      }, start.toOpaque())
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    guard failure == 0 else {
      unsafe start.release()
      throw Errno(rawValue: failure)
    }
    self.thread = thread
  }

  /// Waits until the thread has ended. Call it exactly once.
  public func join() {
    _ = pthread_join(thread, nil)
  }
}

/// Makes the calling thread sleep for `nanoseconds`, or less when a signal interrupts it.
public func sleepThread(nanoseconds: Int) {
  var duration = timespec()
  duration.tv_sec = nanoseconds / 1_000_000_000
  duration.tv_nsec = nanoseconds % 1_000_000_000
  // SAFETY: the kernel reads a local value.
  unsafe nanosleep(&duration, nil)
}

/// Now, in nanoseconds of the monotonic clock.
@inline(never)
public func monotonicNanoseconds() -> UInt64 {
  var now = timespec()
  // SAFETY: the kernel fills a local value.
  unsafe clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Now, in whole seconds of the monotonic clock, as of the last tick: cheaper than `monotonicNanoseconds`.
@inline(never)
public func monotonicSeconds() -> UInt64 {
  var now = timespec()
  // SAFETY: the kernel fills a local value.
  unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
  return UInt64(now.tv_sec)
}

/// Now, in nanoseconds since 1970 began (UTC) of the system's clock, which may be set.
public func realTimeNanoseconds() -> UInt64 {
  var now = timespec()
  // SAFETY: the kernel fills a local value.
  unsafe clock_gettime(CLOCK_REALTIME, &now)
  return UInt64(max(0, now.tv_sec)) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Now, in whole seconds since 1970 began (UTC).
public func realTimeSeconds() -> Int { Int(realTimeNanoseconds() / 1_000_000_000) }
