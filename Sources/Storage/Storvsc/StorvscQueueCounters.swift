import LinuxIO

/// What the queue on a channel did: words of its thread that anybody may read.
final class StorvscQueueCounters: Sendable {
  let requests = Counter()
  let commands = Counter()
  let doorbells = Counter()
  let bounces = Counter()
  let retries = Counter()
  let replays = Counter()
  let protocolFaults = Counter()
  let fullRings = Counter()
  let timeouts = Counter()

  var snapshot: StorvscQueueStatistics {
    StorvscQueueStatistics(
      requests: requests.value, commands: commands.value, doorbells: doorbells.value, bounces: bounces.value,
      retries: retries.value, replays: replays.value, protocolFaults: protocolFaults.value,
      fullRings: fullRings.value, timeouts: timeouts.value)
  }
}

/// Counts of the queues that a channel has served.
public struct StorvscQueueStatistics: Sendable, Equatable {
  /// Requests submitted.
  public var requests: UInt64 = 0
  /// SCSI requests sent, repetitions included.
  public var commands: UInt64 = 0
  /// Doorbells that were rung to wake the host; a host on the same thread needs none.
  public var doorbells: UInt64 = 0
  /// Transfers that went through a buffer of the queue.
  public var bounces: UInt64 = 0
  /// SCSI requests that were repeated after an error.
  public var retries: UInt64 = 0
  /// SCSI requests that were repeated on a new channel.
  public var replays: UInt64 = 0
  /// Packets that the host should not have sent.
  public var protocolFaults: UInt64 = 0
  /// Times that the ring had no room.
  public var fullRings: UInt64 = 0
  /// Requests that were not answered in time.
  public var timeouts: UInt64 = 0
}
