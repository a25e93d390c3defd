public import SCSI

/// How a SCSI controller of the bus is to be used.
public struct StorvscOptions: Sendable {
  /// The most sub-channels that are asked for; the host may give fewer.
  public var subChannelCount = 4
  /// The length of each ring in bytes, control page included.
  public var ringByteCount = 256 * 1024
  /// The most bytes that one SCSI request moves; the host may allow fewer.
  public var maximumTransferByteCount = 1 << 20
  /// How long the host may take for a step of the initialization or a control command.
  public var stepMilliseconds = 60_000
  /// How long the host may take for a request before it counts as stalled.
  public var requestMilliseconds = 180_000
  /// How long a disk may say that it is busy, or not ready yet.
  public var busyMilliseconds = 180_000
  /// How long requests wait for a lost controller to come back.
  public var outageMilliseconds = 60_000
  /// The length of a bounce buffer in bytes: a multiple of 4096.
  public var bounceByteCount = 64 * 1024
  /// The bounce buffers of a queue.
  public var bounceCount = 8

  /// The usual values.
  public init() {}

  /// These options with every value in its possible range.
  var clamped: StorvscOptions {
    var options = self
    options.subChannelCount = min(max(0, subChannelCount), 63)
    options.ringByteCount = min(max(16 * 1024, ringByteCount), 16 << 20) & ~4095
    options.maximumTransferByteCount = min(max(4096, maximumTransferByteCount), 2 << 20) & ~4095
    options.bounceByteCount = min(max(4096, bounceByteCount), options.maximumTransferByteCount) & ~4095
    options.bounceCount = min(max(1, bounceCount), 256)
    options.stepMilliseconds = max(1, stepMilliseconds)
    options.requestMilliseconds = max(1, requestMilliseconds)
    options.busyMilliseconds = max(1, busyMilliseconds)
    options.outageMilliseconds = max(0, outageMilliseconds)
    return options
  }
}

/// What a controller tells its supervisor. Events come on whatever thread finds them: take a note, return at once.
public enum StorvscEvent: Sendable {
  /// The set of disks has changed: call `rescan`. Not repeated until then.
  case busChanged
  /// The disk has another size; its `info` shows it already.
  case capacityChanged(StorvscDisk)
  /// The disk reported another condition.
  case unitAttention(StorvscDisk, SenseData)
  /// The disk refused a write because it is protected; its `info` shows it already.
  case becameReadOnly(StorvscDisk)
  /// The disk is gone; its requests fail.
  case diskGone(StorvscDisk)
  /// A request of the disk has not been answered in time. Its memory is the host's until `detach` has closed the
  /// channels: call that to end the wait.
  case stalled(StorvscDisk)
  /// A channel was lost. Requests wait for `reattach` as long as the options allow.
  case channelLost
}
