import WireBytes

/// A VMBus control message: the payload of one SynIC message, at most 240 bytes.
///
/// The first 8 bytes are the type and a zero word. A longer message than its structure is accepted (UEFI sends all
/// 240 bytes), a shorter one refused. Relids and GPADL ids are as the peer gave them: whoever keeps the tables checks
/// them.
public enum Message: Equatable, Sendable {
  /// OFFER_CHANNEL (1).
  case offer(ChannelOffer)
  /// RESCIND_CHANNEL_OFFER (2).
  case rescind(relid: UInt32)
  /// REQUEST_OFFERS (3).
  case requestOffers
  /// ALL_OFFERS_DELIVERED (4).
  case allOffersDelivered
  /// OPEN_CHANNEL (5).
  case openChannel(OpenChannel)
  /// OPEN_CHANNEL_RESULT (6); the open id is the one of the request.
  case openChannelResult(relid: UInt32, openID: UInt32, status: MessageStatus)
  /// CLOSE_CHANNEL (7).
  case closeChannel(relid: UInt32)
  /// GPADL_HEADER (8).
  case gpadlHeader(GPADLHeader)
  /// GPADL_BODY (9).
  case gpadlBody(GPADLBody)
  /// GPADL_CREATED (10).
  case gpadlCreated(relid: UInt32, gpadl: UInt32, status: MessageStatus)
  /// GPADL_TEARDOWN (11).
  case gpadlTeardown(relid: UInt32, gpadl: UInt32)
  /// GPADL_TORNDOWN (12).
  case gpadlTorndown(gpadl: UInt32)
  /// REL_ID_RELEASED (13).
  case relidReleased(relid: UInt32)
  /// INITIATE_CONTACT (14).
  case initiateContact(InitiateContact)
  /// VERSION_RESPONSE (15).
  case versionResponse(VersionResponse)
  /// UNLOAD (16).
  case unload
  /// UNLOAD_COMPLETE (17).
  case unloadComplete
  /// OPEN_RESERVED_CHANNEL (18).
  case openReservedChannel(OpenReservedChannel)
  /// CLOSE_RESERVED_CHANNEL (19); the answer goes to this VP and SINT.
  case closeReservedChannel(relid: UInt32, targetVP: UInt32, sint: UInt32)
  /// CLOSE_RESERVED_RESPONSE (20).
  case closeReservedResponse(relid: UInt32)
  /// TL_CONNECT_REQUEST (21).
  case tlConnect(TLConnect)
  /// MODIFY_CHANNEL (22); `OpenChannel.noInterrupts` is not allowed here.
  case modifyChannel(relid: UInt32, targetVP: UInt32)
  /// TL_CONNECT_REQUEST_RESULT (23), sent when an hvsock connect fails.
  case tlConnectResult(endpoint: GUID, service: GUID, status: MessageStatus)
  /// MODIFY_CHANNEL_RESPONSE (24).
  case modifyChannelResponse(relid: UInt32, status: MessageStatus)
  /// MODIFY_CONNECTION (25).
  case modifyConnection(MonitorPageAddresses)
  /// MODIFY_CONNECTION_RESPONSE (26).
  case modifyConnectionResponse(state: ConnectionState)
  /// PAUSE (27).
  case pause
  /// PAUSE_RESPONSE (28).
  case pauseResponse
  /// RESUME (29).
  case resume
  /// A type without a layout here; only its number is kept.
  case unknown(MessageType)

  /// The largest control message, in bytes: what a SynIC message carries.
  public static let maximumByteCount = 240

  /// The size of the header, in bytes.
  public static let headerByteCount = 8
}

extension Message {
  /// Reads a message, the header included.
  ///
  /// - Throws: `MessageError` when the bytes are fewer than the structure of the type or more than a message holds.
  public init(parsing bytes: RawSpan) throws(MessageError) {
    let has = bytes.byteCount
    guard has >= Message.headerByteCount else { throw .noHeader(has: has) }
    guard has <= Message.maximumByteCount else { throw .tooLong(has: has) }
    let type = MessageType(rawValue: bytes.le32(at: 0))
    guard let needs = type.minimumByteCount else {
      self = .unknown(type)
      return
    }
    guard has >= needs else { throw .tooShort(type: type, needs: needs, has: has) }
    switch type {
    case .offerChannel: self = .offer(ChannelOffer(parsing: bytes))
    case .rescindChannelOffer: self = .rescind(relid: bytes.le32(at: 8))
    case .requestOffers: self = .requestOffers
    case .allOffersDelivered: self = .allOffersDelivered
    case .openChannel: self = .openChannel(OpenChannel(parsing: bytes))
    case .openChannelResult:
      self = .openChannelResult(
        relid: bytes.le32(at: 8), openID: bytes.le32(at: 12), status: MessageStatus(rawValue: bytes.le32(at: 16)))
    case .closeChannel: self = .closeChannel(relid: bytes.le32(at: 8))
    case .gpadlHeader: self = .gpadlHeader(GPADLHeader(parsing: bytes))
    case .gpadlBody: self = .gpadlBody(GPADLBody(parsing: bytes))
    case .gpadlCreated:
      self = .gpadlCreated(
        relid: bytes.le32(at: 8), gpadl: bytes.le32(at: 12), status: MessageStatus(rawValue: bytes.le32(at: 16)))
    case .gpadlTeardown: self = .gpadlTeardown(relid: bytes.le32(at: 8), gpadl: bytes.le32(at: 12))
    case .gpadlTorndown: self = .gpadlTorndown(gpadl: bytes.le32(at: 8))
    case .relidReleased: self = .relidReleased(relid: bytes.le32(at: 8))
    case .initiateContact: self = .initiateContact(try InitiateContact(parsing: bytes))
    case .versionResponse: self = .versionResponse(VersionResponse(parsing: bytes))
    case .unload: self = .unload
    case .unloadComplete: self = .unloadComplete
    case .openReservedChannel: self = .openReservedChannel(OpenReservedChannel(parsing: bytes))
    case .closeReservedChannel:
      self = .closeReservedChannel(
        relid: bytes.le32(at: 8), targetVP: bytes.le32(at: 12), sint: bytes.le32(at: 16))
    case .closeReservedResponse: self = .closeReservedResponse(relid: bytes.le32(at: 8))
    case .tlConnect: self = .tlConnect(TLConnect(parsing: bytes))
    case .modifyChannel: self = .modifyChannel(relid: bytes.le32(at: 8), targetVP: bytes.le32(at: 12))
    case .tlConnectResult:
      self = .tlConnectResult(
        endpoint: GUID(parsing: bytes, at: 8), service: GUID(parsing: bytes, at: 24),
        status: MessageStatus(rawValue: bytes.le32(at: 40)))
    case .modifyChannelResponse:
      self = .modifyChannelResponse(relid: bytes.le32(at: 8), status: MessageStatus(rawValue: bytes.le32(at: 12)))
    case .modifyConnection: self = .modifyConnection(MonitorPageAddresses(parsing: bytes, at: 8))
    case .modifyConnectionResponse:
      self = .modifyConnectionResponse(state: ConnectionState(rawValue: bytes.byte(at: 8)))
    case .pause: self = .pause
    case .pauseResponse: self = .pauseResponse
    case .resume: self = .resume
    default: self = .unknown(type)
    }
  }
}
