import Testing
import VMBusProtocol
import VMBusServer
import WireBytes

/// A server connection with what it has said so far.
final class Conversation {
  var connection: ServerConnection
  /// Messages since the last `take`.
  var sent: [Message] = []
  var opens: [ChannelOpening] = []
  var closes: [ChannelKey] = []
  var dropped = 0
  var disconnects = 0
  var discards = 0
  /// Lists that devices may map, by key.
  var published: [GPADLKey: PublishedGPADL] = [:]
  /// Lists withdrawn while `holdsMappings`.
  var held: [GPADLKey] = []
  /// The virtual processors to which channels were moved.
  var retargets: [UInt32] = []
  /// Whether a device has every list mapped.
  var holdsMappings = false

  init(limits: ServerLimits = ServerLimits(), devices: [GUID] = [GUID(9, 9, 9, 1)]) {
    connection = ServerConnection(memory: [0x100..<0x10000], limits: limits)
    for (index, instance) in devices.enumerated() {
      note(connection.add(.make(UInt64(index + 1)), Self.description(instance)))
    }
  }

  static func description(_ instance: GUID, class interfaceClass: GUID = GUID(7, 7, 7, 7)) -> DeviceDescription {
    DeviceDescription(interfaceClass: interfaceClass, instance: instance, userDefined: [5])
  }

  func note(_ actions: [ServerAction]) {
    for action in actions {
      switch action {
      case .send(let bytes):
        guard let message = try? Message(parsing: bytes.rawSpan) else {
          Issue.record("the server has sent nonsense")
          continue
        }
        sent.append(message)
      case .open(let opening): opens.append(opening)
      case .close(let key): closes.append(key)
      case .dropped: dropped += 1
      case .disconnected: disconnects += 1
      case .discardQueue: discards += 1
      case .connected: break
      case .retarget(_, let vp): retargets.append(vp)
      case .publish(let list): published[list.key] = list
      case .withdraw(let key):
        #expect(published.removeValue(forKey: key) != nil, "withdrawn twice, or never published")
        if holdsMappings { held.append(key) } else { note(connection.withdrawn(key)) }
      }
    }
  }

  /// Sends a message of the guest; the answers.
  @discardableResult
  func post(_ message: Message, connectionID: UInt32 = 4) -> [Message] {
    note(connection.receive(message.encoded(), connectionID: connectionID))
    return take()
  }

  func take() -> [Message] {
    let taken = sent
    sent = []
    return taken
  }

  func contact(_ version: ProtocolVersion = .v5_3, pages: MonitorPageAddresses = .none) -> [Message] {
    post(
      .initiateContact(InitiateContact(version: version, monitorPages: pages)),
      connectionID: version.contactConnectionID)
  }

  /// Connects and asks for offers; the relids.
  @discardableResult
  func connect(_ version: ProtocolVersion = .v5_3, pages: MonitorPageAddresses = .none) -> [UInt32] {
    _ = contact(version, pages: pages)
    return post(.requestOffers).compactMap { $0.asOffer?.relid }
  }

  /// Announces a list of `pages` pages in one range.
  @discardableResult
  func announce(_ gpadl: UInt32, relid: UInt32, pages: Int = 8, first: UInt64 = 0x100) throws -> [Message] {
    let range = GPADLRange(pages: (0..<UInt64(pages)).map { first + $0 })
    return try GPADLDescription.messages(relid: relid, gpadl: gpadl, ranges: [range]).flatMap { post($0) }
  }

  func request(_ relid: UInt32, gpadl: UInt32 = 50, openID: UInt32 = 3, downstream: UInt32 = 4) -> Message {
    .openChannel(
      OpenChannel(relid: relid, openID: openID, ringGPADL: gpadl, targetVP: 0, downstreamPageOffset: downstream))
  }

  func opened(_ succeeded: Bool = true) -> [Message] {
    note(connection.openFinished(opens[opens.count - 1].key, succeeded: succeeded))
    return take()
  }

  func closed() -> [Message] {
    note(connection.closeFinished(closes[closes.count - 1]))
    return take()
  }

  /// Brings channel `relid` into a state of the table.
  func bring(_ relid: UInt32, to state: ChannelStateName) throws {
    if state == .closed { return }
    try announce(50, relid: relid)
    post(request(relid))
    switch state {
    case .closed, .opening: return
    case .open: _ = opened()
    case .closing, .closingReopen, .closingRelease:
      _ = opened()
      post(.closeChannel(relid: relid))
      if state == .closingReopen { post(request(relid)) }
      if state == .closingRelease { post(.relidReleased(relid: relid)) }
    case .revoked, .reoffered:
      _ = opened()
      note(connection.remove(.make(1)))
      _ = closed()
      if state == .reoffered { note(connection.add(.make(9), Self.description(GUID(9, 9, 9, 1)))) }
      _ = take()
    }
  }
}

enum ChannelStateName: CaseIterable {
  case closed, opening, open, closing, closingReopen, closingRelease, revoked, reoffered
}

extension DeviceKey {
  static func make(_ number: UInt64) -> DeviceKey { DeviceKey(number: number) }
}

extension Message {
  var asOffer: ChannelOffer? {
    if case .offer(let offer) = self { return offer }
    return nil
  }
}
