public import VMBusProtocol
import WireBytes

/// The guest's side of the VMBus control plane, without any I/O.
///
/// Messages of the host and wishes of the guest go in; actions come out. What the host sends is checked: answers count only
/// while they are awaited, offers only once, and nothing traps or grows without bound.
public struct ClientConnection: Sendable {
  /// A channel that the host offers.
  public struct Channel: Sendable {
    /// The offer.
    public let offer: ChannelOffer
    /// Taken back by the host, but not released yet.
    public internal(set) var isRescinded = false
    var openID: UInt32?
    var isOpen = false
  }

  private enum Phase: Equatable {
    case idle
    /// Waiting for the answer for the version at this index.
    case contacting(Int)
    case connected
    case unloading
  }

  private enum GPADLState {
    case creating
    case created
    case tearingDown
  }

  private struct GPADL {
    let relid: UInt32
    var state = GPADLState.creating
  }

  private static let firstGPADL: UInt32 = 0xe1e10
  private static let relids: ClosedRange<UInt32> = 1...2047

  private let versions: [ProtocolVersion]
  private let monitorPages: MonitorPageAddresses
  private var phase = Phase.idle
  private var messageConnectionID = ConnectionID.message
  private var gpadls: [UInt32: GPADL] = [:]
  private var nextGPADL = ClientConnection.firstGPADL
  private var nextOpenID: UInt32 = 1
  private var isEnumerated = false

  /// The channels that are offered, by relid.
  public private(set) var channels: [UInt32: Channel] = [:]
  /// The version, once connected.
  public private(set) var version: ProtocolVersion?

  /// A guest that has not contacted its host yet.
  ///
  /// - Parameter versions: those to be tried, in this order.
  public init(versions: [ProtocolVersion] = ProtocolVersion.offered, monitorPages: MonitorPageAddresses = .none) {
    self.versions = versions
    self.monitorPages = monitorPages
  }

  /// Whether the host has accepted the guest.
  public var isConnected: Bool { phase == .connected }

  // MARK: Wishes of the guest

  /// Contacts the host.
  public mutating func start() -> [ClientAction] {
    guard phase == .idle else { return [] }
    return contact(0)
  }

  private mutating func contact(_ index: Int) -> [ClientAction] {
    guard index < versions.count else {
      phase = .idle
      return [.refused("the host accepts none of our protocol versions")]
    }
    phase = .contacting(index)
    let contact = InitiateContact(version: versions[index], monitorPages: monitorPages)
    return [.send(Message.initiateContact(contact).encoded(), connectionID: versions[index].contactConnectionID)]
  }

  private func post(_ message: Message) -> ClientAction {
    .send(message.encoded(), connectionID: messageConnectionID)
  }

  /// Announces a list of pages for a channel; `.gpadlCreated` answers.
  ///
  /// - Throws: what is wrong with the ranges.
  public mutating func createGPADL(
    relid: UInt32, ranges: [GPADLRange]
  ) throws(GPADLError) -> (gpadl: UInt32, actions: [ClientAction]) {
    var id = nextGPADL
    while id == 0 || gpadls[id] != nil { id &+= 1 }
    let messages = try GPADLDescription.messages(relid: relid, gpadl: id, ranges: ranges)
    nextGPADL = id &+ 1
    gpadls[id] = GPADL(relid: relid)
    return (id, messages.map(post))
  }

  /// Wants the pages of a list back; `.gpadlTorndown` answers.
  public mutating func tearDown(_ gpadl: UInt32) -> [ClientAction] {
    guard let entry = gpadls[gpadl], entry.state == .created else { return [] }
    gpadls[gpadl]?.state = .tearingDown
    return [post(.gpadlTeardown(relid: entry.relid, gpadl: gpadl))]
  }

  /// Opens a channel over rings in `ringGPADL`; `.opened` answers.
  public mutating func open(relid: UInt32, ringGPADL: UInt32, downstreamPageOffset: UInt32) -> [ClientAction] {
    guard let channel = channels[relid], !channel.isRescinded, !channel.isOpen, channel.openID == nil else { return [] }
    let openID = nextOpenID
    nextOpenID &+= 1
    channels[relid]?.openID = openID
    return [
      post(
        .openChannel(
          OpenChannel(
            relid: relid, openID: openID, ringGPADL: ringGPADL, targetVP: 0, downstreamPageOffset: downstreamPageOffset)
        ))
    ]
  }

  /// Closes an open channel; there is no answer, only that of the following `tearDown`.
  public mutating func close(relid: UInt32) -> [ClientAction] {
    guard let channel = channels[relid], channel.isOpen else { return [] }
    channels[relid]?.isOpen = false
    return [post(.closeChannel(relid: relid))]
  }

  /// Lets go of a rescinded channel, once; not while the host has pages of it, which it can confirm only before.
  public mutating func release(relid: UInt32) -> [ClientAction] {
    guard let channel = channels[relid], channel.isRescinded,
      !gpadls.values.contains(where: { $0.relid == relid && $0.state != .creating })
    else { return [] }
    channels[relid] = nil
    gpadls = gpadls.filter { $0.value.relid != relid }
    return [post(.relidReleased(relid: relid))]
  }

  /// Ends the connection; `.unloaded` answers.
  public mutating func unload() -> [ClientAction] {
    guard phase == .connected else { return [] }
    phase = .unloading
    return [post(.unload)]
  }

  // MARK: Messages of the host

  /// Takes a control message of the host.
  public mutating func receive(_ bytes: [UInt8]) -> [ClientAction] {
    do throws(MessageError) {
      return handle(try Message(parsing: bytes.rawSpan))
    } catch {
      return [.dropped("\(error)")]
    }
  }

  private mutating func handle(_ message: Message) -> [ClientAction] {
    switch message {
    case .versionResponse(let response): return handle(response)
    case .unloadComplete where phase == .unloading:
      phase = .idle
      channels = [:]
      gpadls = [:]
      return [.unloaded]
    case _ where phase != .connected: return [.dropped("\(message.type) while not connected")]
    case .offer(let offer): return handle(offer)
    case .rescind(let relid):
      guard let channel = channels[relid], !channel.isRescinded else { break }
      channels[relid]?.isRescinded = true
      return [.rescinded(relid: relid)]
    case .allOffersDelivered where !isEnumerated:
      isEnumerated = true
      return [.enumerated]
    case .openChannelResult(let relid, let openID, let status):
      guard let channel = channels[relid], channel.openID == openID else { break }
      channels[relid]?.openID = nil
      channels[relid]?.isOpen = status == .success
      return [.opened(relid: relid, status: status)]
    case .gpadlCreated(let relid, let gpadl, let status):
      guard let entry = gpadls[gpadl], entry.relid == relid, entry.state == .creating else { break }
      gpadls[gpadl] = status == .success ? GPADL(relid: relid, state: .created) : nil
      return [.gpadlCreated(gpadl, status: status)]
    case .gpadlTorndown(let gpadl):
      guard let entry = gpadls[gpadl], entry.state == .tearingDown else { break }
      gpadls[gpadl] = nil
      return [.gpadlTorndown(gpadl)]
    default: break
    }
    return [.dropped("\(message.type), which nothing here waits for")]
  }

  private mutating func handle(_ response: VersionResponse) -> [ClientAction] {
    guard case .contacting(let index) = phase else { return [.dropped("VERSION_RESPONSE without a request")] }
    guard response.isSupported else { return contact(index + 1) }
    guard response.state == .successful else {
      phase = .idle
      return [.refused("the host could not connect: \(response.state)")]
    }
    phase = .connected
    version = versions[index]
    messageConnectionID = response.messageConnectionID(for: versions[index])
    return [.connected(versions[index]), post(.requestOffers)]
  }

  private mutating func handle(_ offer: ChannelOffer) -> [ClientAction] {
    guard Self.relids.contains(offer.relid), channels[offer.relid] == nil else {
      return [.dropped("OFFER_CHANNEL with relid \(offer.relid)")]
    }
    let siblings = channels.values.filter {
      !$0.isRescinded && $0.offer.instance == offer.instance && $0.offer.interfaceClass == offer.interfaceClass
    }
    guard !siblings.contains(where: { $0.offer.subChannelIndex == offer.subChannelIndex }) else {
      return [.dropped("a second OFFER_CHANNEL for \(offer.instance)")]
    }
    guard offer.isPrimary || siblings.contains(where: { $0.offer.isPrimary }) else {
      return [.dropped("OFFER_CHANNEL for a sub-channel of nothing")]
    }
    channels[offer.relid] = Channel(offer: offer)
    return [.offered(offer)]
  }
}
