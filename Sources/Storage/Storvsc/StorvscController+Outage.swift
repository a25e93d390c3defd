import LinuxIO
import Synchronization
public import VMBusChannel

extension StorvscController {
  /// Makes every queue stop using its channel, then closes the device: afterwards the host can't touch any memory. Requests
  /// wait for `reattach`; those that were not answered in time end.
  ///
  /// - Throws: `.timedOut` when the owner of a queue does not look at it; the device stays open then.
  public func detach() throws(ChannelError) {
    try exclusively { () throws(ChannelError) in try detachQueues() }
  }

  private func detachQueues() throws(ChannelError) {
    let wasClosed = hostGone.load(ordering: .acquiring)
    for port in ports {
      let isQueues = port.state.withLock { state in
        state.channel = nil
        return state.queueHasChannel
      }
      if isQueues { port.post(.detach) }
    }
    for port in ports {
      let isFree: Bool? = port.state.wait(milliseconds: options.stepMilliseconds) { $0.queueHasChannel ? nil : true }
      guard isFree != nil else { throw .timedOut(what: "the owner of a queue") }
    }
    if !wasClosed { state.withLock { $0.device }.close() }
    hostGone.store(true, ordering: .releasing)
    for port in ports { port.wake.signal() }
  }

  /// Ends the service: requests that are still running fail with `.gone`.
  public func close() {
    do throws(ChannelError) {
      try detach()
    } catch {
      // An owner that never looks again has its memory taken away by the bus; nothing better can be done.
      state.withLock { $0.device }.close()
      hostGone.store(true, ordering: .releasing)
    }
    for port in ports where port.state.withLock({ $0.isClaimed }) { port.post(.fail) }
    for disk in state.withLock({ $0.disks }) { disk.setGone(true) }
    state.withLock { $0.disks = [] }
  }

  /// Goes on over `device`, which the bus offered after the old one was lost: initialization, a check that each disk is
  /// still the same, then each queue gets its new channel and repeats what was not answered, writes first.
  ///
  /// A disk that is missing, or another one by its name or sector size, is gone. Channels that the host gives no more
  /// fail the requests of their queues.
  ///
  /// - Throws: as `init`; the controller stays without channels then, and `reattach` may be called again.
  public func reattach(device: any GuestDevice) throws(ChannelError) {
    try exclusively { () throws(ChannelError) in
      try detachQueues()
      let sample = state.withLock { $0.controlMemory }
      if let sample {
        let old = state.withLock { $0.device }.memory.guestAddress(of: sample)
        guard device.memory.guestAddress(of: sample) == old else {
          throw .protocolFault("the guest's memory has moved")
        }
      }
      do throws(ChannelError) {
        let (channels, session) = try Self.open(device, options, subChannelCount: ports.count - 1)
        let primary = ChannelHandover(channel: channels[0])
        state.withLock {
          $0.device = device
          $0.session = session
        }
        try withPrimary(primary) { () throws(ChannelError) in try matchDisks(isNewHost: true) }
        hostGone.store(false, ordering: .releasing)
        for (port, channel) in zip(ports, channels) { hand(ChannelHandover(channel: channel), to: port) }
        for port in ports.dropFirst(channels.count) where port.state.withLock({ $0.isClaimed }) { port.post(.fail) }
      } catch {
        device.close()
        hostGone.store(true, ordering: .releasing)
        throw error
      }
    }
  }

  /// Runs `body` with a primary channel that no queue has yet.
  private func withPrimary(
    _ primary: ChannelHandover, _ body: () throws(ChannelError) -> Void
  ) throws(ChannelError) {
    let wasClaimed = ports[0].state.withLock { state in
      defer {
        state.isClaimed = false
        state.channel = primary
      }
      return state.isClaimed
    }
    defer {
      ports[0].state.withLock { state in
        state.isClaimed = wasClaimed
        state.channel = nil
      }
    }
    try body()
  }

  private func hand(_ channel: ChannelHandover, to port: StorvscPort) {
    let isClaimed = port.state.withLock { state in
      if state.isClaimed {
        state.order = .attach(channel)
        state.queueHasChannel = true
      } else {
        state.channel = channel
      }
      return state.isClaimed
    }
    guard isClaimed else { return }
    port.hasMail.store(true, ordering: .releasing)
    port.wake.signal()
  }
}
