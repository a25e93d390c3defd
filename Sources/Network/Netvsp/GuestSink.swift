import Ethernet
import LinuxIO
import VMBusChannel

/// The guest as a sink of frames: one queue of the port forwards to it.
final class GuestSink: EthernetSink {
  private var path: ReceivePath

  init(_ channel: Channel, counters: NetvspCounters) throws(Errno) {
    path = try ReceivePath(channel, counters: counters)
  }

  func send(_ frame: LentFrame) -> Bool { path.send(frame) }
  func reserve() -> FrameRoom? { path.reserve() }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    path.commit(start: start, byteCount: byteCount, offload: offload)
  }
  func flush() { path.flush() }

  // MARK: The channel's own

  /// What the guest did wrong.
  var fault: ChannelError? { path.fault }
  /// Whether a packet waits for room in the ring.
  var isStuck: Bool { path.isStuck }
  /// Whether frames are with the guest, or on their way.
  var isIdle: Bool { path.isIdle }
  /// Whether there may be room again, since the last time that this was asked.
  func takeRoomNotice() -> Bool { path.takeRoomNotice() }
  func apply(_ plan: ChannelPlan, index: Int) { path.apply(plan, index: index) }
  func owns(_ transactionID: UInt64) -> Bool { path.owns(transactionID) }
  func complete(_ transactionID: UInt64) -> Bool { path.complete(transactionID) }
}
