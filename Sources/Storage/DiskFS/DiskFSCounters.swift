import Synchronization

/// What the workers of a `DiskFS` have done so far.
public struct DiskFSCounters: Sendable, Equatable {
  /// Requests of any kind.
  public var requests: UInt64 = 0
  /// Reads of disk files.
  public var reads: UInt64 = 0
  /// Writes of disk files.
  public var writes: UInt64 = 0
  /// Flushes (fsync).
  public var flushes: UInt64 = 0
  /// Discards and writes of zeros.
  public var discards: UInt64 = 0
  /// Everything else: look-ups, attributes, opens.
  public var others: UInt64 = 0
  /// Bytes read.
  public var readBytes: UInt64 = 0
  /// Bytes written.
  public var writtenBytes: UInt64 = 0
  /// Requests that were answered with an error.
  public var errors: UInt64 = 0
  /// The most requests that were in flight at the same time (of one worker).
  public var inFlightHighWater: UInt64 = 0
  /// Sleeps that ended.
  public var wakeUps: UInt64 = 0
  /// Times that a worker looked for more before it slept.
  public var spins: UInt64 = 0
  /// Those that found something.
  public var spinsThatPaid: UInt64 = 0

  /// Nothing yet.
  public init() {}

  static let wordCount = 13

  var words: [13 of UInt64] {
    get {
      [
        requests, reads, writes, flushes, discards, others, readBytes, writtenBytes, errors, inFlightHighWater,
        wakeUps, spins, spinsThatPaid,
      ]
    }
    set {
      requests = newValue[0]
      reads = newValue[1]
      writes = newValue[2]
      flushes = newValue[3]
      discards = newValue[4]
      others = newValue[5]
      readBytes = newValue[6]
      writtenBytes = newValue[7]
      errors = newValue[8]
      inFlightHighWater = newValue[9]
      wakeUps = newValue[10]
      spins = newValue[11]
      spinsThatPaid = newValue[12]
    }
  }

  /// Adds what another worker has done.
  mutating func add(_ other: DiskFSCounters) {
    var sum = words
    let more = other.words
    for index in 0..<Self.wordCount { sum[index] &+= more[index] }
    sum[9] = max(inFlightHighWater, other.inFlightHighWater)
    words = sum
  }
}

/// A worker's counters where another thread can read them. The worker counts in plain words of its own and copies them
/// here once per batch; each word is right, the set may be of two moments.
final class PublishedCounters: Sendable {
  private let values = InlineArray<13, Atomic<UInt64>> { _ in Atomic(0) }

  func publish(_ counters: DiskFSCounters) {
    let words = counters.words
    for index in 0..<DiskFSCounters.wordCount { values[index].store(words[index], ordering: .relaxed) }
  }

  var snapshot: DiskFSCounters {
    var counters = DiskFSCounters()
    var words = counters.words
    for index in 0..<DiskFSCounters.wordCount { words[index] = values[index].load(ordering: .relaxed) }
    counters.words = words
    return counters
  }
}
