import Synchronization

/// Which writes of an export are acknowledged but not durable, over all its connections, and which of them may be lost.
///
/// A write gets a number when it is acknowledged; a flush covers those that had one when it was submitted, whatever
/// connection they went over. A connection that ends while its last one is not covered is a loss: the server may have died
/// with it. Each flush that was under way then fails, and if there was none, the next one does, once.
final class NBDDurability: Sendable {
  private let acknowledged = Atomic<UInt64>(0)
  private let covered = Atomic<UInt64>(0)
  private let losses = Atomic<UInt64>(0)
  private let reported = Atomic<UInt64>(0)

  /// Where a flush begins.
  struct Mark {
    fileprivate var acknowledged: UInt64 = 0
    fileprivate var losses: UInt64 = 0
  }

  /// A write that is not durable was acknowledged; answers its number, from 1.
  func acknowledge() -> UInt64 { acknowledged.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Whether there are writes that may not be durable, and nobody has been told.
  var isInDoubt: Bool {
    covered.load(ordering: .acquiring) < acknowledged.load(ordering: .acquiring)
      || reported.load(ordering: .acquiring) < losses.load(ordering: .acquiring)
  }

  /// A flush begins.
  func beginFlush() -> Mark {
    Mark(
      acknowledged: acknowledged.load(ordering: .acquiring), losses: losses.load(ordering: .acquiring))
  }

  /// The server has answered a flush; whether it may be called a success.
  func endFlush(_ mark: Mark) -> Bool {
    let now = losses.load(ordering: .acquiring)
    if now != mark.losses || reported.load(ordering: .acquiring) < now {
      reported.max(now, ordering: .acquiringAndReleasing)
      return false
    }
    covered.max(mark.acknowledged, ordering: .acquiringAndReleasing)
    return true
  }

  /// A connection has ended; answers whether writes may be lost with it.
  ///
  /// - Parameter last: the number of the last write that was acknowledged over it; 0 for none.
  func lose(last: UInt64) -> Bool {
    guard last > covered.load(ordering: .acquiring) else { return false }
    losses.wrappingAdd(1, ordering: .acquiringAndReleasing)
    return true
  }
}
