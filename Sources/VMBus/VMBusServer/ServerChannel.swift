import VMBusProtocol

/// A channel that was offered to a guest, as long as its relid is taken.
struct ServerChannel: Sendable {
  enum State: Equatable {
    case closed
    case opening(OpenChannel)
    case open
    case closing
    /// The guest has opened the channel again before its end was closed.
    case closingReopen(OpenChannel)
    /// The guest has given the relid back before the channel's end was closed.
    case closingClientRelease
    /// Rescinded; the guest has not given the relid back yet.
    case revoked
    /// Rescinded, and the device is there again; offered as soon as the guest has given the relid back.
    case reoffered
  }

  let relid: UInt32
  var device: DeviceKey
  let description: DeviceDescription
  let subChannelIndex: Int
  let monitorID: UInt8?
  var state = State.closed

  /// The host's end, from the request to make it until it is closed.
  var end: ChannelKey?
  /// The end is being made.
  var isEndOpening = false
  /// The end was asked to close.
  var isEndClosing = false
  /// The GPADL of the rings of `end`.
  var ringGPADL: UInt32 = 0
  /// The guest is to be told that the channel is rescinded, as soon as the end is closed.
  var owesRescind = false
  /// A rescinded channel whose relid the guest has given back, while its end was still closing.
  var isReleasedByGuest = false

  var hasEnd: Bool { end != nil }
  var isRevoked: Bool { state == .revoked || state == .reoffered }

  func offer() -> Message {
    .offer(
      ChannelOffer(
        interfaceClass: description.interfaceClass, instance: description.instance, flags: description.flags,
        userDefined: description.userDefined, subChannelIndex: UInt16(subChannelIndex), relid: relid,
        monitorID: monitorID, connectionID: ConnectionID.channel(relid: relid)))
  }
}

extension ServerConnection {
  // MARK: Messages about a channel

  mutating func open(_ request: OpenChannel) {
    guard let channel = channels[request.relid] else { return drop("OPEN_CHANNEL for relid \(request.relid)") }
    switch channel.state {
    case .closed: startOpen(request)
    case .closing: channels[request.relid]?.state = .closingReopen(request)
    default: drop("OPEN_CHANNEL for relid \(request.relid) while \(channel.state.name)")
    }
  }

  private mutating func startOpen(_ request: OpenChannel) {
    guard let channel = channels[request.relid] else { return }
    guard let gpadl = gpadls[request.ringGPADL], gpadl.relid == request.relid,
      case .accepted(_, let ranges) = gpadl.state,
      let rings = try? RingPairPages(ranges: ranges, downstreamPageOffset: request.downstreamPageOffset)
    else {
      channels[request.relid]?.state = .closed
      return send(openResult(request, .unspecifiedFailure))
    }
    let key = ChannelKey(number: nextKey)
    nextKey += 1
    channels[request.relid]?.state = .opening(request)
    channels[request.relid]?.end = key
    channels[request.relid]?.isEndOpening = true
    channels[request.relid]?.ringGPADL = request.ringGPADL
    actions.append(
      .open(
        ChannelOpening(
          key: key, device: channel.device, relid: channel.relid, subChannelIndex: channel.subChannelIndex,
          rings: rings, targetVP: request.targetVP == OpenChannel.noInterrupts ? nil : request.targetVP,
          monitorID: channel.monitorID)))
  }

  private func openResult(_ request: OpenChannel, _ status: MessageStatus) -> Message {
    .openChannelResult(relid: request.relid, openID: request.openID, status: status)
  }

  mutating func close(_ relid: UInt32) {
    guard let channel = channels[relid] else { return drop("CLOSE_CHANNEL for relid \(relid)") }
    if channel.isRevoked { return }
    guard channel.state == .open else { return drop("CLOSE_CHANNEL for relid \(relid) while \(channel.state.name)") }
    channels[relid]?.state = .closing
    closeEnd(of: relid)
    if channel.subChannelIndex == 0 { revokeSubChannels(of: channel.device) }
  }

  mutating func releaseRelid(_ relid: UInt32) {
    guard let channel = channels[relid] else { return drop("REL_ID_RELEASED for relid \(relid)") }
    switch channel.state {
    case .closed: forget(channel)
    case .closing: channels[relid]?.state = .closingClientRelease
    case .revoked, .reoffered:
      channels[relid]?.isReleasedByGuest = true
      finishRevocation(relid)
    default: drop("REL_ID_RELEASED for relid \(relid) while \(channel.state.name)")
    }
  }

  mutating func modify(_ relid: UInt32, targetVP: UInt32) {
    let isDone = channels[relid]?.state == .open && targetVP != OpenChannel.noInterrupts
    if isDone, let key = channels[relid]?.end { actions.append(.retarget(key, vp: targetVP)) }
    guard version.answersModifyChannel else { return }
    guard channels[relid] != nil else { return drop("MODIFY_CHANNEL for relid \(relid)") }
    send(.modifyChannelResponse(relid: relid, status: isDone ? .success : .unspecifiedFailure))
  }

  // MARK: Reports about the ends

  /// The end that an `.open` action asked for is there, or could not be made.
  public mutating func openFinished(_ key: ChannelKey, succeeded: Bool) -> [ServerAction] {
    if orphans.contains(key) {
      // The close was asked for when the connection was released; a failed open needs none.
      if !succeeded { orphans.remove(key) }
      finishReleaseIfIdle()
    } else if let relid = relid(of: key), channels[relid]?.isEndOpening == true {
      channels[relid]?.isEndOpening = false
      if !succeeded { forgetEnd(of: relid) }
      if case .opening(let request)? = channels[relid]?.state {
        channels[relid]?.state = succeeded ? .open : .closed
        send(openResult(request, succeeded ? .success : .unspecifiedFailure))
        if !succeeded { finishTeardowns(of: relid) }
      } else if !succeeded {
        finishTeardowns(of: relid)
        finishRevocation(relid)
      }
    }
    return takeActions()
  }

  /// The end that a `.close` action named is closed: the guest's memory is not used by it any more.
  public mutating func closeFinished(_ key: ChannelKey) -> [ServerAction] {
    if orphans.remove(key) != nil {
      finishReleaseIfIdle()
    } else if let relid = relid(of: key), let channel = channels[relid] {
      forgetEnd(of: relid)
      finishTeardowns(of: relid)
      switch channel.state {
      case .closing where channel.subChannelIndex > 0:
        // As Hyper-V does: a sub-channel is offered anew when the driver asks for it again.
        channels[relid]?.state = .closed
        revoke(relid)
      case .closing: channels[relid]?.state = .closed
      case .closingReopen(let request):
        channels[relid]?.state = .closed
        startOpen(request)
      case .closingClientRelease: forget(channel)
      case .revoked, .reoffered: finishRevocation(relid)
      case .closed, .opening, .open: break
      }
    }
    return takeActions()
  }

  private func relid(of key: ChannelKey) -> UInt32? {
    channels.first { $0.value.end == key }?.key
  }

  private mutating func forgetEnd(of relid: UInt32) {
    channels[relid]?.end = nil
    channels[relid]?.isEndOpening = false
    channels[relid]?.isEndClosing = false
    channels[relid]?.ringGPADL = 0
  }

  private mutating func closeEnd(of relid: UInt32) {
    guard let channel = channels[relid], let key = channel.end, !channel.isEndClosing else { return }
    channels[relid]?.isEndClosing = true
    actions.append(.close(key))
  }

  // MARK: The end of an offer

  /// Takes an offer back: RESCIND_CHANNEL_OFFER, once the answers that are owed are given.
  mutating func revoke(_ relid: UInt32) {
    guard let channel = channels[relid] else { return }
    switch channel.state {
    case .revoked: return
    case .reoffered:
      channels[relid]?.state = .revoked
      return
    case .opening(let request), .closingReopen(let request): send(openResult(request, .unspecifiedFailure))
    case .closingClientRelease:
      // The guest has given the relid back already: nothing to rescind.
      return
    case .closed, .open, .closing: break
    }
    channels[relid]?.state = .revoked
    closeEnd(of: relid)
    // A guest that is told frees the rings and buffers at once: Linux tears no GPADL down then, and so waits for nothing.
    if channel.hasEnd {
      channels[relid]?.owesRescind = true
    } else {
      send(.rescind(relid: relid))
    }
  }

  mutating func revokeSubChannels(of device: DeviceKey) {
    for relid in channels.keys.sorted() where channels[relid]?.device == device && channels[relid]!.subChannelIndex > 0
    {
      revoke(relid)
    }
  }

  /// A rescinded channel goes when the host's end is closed and the guest has given its relid back.
  private mutating func finishRevocation(_ relid: UInt32) {
    if let channel = channels[relid], channel.isRevoked, channel.owesRescind, !channel.hasEnd {
      channels[relid]?.owesRescind = false
      if !channel.isReleasedByGuest { send(.rescind(relid: relid)) }
    }
    guard let channel = channels[relid], channel.isRevoked, channel.isReleasedByGuest, !channel.hasEnd else { return }
    if channel.state == .reoffered {
      dropGPADLs(of: relid)
      channels[relid]?.isReleasedByGuest = false
      channels[relid]?.state = .closed
      send(channel.offer())
    } else {
      dropGPADLs(of: relid)
      channels[relid] = nil
    }
  }

  private mutating func forget(_ channel: ServerChannel) {
    dropGPADLs(of: channel.relid)
    channels[channel.relid] = nil
    guard channel.subChannelIndex == 0, let index = devices.firstIndex(where: { $0.key == channel.device }) else {
      return
    }
    devices[index].isClientReleased = true
  }
}

extension ServerChannel.State {
  var name: String {
    switch self {
    case .closed: "closed"
    case .opening: "opening"
    case .open: "open"
    case .closing, .closingReopen, .closingClientRelease: "closing"
    case .revoked: "rescinded"
    case .reoffered: "rescinded and offered again"
    }
  }
}
