/// The type word of a control message; a peer may send one that we do not know.
public struct MessageType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 32-bit word at offset 0 of the message.
  public let rawValue: UInt32

  /// Takes any word.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// OFFER_CHANNEL: A channel is there.
  public static let offerChannel = MessageType(rawValue: 1)
  /// RESCIND_CHANNEL_OFFER: A channel goes away.
  public static let rescindChannelOffer = MessageType(rawValue: 2)
  /// REQUEST_OFFERS: The guest asks for all offers, once per connection.
  public static let requestOffers = MessageType(rawValue: 3)
  /// ALL_OFFERS_DELIVERED: The first round of offers is complete.
  public static let allOffersDelivered = MessageType(rawValue: 4)
  /// OPEN_CHANNEL: The guest opens a channel over a ring GPADL.
  public static let openChannel = MessageType(rawValue: 5)
  /// OPEN_CHANNEL_RESULT: The answer to OPEN_CHANNEL.
  public static let openChannelResult = MessageType(rawValue: 6)
  /// CLOSE_CHANNEL: The guest closes a channel; there is no answer.
  public static let closeChannel = MessageType(rawValue: 7)
  /// GPADL_HEADER: The first part of a page list.
  public static let gpadlHeader = MessageType(rawValue: 8)
  /// GPADL_BODY: The next part of a page list.
  public static let gpadlBody = MessageType(rawValue: 9)
  /// GPADL_CREATED: The answer to a whole page list.
  public static let gpadlCreated = MessageType(rawValue: 10)
  /// GPADL_TEARDOWN: The guest wants its pages back.
  public static let gpadlTeardown = MessageType(rawValue: 11)
  /// GPADL_TORNDOWN: The host has let go of the pages.
  public static let gpadlTorndown = MessageType(rawValue: 12)
  /// REL_ID_RELEASED: The guest has let go of a rescinded channel; there is no answer.
  public static let relidReleased = MessageType(rawValue: 13)
  /// INITIATE_CONTACT: The guest asks for a connection.
  public static let initiateContact = MessageType(rawValue: 14)
  /// VERSION_RESPONSE: The answer to INITIATE_CONTACT.
  public static let versionResponse = MessageType(rawValue: 15)
  /// UNLOAD: The guest ends the connection.
  public static let unload = MessageType(rawValue: 16)
  /// UNLOAD_COMPLETE: The answer to UNLOAD.
  public static let unloadComplete = MessageType(rawValue: 17)
  /// OPEN_RESERVED_CHANNEL: Opens a channel that outlives the connection.
  public static let openReservedChannel = MessageType(rawValue: 18)
  /// CLOSE_RESERVED_CHANNEL: Closes a channel that outlived the connection.
  public static let closeReservedChannel = MessageType(rawValue: 19)
  /// CLOSE_RESERVED_RESPONSE: The answer to CLOSE_RESERVED_CHANNEL.
  public static let closeReservedResponse = MessageType(rawValue: 20)
  /// TL_CONNECT_REQUEST: The guest connects to an hvsock service.
  public static let tlConnect = MessageType(rawValue: 21)
  /// MODIFY_CHANNEL: The guest moves the interrupts of a channel.
  public static let modifyChannel = MessageType(rawValue: 22)
  /// TL_CONNECT_REQUEST_RESULT: An hvsock connect failed.
  public static let tlConnectResult = MessageType(rawValue: 23)
  /// MODIFY_CHANNEL_RESPONSE: The answer to MODIFY_CHANNEL.
  public static let modifyChannelResponse = MessageType(rawValue: 24)
  /// MODIFY_CONNECTION: The guest names other monitor pages.
  public static let modifyConnection = MessageType(rawValue: 25)
  /// MODIFY_CONNECTION_RESPONSE: The answer to MODIFY_CONNECTION.
  public static let modifyConnectionResponse = MessageType(rawValue: 26)
  /// PAUSE: The host shall send nothing.
  public static let pause = MessageType(rawValue: 27)
  /// PAUSE_RESPONSE: The host sends nothing from here on.
  public static let pauseResponse = MessageType(rawValue: 28)
  /// RESUME: The host may send again.
  public static let resume = MessageType(rawValue: 29)

  /// Every type that has a layout in this module, in numeric order.
  public static let known: [MessageType] = (1...29).map(MessageType.init(rawValue:))

  /// The standard name, or the number.
  public var description: String { facts?.name ?? "message type \(rawValue)" }

  /// The smallest message that is accepted, header included, in bytes; nil for an unknown type.
  public var minimumByteCount: Int? { facts?.byteCount }

  /// Whether the host sends it (else the guest does); nil for an unknown type.
  public var isSentByHost: Bool? { facts?.isSentByHost }

  /// Whether it may be sent on a connection of `version` and `features`; false for an unknown type.
  ///
  /// INITIATE_CONTACT, VERSION_RESPONSE and CLOSE_RESERVED_CHANNEL belong to every version.
  public func isAllowed(at version: ProtocolVersion, features: FeatureFlags = []) -> Bool {
    guard let facts else { return false }
    return version >= facts.since && features.isSuperset(of: facts.feature)
  }
}

extension MessageType {
  /// What the protocol says of one type.
  private struct Facts {
    let name: String
    let byteCount: Int
    let isSentByHost: Bool
    let since: ProtocolVersion
    let feature: FeatureFlags

    init(
      _ name: String, _ byteCount: Int, host: Bool = false, since: ProtocolVersion = .v0_13,
      feature: FeatureFlags = []
    ) {
      self.name = name
      self.byteCount = byteCount
      isSentByHost = host
      self.since = since
      self.feature = feature
    }
  }

  private var facts: Facts? {
    switch self {
    case .offerChannel: Facts("OFFER_CHANNEL", 196, host: true)
    case .rescindChannelOffer: Facts("RESCIND_CHANNEL_OFFER", 12, host: true)
    case .requestOffers: Facts("REQUEST_OFFERS", 8)
    case .allOffersDelivered: Facts("ALL_OFFERS_DELIVERED", 8, host: true)
    case .openChannel: Facts("OPEN_CHANNEL", 148)
    case .openChannelResult: Facts("OPEN_CHANNEL_RESULT", 20, host: true)
    case .closeChannel: Facts("CLOSE_CHANNEL", 12)
    case .gpadlHeader: Facts("GPADL_HEADER", 20)
    case .gpadlBody: Facts("GPADL_BODY", 16)
    case .gpadlCreated: Facts("GPADL_CREATED", 20, host: true)
    case .gpadlTeardown: Facts("GPADL_TEARDOWN", 16)
    case .gpadlTorndown: Facts("GPADL_TORNDOWN", 12, host: true)
    case .relidReleased: Facts("REL_ID_RELEASED", 12)
    case .initiateContact: Facts("INITIATE_CONTACT", 40, since: ProtocolVersion(0, 0))
    case .versionResponse: Facts("VERSION_RESPONSE", 10, host: true, since: ProtocolVersion(0, 0))
    case .unload: Facts("UNLOAD", 8)
    case .unloadComplete: Facts("UNLOAD_COMPLETE", 8, host: true, since: .v1_1)
    case .openReservedChannel: Facts("OPEN_RESERVED_CHANNEL", 28, since: .v4_0)
    case .closeReservedChannel: Facts("CLOSE_RESERVED_CHANNEL", 20, since: ProtocolVersion(0, 0))
    case .closeReservedResponse: Facts("CLOSE_RESERVED_RESPONSE", 12, host: true, since: .v4_0)
    case .tlConnect: Facts("TL_CONNECT_REQUEST", 40, since: .v4_0)
    case .modifyChannel: Facts("MODIFY_CHANNEL", 16, since: .v4_1)
    case .tlConnectResult: Facts("TL_CONNECT_REQUEST_RESULT", 44, host: true, since: .v4_1)
    case .modifyChannelResponse: Facts("MODIFY_CHANNEL_RESPONSE", 16, host: true, since: .v5_3)
    case .modifyConnection: Facts("MODIFY_CONNECTION", 24, since: .v6_0, feature: .modifyConnection)
    case .modifyConnectionResponse:
      Facts("MODIFY_CONNECTION_RESPONSE", 9, host: true, since: .v6_0, feature: .modifyConnection)
    case .pause: Facts("PAUSE", 8, since: .v6_0, feature: .pauseResume)
    case .pauseResponse: Facts("PAUSE_RESPONSE", 8, host: true, since: .v6_0, feature: .pauseResume)
    case .resume: Facts("RESUME", 8, since: .v6_0, feature: .pauseResume)
    default: nil
    }
  }
}
