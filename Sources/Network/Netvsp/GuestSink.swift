import Ethernet
import LinuxIO
import SharedMemory
import VMBusChannel

/// The guest as a sink of frames: one queue of the port forwards to it.
final class GuestSink: EthernetSink {
  private var path: ReceivePath
  private var finisher: FrameFinisher
  private var table = ScatterTables(count: 1)

  init(_ channel: Channel, counters: NetvspCounters) throws(Errno) {
    path = try ReceivePath(channel, counters: counters)
    finisher = try FrameFinisher()
  }

  func send(_ frame: LentFrame) -> Bool {
    guard path.mustCut(frame.offload) else { return path.send(frame) }
    guard path.hasRoom(forSegmentsOf: frame) else { return false }
    cut(frame)
    return true
  }

  func reserve() -> FrameRoom? { path.reserve() }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    guard path.mustCut(offload) else { return path.commit(start: start, byteCount: byteCount, offload: offload) }
    // The port was asked for no such frames. The segments need the room in which it lies.
    guard let copy = path.takeOut(start: start, byteCount: byteCount) else { return }
    let frame = LentFrame(bytes: table.list(of: copy, slot: 0), headerByteCount: byteCount, offload: offload)
    cut(frame)
  }

  /// Sends the segments of a frame that the guest does not take whole, as far as there is room.
  private func cut(_ frame: LentFrame) {
    let result = finisher.finish(frame, insertsTag: false) { segment in
      if !path.send(segment) { path.counters.receiveDiscards.add(1) }
    }
    if result == .malformed { path.counters.receiveErrors.add(1) }
  }

  func flush() { path.flush() }

  // MARK: The channel's own

  /// What the guest did wrong.
  var fault: ChannelError? { path.fault }
  /// Whether a packet waits for room in the ring.
  var isStuck: Bool { path.isStuck }
  /// Whether frames are with the guest, or on their way.
  var isIdle: Bool { path.isIdle }
  /// The sub-allocations, those that are free, the packets that the guest has, and whether it takes frames.
  var receiveState: (count: Int, freeCount: Int, lentPacketCount: Int, isReceiving: Bool) {
    (path.pool.range.count, path.pool.freeCount, path.pool.lentPacketCount, path.isReceiving)
  }
  /// Whether there may be room again, since the last time that this was asked.
  func takeRoomNotice() -> Bool { path.takeRoomNotice() }
  func apply(_ plan: ChannelPlan, index: Int) { path.apply(plan, index: index) }
  func owns(_ transactionID: UInt64) -> Bool { path.owns(transactionID) }
  func complete(_ transactionID: UInt64) -> Bool { path.complete(transactionID) }
}
