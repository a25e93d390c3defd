import VMBusProtocol
import WireBytes

/// The host's side of the VMBus control plane towards one guest, without any I/O.
///
/// Messages of the guest, changes of the devices and reports about the channels go in; actions come out. Nothing that a
/// guest sends can trap or make it grow without bound. A message that is malformed or out of place is dropped and counted.
public struct ServerConnection: Sendable {
  enum Phase: Equatable {
    case disconnected
    case connected
    /// The ends of the last connection's channels are being closed.
    case releasing(Successor)
  }

  /// What follows when everything is released.
  enum Successor: Equatable {
    case nothing
    case unloadComplete
    case contact(InitiateContact, connectionID: UInt32)
  }

  struct Device {
    let key: DeviceKey
    let description: DeviceDescription
    /// The guest has given the relid of the offer back: not offered again on this connection.
    var isClientReleased = false
  }

  let limits: ServerLimits
  let memory: [Range<UInt64>]
  var phase = Phase.disconnected
  var version = ProtocolVersion(rawValue: 0)
  var monitorPages = MonitorPageAddresses.none
  var hasRequestedOffers = false
  var devices: [Device] = []
  var channels: [UInt32: ServerChannel] = [:]
  var gpadls: [UInt32: ServerGPADL] = [:]
  var gpadlWordCount = 0
  /// Ends of earlier connections that are not closed yet.
  var orphans: Set<ChannelKey> = []
  var nextKey: UInt64 = 1
  var actions: [ServerAction] = []

  /// The virtual processor to which control messages go: what the guest named in INITIATE_CONTACT.
  public internal(set) var messageVP: UInt32 = 0

  /// How many messages were dropped.
  public internal(set) var droppedMessageCount = 0

  /// A guest that is not connected yet.
  ///
  /// - Parameter memory: the guest page frame numbers that exist.
  public init(memory: [Range<UInt64>], limits: ServerLimits = ServerLimits()) {
    self.memory = memory
    self.limits = limits
  }

  /// Whether the guest is connected.
  public var isConnected: Bool { phase == .connected }

  /// Whether every end of every channel is closed.
  public var isIdle: Bool { orphans.isEmpty && !channels.values.contains { $0.hasEnd } }

  /// Takes a control message of the guest.
  ///
  /// - Parameter connectionID: the message port to which the guest posted it.
  public mutating func receive(_ bytes: [UInt8], connectionID: UInt32) -> [ServerAction] {
    do throws(MessageError) {
      handle(try Message(parsing: bytes.rawSpan), connectionID: connectionID)
    } catch {
      drop("\(error)")
    }
    return takeActions()
  }

  /// The connection of the guest is gone: everything is released, nothing is sent any more.
  public mutating func end() -> [ServerAction] {
    release(then: .nothing)
    return takeActions()
  }

  private mutating func handle(_ message: Message, connectionID: UInt32) {
    if case .initiateContact(let contact) = message {
      release(then: .contact(contact, connectionID: connectionID))
      return
    }
    guard phase == .connected else { return drop("\(message.type) while disconnected") }
    guard message.type.isSentByHost == false, message.type.isAllowed(at: version) else {
      return drop("\(message.type) from a guest of version \(version)")
    }
    switch message {
    case .requestOffers: requestOffers()
    case .openChannel(let request): open(request)
    case .closeChannel(let relid): close(relid)
    case .gpadlHeader(let header): begin(header)
    case .gpadlBody(let body): extend(body)
    case .gpadlTeardown(let relid, let gpadl): tearDown(gpadl, relid: relid)
    case .relidReleased(let relid): releaseRelid(relid)
    case .modifyChannel(let relid, let targetVP): modify(relid, targetVP: targetVP)
    case .unload: release(then: .unloadComplete)
    case .tlConnect(let connect):
      // Nobody listens to sockets here; before 4.1 there is no message to say so.
      guard version >= .v4_1 else { return drop("TL_CONNECT_REQUEST for \(connect.service)") }
      send(.tlConnectResult(endpoint: connect.endpoint, service: connect.service, status: .connectionRefused))
    default: drop("\(message.type) is not served")
    }
  }

  // MARK: The connection

  /// Forgets everything of the connection, has the ends of its channels closed, and goes on with `successor` when they are.
  mutating func release(then successor: Successor) {
    let wasConnected = phase == .connected
    for channel in channels.values.sorted(by: { $0.relid < $1.relid }) {
      if let key = channel.end {
        orphans.insert(key)
        if !channel.isEndClosing { actions.append(.close(key)) }
      }
    }
    channels = [:]
    dropAllGPADLs()
    hasRequestedOffers = false
    monitorPages = .none
    for index in devices.indices { devices[index].isClientReleased = false }
    if wasConnected { actions.append(.discardQueue) }
    phase = .releasing(successor)
    finishReleaseIfIdle()
  }

  mutating func finishReleaseIfIdle() {
    guard case .releasing(let successor) = phase, orphans.isEmpty else { return }
    phase = .disconnected
    actions.append(.disconnected)
    switch successor {
    case .nothing: break
    case .unloadComplete: send(.unloadComplete)
    case .contact(let contact, let connectionID): answer(contact, connectionID: connectionID)
    }
  }

  private mutating func answer(_ contact: InitiateContact, connectionID: UInt32) {
    messageVP = contact.version.honoursTargetVP ? contact.targetVP : 0
    // The target information counts only if it came through the port that stands for it.
    let isTargeted = contact.version.carriesTargetInfo && connectionID == ConnectionID.message
    guard limits.versions.contains(contact.version), contact.version >= .v2_4, contact.version < .v6_0,
      !isTargeted || contact.sint == SynIC.vmbusSINT, !isTargeted || contact.vtl == 0
    else {
      return send(.versionResponse(.unsupported))
    }
    guard contact.monitorPages.isConsistent, contact.monitorPages == .none || isMemory(contact.monitorPages) else {
      return send(.versionResponse(.failed()))
    }
    phase = .connected
    version = contact.version
    monitorPages = contact.monitorPages
    actions.append(.connected(version, monitorPages))
    send(.versionResponse(.accepted(version, messageConnectionID: ConnectionID.message)))
  }

  private func isMemory(_ pages: MonitorPageAddresses) -> Bool {
    isMemory(page: pages.parentToChild >> 12) && isMemory(page: pages.childToParent >> 12)
  }

  func isMemory(page: UInt64) -> Bool {
    memory.contains { $0.contains(page) }
  }

  // MARK: Output

  mutating func send(_ message: Message) {
    actions.append(.send(message.encoded()))
  }

  mutating func drop(_ reason: String) {
    droppedMessageCount += 1
    actions.append(.dropped(reason))
  }

  mutating func takeActions() -> [ServerAction] {
    let taken = actions
    actions = []
    return taken
  }
}
