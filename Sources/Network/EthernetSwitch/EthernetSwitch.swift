public import Ethernet
import LinuxIO
import Synchronization

/// A learning switch between the NICs of a synthetic host and their uplink.
///
/// Frames move on the thread that brings them: the thread of a port's queue sends straight to its own queue of the
/// uplink, and copies frames for other ports into their inboxes. With one port nothing is copied. The switch is blind to VLANs:
/// all tags share one table of stations.
///
/// Between NICs frames keep their offload form; who can't take it finishes it.
public final class EthernetSwitch: Sendable {
  /// Its name, for threads and messages.
  public let name: String

  let fabric: SwitchFabric
  private let uplink: SwitchUplink
  private let thread: UplinkThread?
  /// What the uplink was told; the lock puts these calls in order.
  private let told = Mutex(Told())

  private struct Told {
    var offloads: OffloadSet?
    var isSteered = false
  }

  /// A switch without ports.
  ///
  /// - Throws: `.system`; with a threaded uplink also why its queue can't be had.
  public init(
    name: String, uplink: SwitchUplink = .none, options: SwitchOptions = SwitchOptions()
  ) throws(EthernetError) {
    self.name = name
    self.uplink = uplink
    var responder: (any FrameResponder)?
    if case .responder(let station) = uplink { responder = station }
    let fabric: SwitchFabric
    do throws(Errno) {
      fabric = try SwitchFabric(options: options, responder: responder)
    } catch {
      throw .system(what: "switch \(name)", error)
    }
    self.fabric = fabric
    switch uplink {
    case .threaded(let port): thread = try UplinkThread(fabric, port, name: name)
    case .none, .queued, .responder: thread = nil
    }
    // The uplink may outlive the switch.
    uplinkPort?.observe { [weak fabric] in
      for port in fabric?.portStates ?? [] { port.observer?() }
    }
  }

  deinit { thread?.stop() }

  /// A new port.
  ///
  /// - Parameters:
  ///   - address: the address of its station. It is known to be here from the start, and nobody else can take it over.
  ///     `.zero` for a port that leads to many.
  ///   - mtu: the longest payload of its frames in bytes.
  /// - Throws: `.busy` with more than a thousand ports.
  public func makePort(address: MACAddress, mtu: Int = 1500) throws(EthernetError) -> SwitchPort {
    guard let id = fabric.addPort(address) else { throw .busy }
    let port = SwitchPort(self, id: id, address: address, mtu: mtu)
    steeringChanged()
    return port
  }

  /// What was not passed on.
  public var counters: SwitchCounters { fabric.tally.counters }

  /// How many stations are known.
  public var stationCount: Int { fabric.table.count(now: fabric.options.clock()) }

  // MARK: The uplink

  private var uplinkPort: (any EthernetPort)? {
    switch uplink {
    case .none, .responder: nil
    case .queued(let port), .threaded(let port): port
    }
  }

  var uplinkInfo: EthernetPortInfo { uplinkPort?.info ?? EthernetPortInfo() }

  /// A queue of the uplink for one of a port; nil when there is none left, or none at all.
  func makeUplinkQueue() -> (any EthernetQueue)? {
    guard case .queued(let port) = uplink else { return nil }
    return try? port.makeQueue()
  }

  /// Tells the uplink what any of the ports can take.
  func offloadsChanged() {
    guard let port = uplinkPort else { return }
    told.withLock { told in
      let asked = fabric.portStates.compactMap(\.offloads)
      guard !asked.isEmpty else { return }
      let union = asked.reduce(OffloadSet()) { $0.union($1) }
      if union != told.offloads { port.setOffloads(union) }
      told.offloads = union
    }
  }

  /// Tells the uplink how the only port chooses its queues; several of them may want different things.
  func steeringChanged() {
    guard let port = uplinkPort else { return }
    told.withLock { told in
      let states = fabric.portStates
      let choose = states.count == 1 ? states[0].choose : nil
      guard choose != nil || told.isSteered else { return }
      port.setSteering(choose)
      told.isSteered = choose != nil
    }
  }
}
