import Ethernet
import LinuxIO
import NetlinkRoute
import Netvsc
import Synchronization
import TapLink
import VMBusChannel
import VMBusProtocol

/// A NIC of the bus as an ordinary link: the driver, the TAP, and a cable for each queue. It follows what the host does
/// (media state, restarts) and what the administrator does (up and down, MTU, address, promiscuity).
///
/// The link stays when the host goes: it has no carrier until the host is back. `reconcile` belongs to one control thread,
/// which calls it whenever `noticeDescriptor` is readable, and each second while there is no carrier.
final class SyntheticLink: Sendable {
  /// Instance of the NIC on the bus.
  let instance: GUID
  /// The link.
  let tap: TapPort
  private let bus: any GuestBus
  private let adapter: NetvscAdapter
  private let notice: EventFD
  private let log: @Sendable (String) -> Void
  private let state = Mutex(State())

  private struct State {
    var cables: [CableThread] = []
    /// What the NIC was last opened with.
    var mtu = 0
    /// The NIC does not take the link's address: it lets everything pass, and the kernel filters.
    var mustBePromiscuous = false
    var filter: EthernetFilter?
    var failure: String?
    var address: MACAddress?
    var hasGivenUp = false
  }

  /// Brings the NIC and the link up.
  ///
  /// - Parameters:
  ///   - device: the NIC.
  ///   - options: of the link; the address of the NIC is taken where there is none, and the number of queues is the most.
  ///   - mac: the address that the NIC is to have; nil for its own.
  /// - Throws: `GatewayError`; nothing is left then.
  init(
    device: any GuestDevice, bus: any GuestBus, options: TapOptions, mac: MACAddress?, what: String,
    log: @escaping @Sendable (String) -> Void
  ) throws(GatewayError) {
    self.bus = bus
    self.log = log
    instance = device.offer.instance
    var driver = NetvscOptions()
    driver.mtu = max(1500, options.mtu ?? 1500)
    driver.queueCount = options.queueCount
    do throws(ChannelError) {
      adapter = try NetvscAdapter(device: device, options: driver)
    } catch .refused(let step, _) where step == "OPEN_CHANNEL" {
      throw GatewayError(
        .busy, what: what, why: "the NIC \(device.offer.instance) can't be opened; another guest may have it",
        advice: "bring it down there, or name another NIC")
    } catch {
      throw GatewayError(GatewayError.kind(of: error), what: what, why: "the NIC does not come up: \(error)")
    }
    let adapter = adapter
    do throws(GatewayError) {
      let most = adapter.info.mtu
      if let mtu = options.mtu, mtu > most {
        throw GatewayError(
          .usage, what: what, why: "the host allows an MTU of \(most) at most, not \(mtu)",
          advice: "use --mtu \(most), or raise `mtu` of the network in the host's configuration")
      }
      if let mac { Self.set(mac, on: adapter, log: log) }
      var options = options
      options.address = mac ?? adapter.info.address
      options.queueCount = adapter.maximumQueueCount
      options.hasCarrier = false
      do throws(TapError) { tap = try TapPort.open(options) } catch { throw GatewayError(error, what: what) }
      do throws(Errno) { notice = try EventFD() } catch {
        throw GatewayError(.failed, what: what, why: "eventfd: \(error)")
      }
    } catch {
      adapter.close()
      throw error
    }
    state.withLock { state in
      state.mtu = driver.mtu
      state.address = tap.state.address
      state.mustBePromiscuous = tap.state.address != adapter.info.address
    }
    let notice = notice
    adapter.observe { notice.signal() }
    tap.observeLink { _ in notice.signal() }
    startCables()
    reconcile()
  }

  /// Readable when `reconcile` has something to do.
  var noticeDescriptor: Int32 { notice.descriptor }

  /// Tells the control thread to look around: a device has come or gone.
  func wake() { notice.signal() }

  /// Says that the host will not come back.
  func giveUp() {
    state.withLock { $0.hasGivenUp = true }
    notice.signal()
  }

  /// Whether the host is gone for good.
  var hasGivenUp: Bool { state.withLock { $0.hasGivenUp } }

  /// Whether frames can move: the host is there.
  var isConnected: Bool { state.withLock { !$0.cables.isEmpty } }

  /// How many queues move frames.
  var queueCount: Int { state.withLock { $0.cables.count } }

  /// What the queues of the NIC have done, over restarts of the host.
  var statistics: [NetvscQueueStatistics] { adapter.queueStatistics }

  /// Makes NIC and link agree again. On the control thread: it may wait for the host.
  ///
  /// - Returns: false when the link is gone, because an administrator has deleted it.
  @discardableResult
  func reconcile() -> Bool {
    notice.drain()
    let link = tap.state
    if link.isGone { return false }
    let (isRunning, mtu) = state.withLock { (!$0.cables.isEmpty, $0.mtu) }
    // Below 1500 the NIC stays as it is: a shorter MTU binds only what is sent.
    let wanted = max(1500, link.mtu)
    if isRunning, adapter.isLost || wanted != mtu {
      log(adapter.isLost ? "the NIC is gone: \(adapter.faultDescription ?? "lost")" : "MTU \(link.mtu)")
      stopCables()
    }
    if !isConnected { restart(mtu: wanted) }
    follow(tap.state)
    try? tap.setCarrier(isConnected && adapter.info.hasCarrier)
    return true
  }

  /// Takes the link away and gives the NIC back to the host.
  func close() {
    stopCables()
    tap.close()
  }

  // MARK: Host

  private func startCables() {
    var cables: [CableThread] = []
    do {
      for index in 0..<min(adapter.maximumQueueCount, tap.maximumQueueCount) {
        let notice = notice
        cables.append(
          try CableThread(
            name: "cable-\(index)", tap.makeQueue(), adapter.makeQueue(), onEnd: { _ in notice.signal() }))
      }
    } catch {
      for cable in cables { cable.stop() }
      state.withLock { $0.failure = "\(error)" }
      return
    }
    tap.setOffloads(.all)
    adapter.setOffloads(.all)
    let running = cables
    state.withLock { $0.cables = running }
  }

  private func stopCables() {
    let cables = state.withLock { state in
      defer { state.cables = [] }
      return state.cables
    }
    try? tap.setCarrier(false)
    for cable in cables { cable.stop() }
    adapter.close()
  }

  /// Opens the NIC again, if the bus has it.
  private func restart(mtu: Int) {
    guard
      let device = (bus.devices as [any GuestDevice]).first(where: {
        $0.offer.interfaceClass == .network && $0.offer.instance == instance && !$0.isLost
      })
    else { return }
    do throws(ChannelError) {
      try adapter.reopen(device: device, mtu: mtu)
    } catch {
      let text = "\(error)"
      let isNew = state.withLock { state in
        defer { state.failure = text }
        return state.failure != text
      }
      if isNew { log("the NIC does not come up: \(text)") }
      return
    }
    state.withLock { state in
      state.mtu = mtu
      state.filter = nil
      state.failure = nil
    }
    if adapter.info.mtu < mtu {
      log("the host allows an MTU of \(adapter.info.mtu) at most")
      try? tap.setMTU(adapter.info.mtu)
      state.withLock { $0.mtu = max(1500, adapter.info.mtu) }
    }
    startCables()
    log("the NIC is up: \(adapter.protocolVersion), \(queueCount) queues")
  }

  // MARK: Administrator

  /// Does to the NIC what was done to the link.
  private func follow(_ link: LinkState) {
    guard isConnected else { return }
    if state.withLock({ $0.address != link.address }) {
      let isTaken = Self.set(link.address, on: adapter, log: log)
      state.withLock { state in
        state.address = link.address
        state.mustBePromiscuous = !isTaken
      }
    }
    let isPromiscuous = link.isPromiscuous || state.withLock { $0.mustBePromiscuous }
    let filter = EthernetFilter(
      acceptsDirected: link.isUp, acceptsAllMulticast: link.isUp, acceptsBroadcast: link.isUp,
      isPromiscuous: link.isUp && isPromiscuous, address: link.address)
    if state.withLock({ $0.filter != filter }) {
      adapter.setFilter(filter)
      state.withLock { $0.filter = filter }
    }
  }

  @discardableResult
  private static func set(
    _ mac: MACAddress, on adapter: NetvscAdapter, log: @Sendable (String) -> Void
  ) -> Bool {
    if adapter.info.address == mac { return true }
    do throws(ChannelError) {
      try adapter.setAddress(mac)
      return true
    } catch {
      log("the host does not give the NIC the address \(mac): \(error)")
      return false
    }
  }
}
