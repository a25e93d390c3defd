import Ethernet
import LinuxIO
import NetvscProtocol
import VMBusChannel
import WireBytes

/// Drives the primary channel from the control thread: one request at a time, each with a bounded wait. Frames that come
/// meanwhile are lost, as on a link that is down.
struct ControlExchange {
  let queue: NetvscQueue
  let link: ControlLink
  let milliseconds: Int

  /// The longest time between two looks at the channel, in milliseconds.
  private static let lookMilliseconds = 1_000

  // MARK: NVSP

  /// Sends a request and waits for the message in its completion.
  ///
  /// - Throws: `.timedOut`, `.lost`, `.protocolFault`, and what the channel throws.
  func transact(_ request: NVSPRequest, _ what: String) throws(ChannelError) -> NVSPCompletion {
    queue.controlSequence &+= 1
    queue.controlReply = nil
    try send(request, id: queue.controlID, requestsCompletion: true, what)
    try pump(what) { queue.controlReply != nil }
    guard let reply = queue.controlReply else { throw .timedOut(what: what) }
    do throws(NetvscError) {
      return try NVSPCompletion(parsing: reply.rawSpan)
    } catch {
      throw .protocolFault("the answer to \(what): \(error)")
    }
  }

  /// Sends a message that has no answer.
  func tell(_ request: NVSPRequest, _ what: String) throws(ChannelError) {
    // Linux gives these an id that no request has.
    try send(request, id: 0xffff_ffff_ffff_fffd, requestsCompletion: false, what)
  }

  private func send(
    _ request: NVSPRequest, id: UInt64, requestsCompletion: Bool, _ what: String
  ) throws(ChannelError) {
    let payload = [UInt8](zeroed: NVSPRequest.byteCount) { _ = request.store(into: &$0) }
    var isSent = false
    var fault: ChannelError?
    // A full ring empties by itself.
    try pump(what) {
      do throws(ChannelError) {
        isSent = try queue.channel.sendInBand(
          transactionID: id, requestsCompletion: requestsCompletion, payload: payload.rawSpan)
      } catch {
        fault = error
        return true
      }
      if !isSent { queue.ringIsFull() }
      return isSent
    }
    if let fault { throw fault }
    queue.hasUnflushed = true
    queue.flush()
  }

  // MARK: RNDIS

  /// Waits for the reply to a posted request.
  func reply(to id: UInt32, _ what: String) throws(ChannelError) -> [UInt8] {
    do throws(ChannelError) {
      try pump(what) { link.isSettled(id) }
    } catch {
      link.abandon(id)
      throw error
    }
    guard let reply = link.reply(to: id, milliseconds: 0) else { throw .lost }
    return reply
  }

  // MARK: Turns

  /// Lets the queue work until `isDone`.
  ///
  /// - Throws: `.timedOut`, and why the queue ended.
  func pump(_ what: String, until isDone: () -> Bool) throws(ChannelError) {
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    let sink = LosingSink()
    while true {
      if isDone() { return }
      _ = queue.forward(to: sink, limit: 1024)
      queue.flush()
      if let fault = queue.fault { throw fault }
      if queue.channel.isLost { throw .lost }
      if isDone() { return }
      let now = monotonicNanoseconds()
      if now >= deadline { throw .timedOut(what: what) }
      if queue.prepareToSleep(forRoom: false) { continue }
      // What `isDone` waits for may be room in the ring, for which nobody is asked.
      let look = queue.isRingFull ? 1 : min(Self.lookMilliseconds, 1 + milliseconds / 10)
      queue.sleep(milliseconds: min(look, Int((deadline - now) / 1_000_000) + 1))
    }
  }
}

/// Takes every frame and does nothing with it.
final class LosingSink: EthernetSink {
  func send(_ frame: LentFrame) -> Bool { true }
  func reserve() -> FrameRoom? { nil }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
  func flush() {}
}
