import WireBytes

extension Message {
  /// The type word of this message.
  public var type: MessageType {
    switch self {
    case .offer: .offerChannel
    case .rescind: .rescindChannelOffer
    case .requestOffers: .requestOffers
    case .allOffersDelivered: .allOffersDelivered
    case .openChannel: .openChannel
    case .openChannelResult: .openChannelResult
    case .closeChannel: .closeChannel
    case .gpadlHeader: .gpadlHeader
    case .gpadlBody: .gpadlBody
    case .gpadlCreated: .gpadlCreated
    case .gpadlTeardown: .gpadlTeardown
    case .gpadlTorndown: .gpadlTorndown
    case .relidReleased: .relidReleased
    case .initiateContact: .initiateContact
    case .versionResponse: .versionResponse
    case .unload: .unload
    case .unloadComplete: .unloadComplete
    case .openReservedChannel: .openReservedChannel
    case .closeReservedChannel: .closeReservedChannel
    case .closeReservedResponse: .closeReservedResponse
    case .tlConnect: .tlConnect
    case .modifyChannel: .modifyChannel
    case .tlConnectResult: .tlConnectResult
    case .modifyChannelResponse: .modifyChannelResponse
    case .modifyConnection: .modifyConnection
    case .modifyConnectionResponse: .modifyConnectionResponse
    case .pause: .pause
    case .pauseResponse: .pauseResponse
    case .resume: .resume
    case .unknown(let type): type
    }
  }

  /// The size of the encoded message, header included, in bytes.
  public var byteCount: Int {
    switch self {
    case .openChannel(let open): open.byteCount
    case .gpadlHeader(let header): header.byteCount
    case .gpadlBody(let body): body.byteCount
    case .initiateContact(let contact): contact.byteCount
    case .versionResponse(let response): response.byteCount
    case .tlConnect(let connect): connect.byteCount
    default: type.minimumByteCount ?? Message.headerByteCount
    }
  }

  /// The message as the bytes to post, header included; reserved fields are zero.
  public func encoded() -> [UInt8] {
    [UInt8](zeroed: byteCount) { store(into: &$0) }
  }

  /// Writes the message from offset 0 on into bytes that are zero; traps when they are fewer than `byteCount`.
  public func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(type.rawValue, at: 0)
    switch self {
    case .offer(let offer): offer.store(into: &bytes)
    case .openChannel(let open): open.store(into: &bytes)
    case .gpadlHeader(let header): header.store(into: &bytes)
    case .gpadlBody(let body): body.store(into: &bytes)
    case .initiateContact(let contact): contact.store(into: &bytes)
    case .versionResponse(let response): response.store(into: &bytes)
    case .openReservedChannel(let open): open.store(into: &bytes)
    case .tlConnect(let connect): connect.store(into: &bytes)
    case .rescind(let relid), .closeChannel(let relid), .relidReleased(let relid), .closeReservedResponse(let relid):
      bytes.storeLE(relid, at: 8)
    case .openChannelResult(let relid, let openID, let status):
      storeWords(relid, openID, status.rawValue, into: &bytes)
    case .gpadlCreated(let relid, let gpadl, let status):
      storeWords(relid, gpadl, status.rawValue, into: &bytes)
    case .gpadlTeardown(let relid, let gpadl): storeWords(relid, gpadl, into: &bytes)
    case .gpadlTorndown(let gpadl): bytes.storeLE(gpadl, at: 8)
    case .closeReservedChannel(let relid, let targetVP, let sint): storeWords(relid, targetVP, sint, into: &bytes)
    case .modifyChannel(let relid, let targetVP): storeWords(relid, targetVP, into: &bytes)
    case .modifyChannelResponse(let relid, let status): storeWords(relid, status.rawValue, into: &bytes)
    case .tlConnectResult(let endpoint, let service, let status):
      endpoint.store(into: &bytes, at: 8)
      service.store(into: &bytes, at: 24)
      bytes.storeLE(status.rawValue, at: 40)
    case .modifyConnection(let pages): pages.store(into: &bytes, at: 8)
    case .modifyConnectionResponse(let state): bytes.storeLE(state.rawValue, at: 8)
    case .requestOffers, .allOffersDelivered, .unload, .unloadComplete, .pause, .pauseResponse, .resume, .unknown:
      break
    }
  }

  private func storeWords(_ first: UInt32, _ second: UInt32, into bytes: inout MutableRawSpan) {
    bytes.storeLE(first, at: 8)
    bytes.storeLE(second, at: 12)
  }

  private func storeWords(_ first: UInt32, _ second: UInt32, _ third: UInt32, into bytes: inout MutableRawSpan) {
    storeWords(first, second, into: &bytes)
    bytes.storeLE(third, at: 16)
  }
}
