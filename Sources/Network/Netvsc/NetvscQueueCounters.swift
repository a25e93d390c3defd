import LinuxIO
import VMBusChannel

/// What the queue on a channel did: words of its thread that anybody may read.
final class NetvscQueueCounters: Sendable {
  let receivedFrames = Counter()
  let receivedBytes = Counter()
  let receivedPackets = Counter()
  let receivedDrops = Counter()
  let coalescedFrames = Counter()
  let sentFrames = Counter()
  let sentBytes = Counter()
  let sentDrops = Counter()
  let sendErrors = Counter()
  let largeSends = Counter()
  let checksumRequests = Counter()
  let softwareChecksums = Counter()
  let cutFrames = Counter()
  let longFrames = Counter()
  let fullRings = Counter()
  let noRoom = Counter()
  let doorbells = Counter()
  let strayCompletions = Counter()
  let protocolFaults = Counter()

  var snapshot: NetvscQueueStatistics {
    NetvscQueueStatistics(
      receivedFrames: receivedFrames.value, receivedBytes: receivedBytes.value,
      receivedPackets: receivedPackets.value, receivedDrops: receivedDrops.value,
      coalescedFrames: coalescedFrames.value, sentFrames: sentFrames.value, sentBytes: sentBytes.value,
      sentDrops: sentDrops.value, sendErrors: sendErrors.value, largeSends: largeSends.value,
      checksumRequests: checksumRequests.value, softwareChecksums: softwareChecksums.value,
      cutFrames: cutFrames.value, longFrames: longFrames.value, fullRings: fullRings.value, noRoom: noRoom.value,
      doorbells: doorbells.value, strayCompletions: strayCompletions.value, protocolFaults: protocolFaults.value)
  }
}

/// Counts of what a queue of a NIC did.
public struct NetvscQueueStatistics: Sendable, Equatable {
  /// Frames that were handed on; one that the host had coalesced counts once.
  public var receivedFrames: UInt64 = 0
  /// Their bytes.
  public var receivedBytes: UInt64 = 0
  /// Packets in which they came.
  public var receivedPackets: UInt64 = 0
  /// Pieces of the receive buffer that held no frame, or a broken one.
  public var receivedDrops: UInt64 = 0
  /// Frames that the host had coalesced.
  public var coalescedFrames: UInt64 = 0
  /// Frames given to the host, after cutting.
  public var sentFrames: UInt64 = 0
  /// Their bytes.
  public var sentBytes: UInt64 = 0
  /// Frames that can never be sent: too short, too long, or not what their offload says.
  public var sentDrops: UInt64 = 0
  /// Frames that the host refused.
  public var sendErrors: UInt64 = 0
  /// Frames that the host cuts into segments.
  public var largeSends: UInt64 = 0
  /// Frames whose checksum the host computes.
  public var checksumRequests: UInt64 = 0
  /// Frames whose checksum was computed here.
  public var softwareChecksums: UInt64 = 0
  /// Frames that were cut here, since the host can't, or not at that length.
  public var cutFrames: UInt64 = 0
  /// Frames that did not fit a section of the send buffer.
  public var longFrames: UInt64 = 0
  /// Times that the ring had no room.
  public var fullRings: UInt64 = 0
  /// Times that a frame had to wait for memory that the host still had.
  public var noRoom: UInt64 = 0
  /// Doorbells that were rung to wake the host; a host on the same thread needs none.
  public var doorbells: UInt64 = 0
  /// Completions of frames that were not on their way.
  public var strayCompletions: UInt64 = 0
  /// Packets that the host should not have sent.
  public var protocolFaults: UInt64 = 0
}
