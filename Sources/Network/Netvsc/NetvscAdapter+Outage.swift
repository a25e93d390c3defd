import Ethernet
import LinuxIO
import NetvscProtocol
public import VMBusChannel

extension NetvscAdapter {
  /// Ends the service: the queues end, and once their owners have closed them the host is told in order, the channels are
  /// closed and the buffers taken back. Owners that do not let go in time lose the channels anyway.
  ///
  /// The memory stays for `reopen`.
  public func close() {
    try? exclusively { () throws(ChannelError) in closeNIC() }
  }

  /// Goes on over `device`, which may be the same after `close`, or the one that the bus offered after the old one was
  /// lost: a bring-up from the start, with the same memory. What was set at run time is set again.
  ///
  /// - Parameter mtu: the MTU that is asked for from now on; nil for the one before.
  /// - Throws: as `init`; `.timedOut` when an owner does not let go of a queue. `reopen` may be called again then.
  public func reopen(device: any GuestDevice, mtu: Int? = nil) throws(ChannelError) {
    try exclusively { () throws(ChannelError) in
      closeNIC()
      let (ports, memory, old) = state.withLock { ($0.nic.ports, $0.memory, $0.device) }
      guard !ports.contains(where: \.isClaimed) else { throw .timedOut(what: "the owner of a queue") }
      var options = state.withLock { $0.options }
      if let mtu { options.mtu = mtu }
      options = options.clamped
      if memory.isTainted || !memory.belongs(to: device) {
        memory.free(old)
        let new = try NetvscMemory(device, options)
        state.withLock { $0.memory = new }
      }
      let wanted = options
      state.withLock { $0.options = wanted }
      try open(device, options)
      // The bring-up has switched it on.
      if state.withLock({ !$0.isCoalescingWanted }) {
        state.withLock { $0.isCoalescingWanted = true }
        setOffloads([])
      }
    }
  }

  private func closeNIC() {
    let (device, nic, wasOpen, milliseconds, memory, control) = state.withLock { state in
      defer { state.isOpen = false }
      return (
        state.device, state.nic, state.isOpen, state.options.stepMilliseconds, state.memory, state.control
      )
    }
    for port in nic.ports { port.stop() }
    for port in nic.ports { _ = port.awaitRelease(milliseconds: milliseconds) }
    guard wasOpen else { return }
    if link.fault == nil, !device.isLost { try? quiesce(nic, control) }
    link.end(.lost)
    control.end()
    device.close()
    for gpadl in [nic.receiveGPADL, nic.sendGPADL] {
      if let gpadl, !device.tearDownGPADL(gpadl) { memory.taint() }
    }
    for port in nic.ports where !port.isClaimed { port.clear() }
  }

  /// The order in which a NIC is shut down, as far as the host goes along.
  private func quiesce(_ nic: OpenNIC, _ control: ControlLink) throws(ChannelError) {
    var queues: [NetvscQueue] = []
    defer { for port in nic.ports.prefix(queues.count) { port.giveBack() } }
    for port in nic.ports {
      guard let borrowed = port.borrow() else { return }
      queues.append(borrowed.queue)
    }
    let milliseconds = min(state.withLock { $0.options.stepMilliseconds }, 2_000)
    let exchange = ControlExchange(queue: queues[0], link: control, milliseconds: milliseconds)
    let id = control.post(isAwaited: true) {
      ControlMessages.set($0, .currentPacketFilter, ControlMessages.word(0))
    }
    do throws(ChannelError) { _ = try exchange.reply(to: id, "the packet filter") } catch {
      // Who is silent now will not answer the rest either.
      if case .timedOut = error { throw error }
    }
    // Whatever is on its way comes home: the frames sent, and the replies owed.
    for queue in queues {
      let pump = ControlExchange(queue: queue, link: control, milliseconds: milliseconds)
      _ = queue.forward(to: LosingSink(), limit: 1024)
      try? pump.pump("the frames on their way") {
        queue.outstandingCount == 0 && queue.toSend.isEmpty && queue.cut == nil && queue.replies.isEmpty
          && queue.arrivals.isEmpty && !queue.isPacketOpen
      }
    }
    _ = control.post(isAwaited: false) { ControlMessages.halt($0) }
    try? exchange.pump("RNDIS HALT") { control.isIdle }
    for queue in queues {
      _ = queue.forward(to: LosingSink(), limit: 1024)
      queue.flush()
    }
    try exchange.tell(.revokeReceiveBuffer(NVSPBuffer.receiveBufferID), "the revocation of the receive buffer")
    try exchange.tell(.revokeSendBuffer(0), "the revocation of the send buffer")
  }
}
