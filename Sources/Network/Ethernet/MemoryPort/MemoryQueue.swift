import LinuxIO
import SharedMemory

/// One queue of a `MemoryPort`.
final class MemoryQueue: EthernetQueue {
  private let link: MemoryLink
  private let side: Int
  private let index: Int
  private let incoming: FrameRing
  private let outgoing: FrameRing
  private let event: EventFD
  private var consumed: UInt64
  private var produced: UInt64
  private var lent = ScatterTable(capacity: 2)
  private var room = ScatterTable(capacity: 2)

  init(_ link: MemoryLink, side: Int, index: Int) {
    self.link = link
    self.side = side
    self.index = index
    let end = link.ends[side][index]
    incoming = end.incoming
    outgoing = end.outgoing
    event = end.event
    consumed = end.incoming.consumedIndex
    produced = end.outgoing.producedIndex
  }

  var readinessDescriptor: Int32 { event.descriptor }

  var isEnded: Bool { link.hasEnded }

  func prepareToWait(forRoom: Bool) -> Bool {
    event.drain()
    flush()
    var isReady = incoming.waitForFrame(at: consumed)
    if forRoom, outgoing.waitForRoom(at: produced) { isReady = true }
    return isReady || link.hasEnded
  }

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    var result = ForwardResult(frameCount: 0, isBlocked: false)
    while result.frameCount < limit, let frame = incoming.frame(at: consumed) {
      guard link.options.lends ? lend(frame, to: sink) : copy(frame, to: sink) else {
        result.isBlocked = true
        break
      }
      consumed += 1
      result.frameCount += 1
    }
    incoming.publish(consumed: consumed)
    return result
  }

  private func lend(_ frame: RingFrame, to sink: any EthernetSink) -> Bool {
    let first = incoming.pieces(consumed, start: frame.start, count: frame.byteCount, into: &lent)
    let headers = min(first, LentFrame.copiedHeaderByteCount)
    return sink.send(LentFrame(bytes: lent.list, headerByteCount: headers, offload: frame.offload))
  }

  /// Works as a queue does whose frames the kernel holds: a tag that is told stood in the frame before, so that the frame
  /// starts 4 bytes later.
  private func copy(_ frame: RingFrame, to sink: any EthernetSink) -> Bool {
    guard let target = sink.reserve()?.bytes else { return false }
    let start = frame.offload.vlan == nil ? 0 : 4
    // What does not fit is dropped.
    guard start + frame.byteCount <= target.byteCount else { return true }
    _ = incoming.pieces(consumed, start: frame.start, count: frame.byteCount, into: &lent)
    target.copyIn(lent.list, at: start)
    sink.commit(start: start, byteCount: frame.byteCount, offload: frame.offload)
    return true
  }

  func send(_ frame: LentFrame) -> Bool {
    guard frame.byteCount <= FrameRing.roomByteCount else { return true }
    guard outgoing.hasRoom(at: produced) else { return false }
    _ = outgoing.pieces(produced, start: 0, count: frame.byteCount, into: &room)
    room.list.copyIn(frame.bytes, at: 0)
    outgoing.describe(produced, RingFrame(start: 0, byteCount: frame.byteCount, offload: frame.offload))
    produced += 1
    return true
  }

  func reserve() -> FrameRoom? {
    guard outgoing.hasRoom(at: produced) else { return nil }
    _ = outgoing.pieces(produced, start: 0, count: FrameRing.roomByteCount, into: &room)
    return FrameRoom(bytes: room.list)
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    precondition(start >= 0 && start < 64 && byteCount >= 0 && start + byteCount <= FrameRing.roomByteCount)
    outgoing.describe(produced, RingFrame(start: start, byteCount: byteCount, offload: offload))
    produced += 1
  }

  func flush() {
    outgoing.publish(produced: produced)
  }

  func close() {
    flush()
    link.release(side: side, index: index)
  }
}
