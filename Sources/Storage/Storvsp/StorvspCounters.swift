import LinuxIO

/// What one channel has done: words that its thread adds to and anybody may read.
final class StorvspCounters: Sendable {
  let commands = Counter()
  let failures = Counter()
  let reads = Counter()
  let writes = Counter()
  let readBytes = Counter()
  let writtenBytes = Counter()
}

/// What the channels of a guest have done so far.
public struct StorvspStatistics: Sendable, Equatable {
  /// SCSI commands taken from the ring.
  public var commands: UInt64 = 0
  /// Commands that did not end with success, for whatever reason.
  public var failures: UInt64 = 0
  /// Reads that ended well.
  public var reads: UInt64 = 0
  /// Writes that ended well.
  public var writes: UInt64 = 0
  /// Bytes of those reads.
  public var readBytes: UInt64 = 0
  /// Bytes of those writes.
  public var writtenBytes: UInt64 = 0

  mutating func add(_ counters: StorvspCounters) {
    commands &+= counters.commands.value
    failures &+= counters.failures.value
    reads &+= counters.reads.value
    writes &+= counters.writes.value
    readBytes &+= counters.readBytes.value
    writtenBytes &+= counters.writtenBytes.value
  }
}
