import Ethernet
import FoundationEssentials
import LinuxIO
import NetlinkRoute
import Netvsc
import SyntheticHost
import TapLink
import VMBusChannel
import VMBusProtocol
import VMBusUIO

/// A link from beginning to end, in this process: bus, NIC, TAP; then it serves until it is told to end, or the link is
/// deleted. Whatever it made, it takes away again.
public final class LinkProcess: Sendable {
  private let request: LinkRequest
  private let runtime: RuntimeDirectory
  private let what: String
  private let signals: SignalQueue
  private let log: MountLog

  /// Runs a link.
  ///
  /// - Parameter report: told what happens until the link is there.
  /// - Throws: why it could not be brought up; nothing is left of it then.
  public static func run(_ request: LinkRequest, report: (ProcessReport) -> Void) throws(GatewayError) {
    let runtime = RuntimeDirectory.current
    runtime.cleanUpStale()
    let process = try LinkProcess(request, runtime: runtime)
    defer { runtime.removeLinkState(request.key) }
    try process.run(report)
  }

  private init(_ request: LinkRequest, runtime: RuntimeDirectory) throws(GatewayError) {
    self.request = request
    self.runtime = runtime
    what = "link \(request.name)"
    try request.check()
    do throws(Errno) { signals = try SignalQueue([1, 2, 15]) } catch {
      throw GatewayError(.failed, what: what, why: "signals: \(error)")
    }
    let directory = runtime.linkDirectory(request.key)
    guard try runtime.claim(directory) else {
      throw GatewayError(
        .busy, what: what, why: "Synthgate has this link already", advice: "synthgate link down \(request.name)")
    }
    log = MountLog(path: directory + "/log")
    do throws(GatewayError) { try runtime.writeOwner(directory) } catch {
      runtime.removeLinkState(request.key)
      throw error
    }
  }

  private func run(_ report: (ProcessReport) -> Void) throws(GatewayError) {
    report(.progress("connecting the bus"))
    let queueCount = request.queues ?? min(4, max(1, ProcessInfo.processInfo.activeProcessorCount))
    let claim = request.bus == .hyperv ? try claimNIC() : nil
    defer { withExtendedLifetime(claim) {} }
    // On the kernel's bus the receive and send buffers are the kernel's; what is left are buffers for long frames.
    let memory = claim == nil ? 32 + 8 * queueCount : 2 + 2 * queueCount
    let bus = try GatewayBus(
      request.bus,
      configuration: request.bus == .embedded ? HostConfiguration(networks: [request.network]) : nil,
      instances: claim.map { [$0.instance] } ?? [], memoryByteCount: memory << 20,
      reconnectSeconds: request.reconnectSeconds, what: what)
    defer { bus.close() }
    try throwIfToldToEnd()
    report(.progress("bringing the NIC up"))
    let log = log
    let device = try NICSelector(claim == nil ? request.nic : nil).choose(from: bus.devices, what: what)
    let link = try SyntheticLink(
      device: device, bus: bus.guest, options: tapOptions(queueCount), mac: request.mac, what: what
    ) { log.write($0) }
    defer { link.close() }
    bus.observe { [weak link] event in
      if let line = event.logLine { log.write(line) }
      if case .gaveUp = event { link?.giveUp() } else { link?.wake() }
    }
    var record = LinkRecord(
      name: request.name, netns: request.namespace, bus: request.bus.text, process: ownProcess(),
      processStart: processStartTime(ownProcess()) ?? 0,
      devices: bus.deviceReports(open: [link.instance: link.queueCount]))
    try record.save(request.key, in: runtime)
    let directory = runtime.linkDirectory(request.key)
    let status = StatusServer(path: directory + "/control.sock") { [request] in LinkReport(request, link) }
    defer { status?.stop() }
    let dhcp = request.usesDHCP ? try DHCPClient(request, directory: directory, what: what) : nil
    defer { dhcp?.stop() }
    if let dhcp {
      record.dhcpProcess = dhcp.process
      record.dhcpProcessStart = processStartTime(dhcp.process)
      try record.save(request.key, in: runtime)
      report(.progress("waiting for a DHCP lease"))
      try awaitLease(dhcp, link)
    }
    log.write("up")
    report(.ready)
    serve(link)
    log.write("ending")
  }

  /// The attached NIC that is meant, for this process alone: by number or name, else the first that nobody uses.
  private func claimNIC() throws(GatewayError) -> DeviceClaim {
    let guest = HyperVGuest()
    try guest.check(what)
    let attached = try guest.attached(.network, "NIC", what: what)
    var fitting = attached
    if let nic = request.nic {
      if let index = Int(nic), nic.count < 8 {
        guard attached.indices.contains(index) else {
          throw GatewayError(
            .notFound, what: what, why: "no NIC \(index) is attached",
            advice: "attached are: \(attached.map(\.name).joined(separator: ", "))")
        }
        fitting = [attached[index]]
      } else {
        let named = try guest.device(nic, what: what)
        fitting = attached.filter { $0.instance == named.instance }
        guard !fitting.isEmpty else {
          throw GatewayError(
            .notFound, what: what, why: "\(named.name) is not attached", advice: "synthgate attach \(named.name)")
        }
      }
    }
    for device in fitting {
      guard let claim = try runtime.claimDevice(device.instance) else { continue }
      try claim.write(DeviceUse(process: ownProcess(), purpose: "the link \(request.name)"))
      return claim
    }
    let uses = fitting.map { "\($0.name): \(runtime.useText(of: $0.instance))" }.joined(separator: "; ")
    throw GatewayError(.busy, what: what, why: uses, advice: "take that link down, or attach another NIC")
  }

  private func tapOptions(_ queueCount: Int) -> TapOptions {
    var routes = request.routes
    if let gateway = request.gateway { routes.append(IPRoute(defaultVia: gateway)) }
    return TapOptions(
      name: request.name, address: request.mac, mtu: request.mtu, queueCount: queueCount,
      namespace: request.namespace, addresses: request.addresses, routes: routes)
  }

  private func awaitLease(_ dhcp: DHCPClient, _ link: SyntheticLink) throws(GatewayError) {
    let deadline = monotonicNanoseconds() + 15_000_000_000
    while !dhcp.hasLease {
      try throwIfToldToEnd()
      guard monotonicNanoseconds() < deadline, dhcp.isRunning else {
        throw GatewayError(
          .failed, what: what, why: "no DHCP server gave a lease",
          advice: "look at the uplink, or give the link an --address")
      }
      _ = waitForInput([signals.descriptor, link.noticeDescriptor], milliseconds: 50)
      guard link.reconcile() else { throw GatewayError(.failed, what: what, why: "the link was deleted") }
    }
  }

  /// Waits for the end: a signal, or the link or the host gone for good.
  private func serve(_ link: SyntheticLink) {
    while true {
      let ready = waitForInput(
        [signals.descriptor, link.noticeDescriptor], milliseconds: link.isConnected ? -1 : 250)
      if ready & 1 != 0, signals.next() != nil { return }
      guard link.reconcile() else {
        log.write("the link was deleted")
        return
      }
      if link.hasGivenUp { return }
    }
  }

  private func throwIfToldToEnd() throws(GatewayError) {
    guard signals.next() != nil else { return }
    throw GatewayError(.failed, what: what, why: "interrupted")
  }
}

extension LinkReport {
  init(_ request: LinkRequest, _ link: SyntheticLink) {
    let state = link.tap.state
    let queues = link.statistics
    self.init(
      name: state.name, netns: request.namespace, mac: "\(state.address)", mtu: state.mtu, carrier: state.hasCarrier,
      addresses: ((try? link.tap.addresses()) ?? []).map { "\($0)" }, nic: "\(link.instance)", queues: link.queueCount,
      bus: request.bus.text, state: !link.isConnected ? "waiting for the host" : state.isUp ? "up" : "down",
      receivedFrames: queues.reduce(0) { $0 + $1.receivedFrames },
      receivedBytes: queues.reduce(0) { $0 + $1.receivedBytes }, sentFrames: queues.reduce(0) { $0 + $1.sentFrames },
      sentBytes: queues.reduce(0) { $0 + $1.sentBytes },
      dropped: queues.reduce(0) { $0 + $1.receivedDrops + $1.sentDrops },
      doorbells: queues.reduce(0) { $0 + $1.doorbells }, process: ownProcess())
  }
}
