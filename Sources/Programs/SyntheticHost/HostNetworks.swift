import Ethernet
import EthernetSwitch
import LinuxIO
import Netvsp
import Synchronization
import TapLink
import VMBusProtocol
import VMBusServer

/// The NICs of a host, and the switches behind them; both come and go while it runs.
final class HostNetworks: Sendable {
  private struct Entry {
    let configuration: NetworkConfiguration
    let nic: SyntheticNIC
    let port: SwitchPort
    let key: DeviceKey
    var isConnected = true
  }

  private struct State {
    var nics: [Entry] = []
    var switches: [String: HostSwitch] = [:]
    /// Those that a guest did not let go of in time; closed at the end.
    var late: [(port: SwitchPort, uplink: HostSwitch?)] = []
  }

  private let server: VMBusServer
  private let state = Mutex(State())

  /// How long a guest may take to let go of a NIC, until its removal returns all the same.
  private static let releaseMilliseconds = 5000
  /// How long a guest may go on to send after its cable was pulled: Linux looks at changes of the link every 2 s.
  private static let quiesceMilliseconds = 3000
  /// How long a guest is silent that has stopped to send.
  private static let quietNanoseconds: UInt64 = 300_000_000

  init(server: VMBusServer) {
    self.server = server
  }

  /// The NICs in their order, and whether their cables are plugged in.
  var configurations: [(network: NetworkConfiguration, isConnected: Bool, isOpen: Bool)] {
    state.withLock { state in state.nics.map { ($0.configuration, $0.isConnected, $0.nic.session != nil) } }
  }

  /// A NIC is offered, with its uplink unless that is there already.
  ///
  /// - Parameter planned: NICs that will share the switch; it takes the largest of their MTUs, and a queue for each of
  ///   theirs.
  /// - Throws: `.uplink` or `.tap` when the uplink can't be had; `.exists` for an id or a MAC address that is taken.
  func add(_ network: NetworkConfiguration, planned: [NetworkConfiguration] = []) throws(SyntheticHostError) {
    try state.withLock { state throws(SyntheticHostError) in
      if state.nics.contains(where: { $0.configuration.id == network.id }) {
        throw .exists("a device with the id \(network.id)")
      }
      if state.nics.contains(where: { $0.configuration.mac == network.mac }) {
        throw .exists("a NIC with the address \(network.mac)")
      }
      let behind: HostSwitch
      if let found = state.switches[network.switchName] {
        guard found.uplink == network.uplink else {
          throw .uplink(network.uplink, "the switch `\(network.switchName)` has the uplink \(found.uplink) already")
        }
        behind = found
      } else {
        let sharing = [network] + planned.filter { $0.switchName == network.switchName && $0.id != network.id }
        behind = try HostSwitch(
          name: network.switchName, uplink: network.uplink, mtu: sharing.reduce(0) { max($0, $1.mtu) },
          queueCount: sharing.reduce(0) { $0 + $1.queues })
      }
      let mtu = min(network.mtu, behind.mtu)
      let port: SwitchPort
      do throws(EthernetError) { port = try behind.ethernetSwitch.makePort(address: network.mac, mtu: mtu) } catch {
        if state.switches[network.switchName] == nil { behind.close() }
        throw .uplink(network.uplink, "\(error)")
      }
      var options = SyntheticNICOptions()
      options.maximumQueueCount = network.queues
      options.maximumMTU = mtu
      let nic = SyntheticNIC(instance: network.id, address: network.mac, port: port, options: options)
      state.switches[network.switchName] = behind
      state.nics.append(Entry(configuration: network, nic: nic, port: port, key: server.add(nic)))
    }
  }

  /// A NIC is taken back from its guest; with the last one of a switch its uplink goes.
  ///
  /// - Throws: `.absent`.
  func remove(_ id: GUID) throws(SyntheticHostError) {
    let (entry, uplink) = try state.withLock { state throws(SyntheticHostError) -> (Entry, HostSwitch?) in
      let entry = state.nics.remove(at: try Self.index(of: id, in: state.nics))
      let name = entry.configuration.switchName
      let isLast = !state.nics.contains { $0.configuration.switchName == name }
      return (entry, isLast ? state.switches.removeValue(forKey: name) : nil)
    }
    Self.quiesce(entry.nic)
    server.remove(entry.key)
    if awaitCondition(milliseconds: Self.releaseMilliseconds, { entry.nic.session == nil }) {
      entry.port.close()
      uplink?.close()
    } else {
      state.withLock { $0.late.append((entry.port, uplink)) }
    }
  }

  /// Pulls the cable, and waits until the guest sends nothing more. Linux, once its NIC is rescinded, waits without limit
  /// for completions of what it has sent, but looks at none that comes after the rescind: so nothing may be under way then.
  private static func quiesce(_ nic: SyntheticNIC) {
    nic.setMediaConnected(false)
    var sent = nic.session?.statistics.sent.frames
    var lastChange = monotonicNanoseconds()
    _ = awaitCondition(milliseconds: quiesceMilliseconds) {
      guard let session = nic.session else { return true }
      if session.statistics.sent.frames != sent {
        sent = session.statistics.sent.frames
        lastChange = monotonicNanoseconds()
      }
      return monotonicNanoseconds() - lastChange > quietNanoseconds
    }
  }

  /// The cable of a NIC is plugged in or pulled out.
  ///
  /// - Throws: `.absent`.
  func setConnected(_ isConnected: Bool, _ id: GUID) throws(SyntheticHostError) {
    try state.withLock { state throws(SyntheticHostError) in
      let index = try Self.index(of: id, in: state.nics)
      state.nics[index].isConnected = isConnected
      state.nics[index].nic.setMediaConnected(isConnected)
    }
  }

  private static func index(of id: GUID, in nics: [Entry]) throws(SyntheticHostError) -> Int {
    guard let index = nics.firstIndex(where: { $0.configuration.id == id }) else {
      throw .absent("NIC with the id \(id)")
    }
    return index
  }

  /// Ends the uplinks. The NICs must have no guests any more.
  func close() {
    let (ports, uplinks) = state.withLock { state in
      let ports = state.nics.map(\.port) + state.late.map(\.port)
      let uplinks = Array(state.switches.values) + state.late.compactMap(\.uplink)
      state = State()
      return (ports, uplinks)
    }
    for port in ports { port.close() }
    for uplink in uplinks { uplink.close() }
  }
}
