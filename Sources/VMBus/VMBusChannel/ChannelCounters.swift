public import LinuxIO
import Synchronization

/// What happened on a channel: words that its one thread adds to and anybody may read.
public final class ChannelCounters: Sendable {
  /// Packets taken from the incoming ring.
  public let packetsReceived = Counter()
  /// Doorbells rung towards a peer of another thread.
  public let doorbellsRung = Counter()
  /// Times that this end slept.
  public let sleeps = Counter()

  let lost = Atomic<Bool>(false)

  /// All counters at zero.
  public init() {}

  /// Makes the channel lost: each later send fails, and `Channel.isLost` tells. From any thread; wake the owner
  /// afterwards.
  public func markLost() {
    lost.store(true, ordering: .releasing)
  }
}
