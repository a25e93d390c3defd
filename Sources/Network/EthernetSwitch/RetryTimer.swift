import LinuxIO

/// Wakes a thread to try again after a while, which doubles as long as that does not help.
final class RetryTimer {
  private let timer: TimerFD
  private var isSet = false
  private var nanoseconds = RetryTimer.least

  private static let least: UInt64 = 1_000_000
  private static let most: UInt64 = 16_000_000

  init() throws(Errno) {
    timer = try TimerFD()
  }

  var descriptor: Int32 { timer.descriptor }

  func start() {
    timer.set(at: monotonicNanoseconds() + nanoseconds)
    nanoseconds = min(nanoseconds * 2, RetryTimer.most)
    isSet = true
  }

  /// Makes the descriptor unreadable. A timer that has not fired yet stays set.
  func acknowledge() {
    if isSet, timer.acknowledge() { isSet = false }
  }

  /// It helped: the next time is short again.
  func reset() { nanoseconds = RetryTimer.least }
}
