public import Ethernet
import LinuxIO
import NetvscProtocol
public import VMBusChannel

extension NetvscAdapter {
  /// Which frames the host is to deliver. Never waits: the request is sent by whoever has the primary channel.
  ///
  /// The host knows no list of groups, and one address: a filter with groups lets all groups pass, one for another address
  /// lets everything pass.
  public func setFilter(_ filter: EthernetFilter) {
    let (control, isOpen) = state.withLock { state in
      state.filter = filter
      return (state.control, state.isOpen)
    }
    guard isOpen else { return }
    let bits = PacketFilter(filter, own: link.info.address)
    _ = control.post(isAwaited: false) {
      ControlMessages.set($0, .currentPacketFilter, ControlMessages.word(bits.rawValue))
    }
    sendIfUnclaimed()
  }

  /// Has the host coalesce TCP segments only if the other end takes frames that are to be cut. Never waits.
  public func setOffloads(_ offloads: OffloadSet) {
    let isWanted = offloads.isSuperset(of: [.tcp4, .tcp6])
    let (control, mustTell) = state.withLock { state in
      defer { state.isCoalescingWanted = isWanted }
      return (
        state.control, state.isOpen && state.nic.session.isCoalescing && state.isCoalescingWanted != isWanted
      )
    }
    guard mustTell else { return }
    _ = control.post(isAwaited: false) {
      ControlMessages.set($0, .offloadParameters, ControlMessages.coalescing(isWanted))
    }
    sendIfUnclaimed()
  }

  /// Gives the NIC another address; the host may allow that only while the link is down.
  ///
  /// - Throws: `.refused`, `.timedOut`, `.lost`.
  public func setAddress(_ address: MACAddress) throws(ChannelError) {
    guard address.isUsable else { throw .refused(what: "the address \(address)", status: 0) }
    try exclusively { () throws(ChannelError) in
      let what = "the NIC's address"
      let reply = try request(what) {
        ControlMessages.set(
          $0, .rndisConfigurationParameter, RNDISConfigurationParameter(address: address).bytes)
      }
      try ControlMessages.check(reply, what)
      state.withLock { $0.address = address }
      link.change { $0.address = address }
    }
    if let filter = state.withLock({ $0.filter }) { setFilter(filter) }
  }

  /// Lets the control thread look at channels that have no owner: indications, keep-alives. To be called now and then,
  /// for example every second.
  public func poll() {
    guard !isLost else { return }
    try? exclusively { () throws(ChannelError) in
      guard let port = state.withLock({ $0.nic.ports.first }), let borrowed = port.borrow() else { return }
      defer { port.giveBack() }
      _ = borrowed.queue.forward(to: LosingSink(), limit: 1024)
      borrowed.queue.flush()
    }
  }

  /// Sends a request and waits for its reply, whoever has the primary channel.
  func request(_ what: String, _ make: (UInt32) -> [UInt8]) throws(ChannelError) -> [UInt8] {
    let (control, port, milliseconds) = state.withLock {
      ($0.control, $0.nic.ports.first, $0.options.stepMilliseconds)
    }
    guard let port, !isLost else { throw .lost }
    let id = control.post(isAwaited: true, make)
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while true {
      let now = monotonicNanoseconds()
      if now >= deadline {
        control.abandon(id)
        throw .timedOut(what: what)
      }
      let left = Int((deadline - now) / 1_000_000) + 1
      if let borrowed = port.borrow() {
        defer { port.giveBack() }
        return try ControlExchange(queue: borrowed.queue, link: control, milliseconds: left).reply(to: id, what)
      }
      // The owner of the queue sends it; it may let go of the queue meanwhile.
      if let reply = control.reply(to: id, milliseconds: min(left, 50)) { return reply }
      if control.isSettled(id) { throw .lost }
    }
  }

  /// A request that nobody waits for still needs somebody who sends it.
  private func sendIfUnclaimed() {
    guard let port = state.withLock({ $0.nic.ports.first }), let borrowed = port.borrow() else { return }
    defer { port.giveBack() }
    _ = borrowed.queue.forward(to: LosingSink(), limit: 1024)
    borrowed.queue.flush()
  }
}
