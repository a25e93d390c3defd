public import LinuxIO
import SharedMemory
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// The guest of a VMBus: its memory, its connection with a synthetic host, and the devices that the host offers.
///
/// The memory is one file that the host maps, too. When the host dies, all devices are lost, and the client hands the same
/// memory to the next host that it reaches at the same place: what the drivers have in it stays.
public final class VMBusClient: GuestBus {
  /// What holds for one client.
  public struct Settings: Sendable {
    /// The size of the guest's memory; pages take room only when they are used.
    public var memoryByteCount = 256 << 20
    /// The guest physical address of its first byte.
    public var guestAddress: UInt64 = 1 << 32
    /// The versions that are tried, in this order.
    public var versions = ProtocolVersion.offered
    /// Whether the host gets monitor pages, so that it can let channels ring through them.
    public var givesMonitorPages = true
    /// How long the host may take for an answer.
    public var answerMilliseconds = 10_000
    /// How long to wait for a host that is gone to come back; 0: not at all.
    public var reconnectMilliseconds = 60_000
    /// Told what happens, in order, on a thread of the client's own; it may open devices.
    public var onEvent: @Sendable (GuestBusEvent) -> Void = { _ in }

    /// The default settings.
    public init() {}
  }

  /// A channel in use: from the opening until everything of it is given back.
  struct User {
    var counters: ChannelCounters?
    var wake: EventFD?
  }

  struct State {
    /// Counts the connections; what belongs to an older one is lost.
    var generation = 0
    var isAlive = false
    /// The host owes an answer for too long, and has said nothing since.
    var isMute = false
    var link: (any BusLink)?
    var connection = ClientConnection()
    var isEnumerated = false
    var refusal: String?
    var isUnloaded = false
    var devices: [ClientDevice] = []
    var users: [UInt32: User] = [:]
    var openResults: [UInt32: MessageStatus] = [:]
    var gpadlResults: [UInt32: MessageStatus] = [:]
    var torndown: Set<UInt32> = []
    var events: [GuestBusEvent] = []
    var isStopping = false
    var hasEnded = false
  }

  /// What holds for this client.
  public let settings: Settings
  let transport: any BusTransport
  let shared: SharedGuestMemory
  let monitorPages: MonitorPageAddresses
  let state = Monitor(State())
  let allocator: Mutex<PageAllocator>
  private let supervisor = Mutex<WorkerThread?>(nil)

  /// A client that is not connected.
  ///
  /// - Throws: the errno with which the memory could not be made.
  public init(transport: any BusTransport, settings: Settings = Settings()) throws(Errno) {
    self.transport = transport
    self.settings = settings
    let file = try MemoryFile(name: "vmbus-guest", byteCount: settings.memoryByteCount)
    shared = try SharedGuestMemory(file: file, guestAddress: settings.guestAddress)
    var pages = PageAllocator(shared.memory.ranges[0].region.slice)
    if settings.givesMonitorPages, let slice = pages.allocate(byteCount: 2 * pageByteCount),
      let address = shared.memory.guestAddress(of: slice)
    {
      monitorPages = MonitorPageAddresses(
        parentToChild: address, childToParent: address + UInt64(pageByteCount))
    } else {
      monitorPages = .none
    }
    allocator = Mutex(pages)
  }

  /// The memory that the host can reach; it stays the same over reconnects.
  public var memory: GuestMemory { shared.memory }

  /// The version that was agreed upon; nil while the host is not there.
  public var version: ProtocolVersion? {
    state.withLock { $0.isAlive ? $0.connection.version : nil }
  }

  /// The devices that are there now, in the order of their offers.
  public var devices: [ClientDevice] {
    state.withLock { $0.devices }
  }

  /// The device of this class, and instance unless that is nil, waiting for its offer at most `milliseconds`; nil when it
  /// does not come. After a reconnect this is how a driver finds its device again.
  public func awaitDevice(class interfaceClass: GUID, instance: GUID? = nil, milliseconds: Int) -> ClientDevice? {
    let found: ClientDevice?? = state.wait(milliseconds: milliseconds) { state -> ClientDevice?? in
      if state.hasEnded || state.isStopping { return .some(nil) }
      let device = state.devices.first {
        $0.offer.interfaceClass == interfaceClass && (instance == nil || $0.offer.instance == instance)
      }
      return device.map { .some($0) }
    }
    return found ?? nil
  }

  // MARK: Connecting

  /// Connects, and waits until the host has offered its devices.
  ///
  /// - Throws: `.system` when there is no host, `.refused`, `.timedOut`. The client may try again then.
  public func connect() throws(ChannelError) {
    try attempt()
    do throws(Errno) {
      let thread = try WorkerThread(name: "vmbus-events") { [self] in supervise() }
      supervisor.withLock { $0 = thread }
    } catch {
      disconnect()
      throw .system(what: "starting a thread", error)
    }
  }

  /// Unloads the bus: all devices are lost, and the host lets go of everything. Drivers should have closed them before. The
  /// client is of no use afterwards. Not to be called by `onEvent`.
  public func disconnect() {
    state.withLock { $0.isStopping = true }
    let thread = supervisor.withLock { $0.take() }
    thread?.join()
    let (link, isUnloading) = state.withLock { state in
      let actions = state.connection.unload()
      perform(actions, &state)
      return (state.link, !actions.isEmpty)
    }
    if isUnloading {
      _ = state.wait(milliseconds: answerMilliseconds) { $0.isUnloaded || !$0.isAlive ? true : nil }
    }
    link?.end(reason: "the guest leaves")
    _ = state.wait(milliseconds: settings.answerMilliseconds) { $0.isAlive ? nil : true }
    link?.join()
    state.withLock { $0.link = nil }
  }

  /// One try to reach the host; returns when its first devices are there.
  private func attempt() throws(ChannelError) {
    let generation = state.withLock { state in
      state.generation += 1
      state.isAlive = true
      state.isMute = false
      state.connection = ClientConnection(versions: settings.versions, monitorPages: monitorPages)
      state.isEnumerated = false
      state.refusal = nil
      state.isUnloaded = false
      return state.generation
    }
    let link: any BusLink
    do throws(ChannelError) {
      link = try transport.connect(memory: shared, receiver: Receiver(client: self, generation: generation))
    } catch {
      state.withLock { $0.isAlive = false }
      throw error
    }
    state.withLock { state in
      state.link = link
      perform(state.connection.start(), &state)
    }
    enum Outcome { case connected, refused(String), lost }
    let outcome = state.wait(milliseconds: settings.answerMilliseconds) { state -> Outcome? in
      if let refusal = state.refusal { return .refused(refusal) }
      if !state.isAlive || state.isStopping { return .lost }
      return state.isEnumerated ? .connected : nil
    }
    switch outcome {
    case .connected: return
    case .refused, .lost, nil:
      link.end(reason: "the guest could not connect")
      _ = state.wait(milliseconds: settings.answerMilliseconds) { $0.isAlive ? nil : true }
      link.join()
      state.withLock { state in
        state.link = nil
        state.events = []
      }
      switch outcome {
      case .refused(let why): throw .protocolFault(why)
      case .lost: throw .lost
      default: throw .timedOut(what: "INITIATE_CONTACT")
      }
    }
  }

  // MARK: What the host sends

  func received(_ message: [UInt8], generation: Int) {
    state.withLock { state in
      guard state.generation == generation, state.isAlive else { return }
      state.isMute = false
      perform(state.connection.receive(message), &state)
    }
  }

  func ended(reason: String, generation: Int) {
    state.withLock { state in
      guard state.generation == generation, state.isAlive else { return }
      state.isAlive = false
      for device in state.devices { device.markLost() }
      state.devices = []
      for user in state.users.values { lose(user) }
      state.users = [:]
      state.openResults = [:]
      state.gpadlResults = [:]
      state.torndown = []
      if state.isEnumerated { state.events.append(.disconnected(reason: reason)) }
    }
  }

  func lose(_ user: User) {
    user.counters?.markLost()
    user.wake?.signal()
  }

  /// Does what the connection wants; with the state locked.
  func perform(_ actions: [ClientAction], _ state: inout State) {
    for action in actions {
      switch action {
      case .send(let message, let connectionID): state.link?.send(message, connectionID: connectionID)
      case .connected(let version): state.events.append(.connected(version))
      case .refused(let why): state.refusal = why
      case .offered(let offer):
        guard offer.isPrimary else { continue }
        let device = ClientDevice(offer, generation: state.generation, client: self)
        state.devices.append(device)
        state.events.append(.arrived(device))
      case .enumerated: state.isEnumerated = true
      case .rescinded(let relid): rescinded(relid, &state)
      case .opened(let relid, let status): state.openResults[relid] = status
      case .gpadlCreated(let gpadl, let status): state.gpadlResults[gpadl] = status
      case .gpadlTorndown(let gpadl): state.torndown.insert(gpadl)
      case .unloaded: state.isUnloaded = true
      case .dropped: break
      }
    }
  }

  private func rescinded(_ relid: UInt32, _ state: inout State) {
    if let index = state.devices.firstIndex(where: { $0.offer.relid == relid }) {
      let device = state.devices.remove(at: index)
      device.markLost()
      state.events.append(.removed(device))
    }
    if let user = state.users[relid] {
      // Whoever closes the channel gives the relid back.
      lose(user)
    } else {
      perform(state.connection.release(relid: relid), &state)
    }
  }

  // MARK: The supervisor

  private enum Turn {
    case events([GuestBusEvent])
    case lost
    case stop
  }

  private func supervise() {
    while true {
      let turn = state.wait(milliseconds: 3_600_000) { state -> Turn? in
        if !state.events.isEmpty {
          let events = state.events
          state.events = []
          return .events(events)
        }
        if state.isStopping { return .stop }
        return state.isAlive ? nil : .lost
      }
      switch turn {
      case .events(let events): for event in events { settings.onEvent(event) }
      case .lost: if !reconnect() { return }
      case .stop: return
      case nil: break
      }
    }
  }

  /// Tries to reach the host again until the time is over; whether it did.
  private func reconnect() -> Bool {
    let former = state.withLock { state in
      let link = state.link
      state.link = nil
      return link
    }
    former?.join()
    let deadline = monotonicNanoseconds() + UInt64(settings.reconnectMilliseconds) * 1_000_000
    var reason = "the host is gone"
    while monotonicNanoseconds() < deadline {
      let isStopping: Bool? = state.wait(milliseconds: 100) { $0.isStopping ? true : nil }
      if isStopping == true { return true }
      do throws(ChannelError) {
        try attempt()
        return true
      } catch {
        reason = "\(error)"
      }
    }
    state.withLock { $0.hasEnded = true }
    settings.onEvent(.gaveUp(reason: reason))
    return false
  }
}

/// Hears one connection of a client.
private final class Receiver: BusReceiver {
  private let client: VMBusClient
  private let generation: Int

  init(client: VMBusClient, generation: Int) {
    self.client = client
    self.generation = generation
  }

  func received(_ message: [UInt8]) { client.received(message, generation: generation) }

  func ended(reason: String) { client.ended(reason: reason, generation: generation) }
}
