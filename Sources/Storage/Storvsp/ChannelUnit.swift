import Block
import LinuxIO

/// One disk as one channel uses it: the queue, made when the first I/O comes, and what is in flight on it.
final class ChannelUnit {
  let nexus: UnitNexus
  var profile: DiskProfile
  var queue: (any BlockQueue)?
  var outstanding = 0
  var hasSubmissions = false
  /// Whether something was written since the last flush of this channel.
  var hasWritten = false
  /// The disk was taken away: no new commands.
  var isRetired = false

  private var finished: UInt64 = 0
  private var seenFinished: UInt64 = 0
  private var seenAt: UInt64 = 0

  init(_ nexus: UnitNexus) {
    self.nexus = nexus
    profile = nexus.disk.profile
  }

  /// A command has ended.
  @inline(__always)
  func finish() {
    outstanding -= 1
    finished &+= 1
  }

  /// Whether no command has ended for a second, as far as those who asked have seen. Asked only when many are in
  /// flight.
  func isStalled() -> Bool {
    let now = monotonicNanoseconds()
    if finished != seenFinished || seenAt == 0 {
      seenFinished = finished
      seenAt = now
    }
    return now - seenAt > 1_000_000_000
  }
}
