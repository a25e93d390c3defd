/// Decides whether a worker that has nothing to do looks again for a while before it sleeps.
///
/// Spinning costs processor time that others may need, so that it is done only while it has lately found something more
/// often than not; after that, one sleep in 64 tries it again. An idle worker sleeps and never spins.
public struct SpinGovernor: Sendable {
  /// How long one spin lasts at most, in nanoseconds; 0: never spin.
  public let limitNanoseconds: UInt64
  private var credit = 4
  private var sleeps = 0

  /// A governor that begins by trying.
  public init(limitNanoseconds: UInt64) {
    self.limitNanoseconds = limitNanoseconds
  }

  /// Whether to spin now, before a sleep.
  public mutating func wantsSpin() -> Bool {
    guard limitNanoseconds > 0 else { return false }
    if credit > 0 { return true }
    sleeps += 1
    guard sleeps >= 64 else { return false }
    sleeps = 0
    return true
  }

  /// Tells how a spin ended.
  public mutating func record(paid: Bool) {
    credit = paid ? min(8, credit + 1) : max(0, credit - 2)
  }
}
