import Ethernet
import LinuxIO

/// One queue of a switch port: an inbox that other threads fill, and, where the uplink has one for it, a queue of the
/// uplink.
final class SwitchQueue: EthernetQueue {
  private let port: SwitchPort
  private let router: FrameRouter
  private let inbox: InboxReader
  /// What queues without a queue of the uplink want to be sent there.
  private let uplinkInbox: InboxReader?
  private var uplinkQueue: (any EthernetQueue)?
  private let epoll: Epoll
  private let fromNIC: RoutingSink
  private let fromUplink: RoutingSink
  private var isClosed = false
  /// Whether the uplink refused the first frame of `uplinkInbox`.
  private var uplinkIsFull = false
  /// Whether the sink of the last `forward` refused a frame.
  private var sinkIsFull = false
  /// Nil without a queue of the uplink.
  private let retry: RetryTimer?

  /// - Parameter uplinkQueue: owned from now on; nil where the uplink has none.
  init(_ port: SwitchPort, uplinkQueue: (any EthernetQueue)?) throws(Errno) {
    self.port = port
    self.uplinkQueue = uplinkQueue
    let fabric = port.fabric
    let signal = try InboxSignal()
    inbox = try FrameInbox(capacity: fabric.options.inboxCapacity, signal: signal).makeReader()
    uplinkInbox =
      uplinkQueue == nil
      ? nil : try FrameInbox(capacity: fabric.options.inboxCapacity, signal: signal).makeReader()
    epoll = try Epoll(capacity: 3)
    try epoll.add(signal.descriptor, token: 0)
    if let uplinkQueue {
      retry = try RetryTimer()
      try epoll.add(uplinkQueue.readinessDescriptor, token: 1)
      if let retry { try epoll.add(retry.descriptor, token: 2) }
    } else {
      retry = nil
    }
    router = FrameRouter(fabric)
    fromNIC = RoutingSink(
      router, source: port.id, nearMember: SwitchMap.uplink,
      requiredAddress: fabric.options.preventsSpoofing && port.address.isUsable ? port.address : nil)
    fromNIC.nearSink = uplinkQueue
    fromUplink = RoutingSink(router, source: SwitchMap.uplink, nearMember: port.id, overflow: inbox.inbox)
    fabric.changePort(port.id) { $0.inboxes.append(inbox.inbox) }
    if let uplinkInbox { fabric.addUplinkInbox(uplinkInbox.inbox) }
  }

  deinit {
    if !isClosed { close() }
  }

  var readinessDescriptor: Int32 { epoll.descriptor }

  var isEnded: Bool { port.isClosed }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    let own = inbox.inbox
    port.fabric.changePort(port.id) { state in state.inboxes.removeAll { $0 === own } }
    dropUplinkQueue()
    port.queueHasEnded()
  }

  private func dropUplinkQueue() {
    guard let queue = uplinkQueue else { return }
    epoll.remove(queue.readinessDescriptor)
    if let uplinkInbox { port.fabric.removeUplinkInbox(uplinkInbox.inbox) }
    fromNIC.nearSink = nil
    uplinkQueue = nil
    queue.close()
  }

  // MARK: From the NIC

  func send(_ frame: LentFrame) -> Bool { isEnded || fromNIC.send(frame) }

  func reserve() -> FrameRoom? { fromNIC.reserve() }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    if !isEnded { fromNIC.commit(start: start, byteCount: byteCount, offload: offload) }
  }

  func flush() { fromNIC.flush() }

  // MARK: To the NIC

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    inbox.finishWait()
    retry?.acknowledge()
    router.refresh()
    router.finishRound()
    serveUplinkInbox()
    // The inbox may take half of the round, and the uplink what is left: neither starves.
    var result = forwardInbox(to: sink, limit: uplinkQueue == nil ? limit : max(1, limit / 2))
    sinkIsFull = result.isBlocked
    if result.frameCount > 0 { retry?.reset() }
    if let uplinkQueue, limit > result.frameCount {
      fromUplink.beginRound(nearIsFull: result.isBlocked)
      fromUplink.nearSink = sink
      let second = uplinkQueue.forward(to: fromUplink, limit: limit - result.frameCount)
      fromUplink.nearSink = nil
      result.frameCount += second.frameCount
      result.isBlocked = result.isBlocked || second.isBlocked
      sinkIsFull = result.isBlocked || fromUplink.nearIsFull
      if uplinkQueue.isEnded { dropUplinkQueue() }
    }
    if othersNeedThis { result.isBlocked = false }
    return result
  }

  /// Whether other ports get frames through this queue's part of the uplink. Its owner must not stop to listen to it then,
  /// as it would if the NIC were told to be full: frames for the NIC wait in the inbox, and room is looked for by time.
  private var othersNeedThis: Bool { uplinkQueue != nil && router.map.ports.count > 1 }

  private func forwardInbox(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    if isEnded || router.map.port(port.id)?.filter?.isClosed == true {
      return ForwardResult(frameCount: inbox.discardAll(), isBlocked: false)
    }
    var count = 0
    while count < limit, let frame = inbox.first() {
      guard sink.send(frame) else { return ForwardResult(frameCount: count, isBlocked: true) }
      inbox.removeFirst()
      count += 1
    }
    return ForwardResult(frameCount: count, isBlocked: false)
  }

  /// Sends what other threads want to have sent; their frames do not count as moved.
  private func serveUplinkInbox() {
    uplinkIsFull = false
    guard let uplinkInbox, uplinkInbox.hasFrame else { return }
    guard let uplinkQueue else {
      uplinkInbox.discardAll()
      return
    }
    for _ in 0..<uplinkInbox.inbox.capacity {
      guard let frame = uplinkInbox.first() else { break }
      guard uplinkQueue.send(frame) else {
        uplinkIsFull = true
        break
      }
      uplinkInbox.removeFirst()
    }
    uplinkQueue.flush()
  }

  func prepareToWait(forRoom: Bool) -> Bool {
    router.finishRound()
    // Frames that the other side has no room for are nothing to do: its owner waits for that room.
    let hasFrame = inbox.prepareToWait() && !sinkIsFull
    let hasUplinkFrame = uplinkInbox?.hasFrame == true && !uplinkIsFull
    let uplinkIsReady = uplinkQueue?.prepareToWait(forRoom: forRoom || uplinkIsFull) == true
    guard hasFrame || hasUplinkFrame || uplinkIsReady || isEnded else {
      if sinkIsFull, othersNeedThis { retry?.start() }
      return false
    }
    inbox.finishWait()
    return true
  }
}
