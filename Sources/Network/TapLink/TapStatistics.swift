import LinuxIO

/// What one queue has done: words of its thread that anybody may read.
final class TapQueueCounters: Sendable {
  let framesRead = Counter()
  let bytesRead = Counter()
  let framesWritten = Counter()
  let bytesWritten = Counter()
  let truncatedFrames = Counter()
  let malformedFrames = Counter()
  let framesWhileDown = Counter()
  let refusedFrames = Counter()
  let finishedChecksums = Counter()
}

/// What the queues of a link have done so far.
public struct TapStatistics: Sendable, Equatable {
  /// Frames that came from the link.
  public var framesRead: UInt64 = 0
  /// Their bytes.
  public var bytesRead: UInt64 = 0
  /// Frames that the link took.
  public var framesWritten: UInt64 = 0
  /// Their bytes.
  public var bytesWritten: UInt64 = 0
  /// Frames from the link that were longer than the room for them: dropped.
  public var truncatedFrames: UInt64 = 0
  /// Frames from the link that contradict their header: dropped.
  public var malformedFrames: UInt64 = 0
  /// Frames for the link while it was down: dropped.
  public var framesWhileDown: UInt64 = 0
  /// Frames for the link that it refused for another reason: dropped.
  public var refusedFrames: UInt64 = 0
  /// Checksums that were computed here, of frames that keep a tag inside.
  public var finishedChecksums: UInt64 = 0

  mutating func add(_ counters: TapQueueCounters) {
    framesRead &+= counters.framesRead.value
    bytesRead &+= counters.bytesRead.value
    framesWritten &+= counters.framesWritten.value
    bytesWritten &+= counters.bytesWritten.value
    truncatedFrames &+= counters.truncatedFrames.value
    malformedFrames &+= counters.malformedFrames.value
    framesWhileDown &+= counters.framesWhileDown.value
    refusedFrames &+= counters.refusedFrames.value
    finishedChecksums &+= counters.finishedChecksums.value
  }
}
