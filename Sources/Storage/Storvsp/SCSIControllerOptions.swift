/// What a controller offers to every guest.
public struct SCSIControllerOptions: Sendable, Equatable {
  /// The most bytes of one request, as the properties tell the guest: a multiple of 4096, at most 2 MiB.
  public var maximumTransferByteCount = 1 << 20
  /// The most channels beyond the primary one; disks that serve fewer queues lower it.
  public var maximumSubChannelCount = 3
  /// The most requests in flight on one channel, 1 to 256.
  public var channelDepth = ChannelServer.maximumDepth

  /// The usual values.
  public init() {}

  /// The values, brought into their ranges.
  var clamped: SCSIControllerOptions {
    var result = self
    result.maximumTransferByteCount = min(max(maximumTransferByteCount & ~4095, 4096), 2 << 20)
    result.maximumSubChannelCount = min(max(maximumSubChannelCount, 0), 255)
    result.channelDepth = min(max(channelDepth, 1), ChannelServer.maximumDepth)
    return result
  }
}
