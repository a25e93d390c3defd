import LinuxIO
import SharedMemory
import Synchronization

/// How producers of an inbox, or of several, wake the one thread that empties them; no system call while it is awake.
final class InboxSignal: Sendable {
  private let event: EventFD
  private let isSleeping = Atomic<Bool>(false)
  /// Whether the event is readable, or about to be: there is one signal at most on its way. Saves the consumer a system call
  /// in every round.
  private let isSignalled = Atomic<Bool>(false)

  init() throws(Errno) {
    event = try EventFD()
  }

  var descriptor: Int32 { event.descriptor }

  /// Called by a producer after it has published a frame.
  func wake() {
    // The frame must be visible before the flag is read; the consumer stores the flag before it looks for frames. So
    // one of the two always sees the other.
    fullMemoryFence()
    guard isSleeping.load(ordering: .relaxed) else { return }
    // Of several producers one signals; none while a signal is on its way that wakes the consumer just as well.
    guard isSleeping.exchange(false, ordering: .relaxed) else { return }
    if !isSignalled.exchange(true, ordering: .acquiringAndReleasing) { event.signal() }
  }

  /// Called by the consumer before it looks for frames a last time and sleeps.
  func prepareToSleep() {
    isSleeping.store(true, ordering: .relaxed)
    fullMemoryFence()
  }

  /// Called by the consumer when it is awake again after `prepareToSleep`. A producer may signal a moment later: that is
  /// one wake-up for nothing.
  func finishSleep() {
    isSleeping.store(false, ordering: .relaxed)
    // A signal that is not there yet is drained the next time. The exchange makes the frame visible of a producer that
    // has found the flag set.
    if isSignalled.load(ordering: .relaxed), event.drain() {
      _ = isSignalled.exchange(false, ordering: .acquiringAndReleasing)
    }
  }
}
