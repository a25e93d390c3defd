import Ethernet
import LinuxIO
import Synchronization

/// The state of a switch that all of its threads share.
final class SwitchFabric: Sendable {
  let options: SwitchOptions
  let table: AddressTable
  let responder: (any FrameResponder)?
  let tally = SwitchTally()

  /// The generation of the newest map.
  let generation = Atomic<UInt64>(0)
  private let state: Mutex<State>

  private struct State {
    var map = SwitchMap(generation: 0, ports: [], uplinkInboxes: [])
    var ports: [MemberID: PortState] = [:]
    var uplinkInboxes: [FrameInbox] = []
    var lastID = SwitchMap.uplink
  }

  /// What the control plane set of one port.
  struct PortState {
    var filter: EthernetFilter?
    var offloads: OffloadSet?
    var inboxes: [FrameInbox] = []
    var choose: (@Sendable (_ headers: RawSpan) -> Int)?
    var observer: (@Sendable () -> Void)?
  }

  init(options: SwitchOptions, responder: (any FrameResponder)?) throws(Errno) {
    self.options = options
    self.responder = responder
    table = try AddressTable(capacity: options.addressCapacity, ageingSeconds: options.ageingSeconds)
    state = Mutex(State())
    if let responder { table.pin(responder.address, member: SwitchMap.uplink, now: options.clock()) }
  }

  /// The newest map.
  var map: SwitchMap { state.withLock { $0.map } }

  // MARK: Members

  /// Adds a port; nil when there are too many.
  func addPort(_ address: MACAddress) -> MemberID? {
    let id: MemberID? = change { state in
      // Numbers go round, so that one of a removed port is not used again soon.
      for _ in 0..<SwitchMap.memberLimit {
        state.lastID += 1
        if state.lastID == SwitchMap.memberLimit { state.lastID = SwitchMap.uplink + 1 }
        guard state.ports[state.lastID] == nil else { continue }
        state.ports[state.lastID] = PortState()
        return state.lastID
      }
      return nil
    }
    if let id, address.isUsable { table.pin(address, member: id, now: options.clock()) }
    return id
  }

  func removePort(_ id: MemberID) {
    change { $0.ports[id] = nil }
    table.removeAll(of: id)
  }

  /// Changes what is known of a port; nothing happens when it is gone.
  func changePort(_ id: MemberID, _ body: (inout PortState) -> Void) {
    change { state in
      guard var port = state.ports[id] else { return }
      body(&port)
      state.ports[id] = port
    }
  }

  func portState(_ id: MemberID) -> PortState? { state.withLock { $0.ports[id] } }

  func addUplinkInbox(_ inbox: FrameInbox) {
    change { $0.uplinkInboxes.append(inbox) }
  }

  func removeUplinkInbox(_ inbox: FrameInbox) {
    change { state in state.uplinkInboxes.removeAll { $0 === inbox } }
  }

  /// Everything that a port asked for, of all ports.
  var portStates: [PortState] { state.withLock { Array($0.ports.values) } }

  private func change<R>(_ body: (inout State) -> R) -> R {
    state.withLock { state in
      let result = body(&state)
      let ports = state.ports.sorted { $0.key < $1.key }.map { id, port in
        SwitchMap.Port(id: id, filter: port.filter, inboxes: port.inboxes, choose: port.choose)
      }
      state.map = SwitchMap(
        generation: state.map.generation + 1, ports: ports, uplinkInboxes: state.uplinkInboxes)
      generation.store(state.map.generation, ordering: .releasing)
      return result
    }
  }
}

/// The counters of a switch; only what is not passed on is counted here, so that threads seldom meet.
struct SwitchTally: ~Copyable, Sendable {
  let malformed = Atomic<UInt64>(0)
  let spoofed = Atomic<UInt64>(0)
  let inboxFull = Atomic<UInt64>(0)
  let filtered = Atomic<UInt64>(0)
  let uplinkFull = Atomic<UInt64>(0)
  let moves = Atomic<UInt64>(0)

  var counters: SwitchCounters {
    var result = SwitchCounters()
    result.malformed = malformed.load(ordering: .relaxed)
    result.spoofed = spoofed.load(ordering: .relaxed)
    result.inboxFull = inboxFull.load(ordering: .relaxed)
    result.filtered = filtered.load(ordering: .relaxed)
    result.uplinkFull = uplinkFull.load(ordering: .relaxed)
    result.moves = moves.load(ordering: .relaxed)
    return result
  }
}
