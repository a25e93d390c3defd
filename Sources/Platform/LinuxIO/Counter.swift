import Synchronization

/// A count that one thread adds to and anybody reads.
public struct Counter: ~Copyable, Sendable {
  private let word = Atomic<UInt64>(0)

  /// A counter at zero.
  public init() {}

  /// Adds `count`; only the one thread that owns the counter.
  @inline(__always)
  public func add(_ count: UInt64) {
    word.store(word.load(ordering: .relaxed) &+ count, ordering: .relaxed)
  }

  /// The count so far.
  public var value: UInt64 { word.load(ordering: .relaxed) }
}
