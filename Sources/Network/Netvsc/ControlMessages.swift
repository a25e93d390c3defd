import Ethernet
import NetvscProtocol
import VMBusChannel
import WireBytes

/// RNDIS control requests of a guest, and what their replies say.
enum ControlMessages {
  static func initialize(_ id: UInt32) -> [UInt8] {
    let message = RNDISMessage.initialize(requestID: id)
    return [UInt8](zeroed: message.byteCount) { _ = message.storeFields(into: &$0) }
  }

  static func halt(_ id: UInt32) -> [UInt8] {
    let message = RNDISMessage.halt(requestID: id)
    return [UInt8](zeroed: message.byteCount) { _ = message.storeFields(into: &$0) }
  }

  static func query(_ id: UInt32, _ oid: OID, _ input: [UInt8] = []) -> [UInt8] {
    let message = RNDISMessage.query(RNDISRequest(requestID: id, oid: oid, informationByteCount: input.count))
    return [UInt8](zeroed: message.byteCount) { _ = message.store(into: &$0, information: input.rawSpan) }
  }

  static func set(_ id: UInt32, _ oid: OID, _ value: [UInt8]) -> [UInt8] {
    let message = RNDISMessage.set(RNDISRequest(requestID: id, oid: oid, informationByteCount: value.count))
    return [UInt8](zeroed: message.byteCount) { _ = message.store(into: &$0, information: value.rawSpan) }
  }

  static func word(_ value: UInt32) -> [UInt8] { [UInt8](zeroed: 4) { $0.storeLE(value, at: 0) } }

  // MARK: Replies

  private static func parse(_ reply: [UInt8], _ what: String) throws(ChannelError) -> RNDISMessage {
    do throws(NetvscError) { return try RNDISMessage(parsing: reply.rawSpan) } catch {
      throw .protocolFault("the reply to \(what): \(error)")
    }
  }

  static func limits(_ reply: [UInt8], _ what: String) throws(ChannelError) -> RNDISInitializeResult {
    guard case .initializeComplete(let result) = try parse(reply, what) else {
      throw .protocolFault("a reply of another type to \(what)")
    }
    guard result.status == .success else { throw .refused(what: what, status: result.status.rawValue) }
    return result
  }

  static func result(_ reply: [UInt8], _ what: String) throws(ChannelError) -> [UInt8] {
    guard case .queryComplete(let result) = try parse(reply, what) else {
      throw .protocolFault("a reply of another type to \(what)")
    }
    guard result.status == .success else { throw .refused(what: what, status: result.status.rawValue) }
    return Array(reply[result.information])
  }

  static func check(_ reply: [UInt8], _ what: String) throws(ChannelError) {
    guard case .setComplete(_, let status) = try parse(reply, what) else {
      throw .protocolFault("a reply of another type to \(what)")
    }
    guard status == .success else { throw .refused(what: what, status: status.rawValue) }
  }

  // MARK: Values

  /// The switches for what both sides can do; IPv4 header checksums are always computed here.
  static func offloadParameters(_ offered: NDISOffload, version: NVSPVersion, coalesces: Bool) -> [UInt8] {
    let transmit = TransmitOffloads(offered)
    func setting(_ sends: Bool, _ receives: Bool) -> NDISOffloadParameters.Checksum {
      switch (sends, receives) {
      case (true, true): .both
      case (true, false): .transmit
      case (false, true): .receive
      case (false, false): .off
      }
    }
    var parameters = NDISOffloadParameters()
    parameters.ip4 = .off
    parameters.tcp4 = setting(transmit.tcp4, offered.receive4.features.contains(.tcp))
    parameters.tcp6 = setting(transmit.tcp6, offered.receive6.features.contains(.tcp))
    // Linux leaves UDP alone at old versions.
    if version.hasSubChannels {
      parameters.udp4 = setting(transmit.udp4, offered.receive4.features.contains(.udp))
      parameters.udp6 = setting(transmit.udp6, offered.receive6.features.contains(.udp))
    }
    parameters.largeSend4 = transmit.largeSend4ByteCount > 0 ? .on : .off
    parameters.largeSend6 = transmit.largeSend6ByteCount > 0 ? .on : .off
    let count = version.hasSubChannels ? NDISOffloadParameters.byteCount : NDISOffloadParameters.shortByteCount
    parameters.coalescing4 = coalesces && offered.coalesces4 ? .on : .off
    parameters.coalescing6 = coalesces && offered.coalesces6 ? .on : .off
    return [UInt8](zeroed: count) { parameters.store(into: &$0, byteCount: count) }
  }

  /// Switches coalescing alone.
  static func coalescing(_ isOn: Bool) -> [UInt8] {
    var parameters = NDISOffloadParameters()
    parameters.coalescing4 = isOn ? .on : .off
    parameters.coalescing6 = isOn ? .on : .off
    return [UInt8](zeroed: NDISOffloadParameters.byteCount) { parameters.store(into: &$0) }
  }

  /// The header of the object that is wanted, and zeros.
  static func request(type: UInt8, revision: UInt8, byteCount: Int) -> [UInt8] {
    [UInt8](zeroed: byteCount) {
      NDISObjectHeader(type: type, revision: revision, byteCount: UInt16(byteCount)).store(into: &$0)
    }
  }

  static func scaling(_ flags: RSSParameters.Flags, entryCount: Int, queueCount: Int) -> [UInt8] {
    let parameters = RSSParameters(
      flags: flags, table: (0..<entryCount).map { UInt32($0 % queueCount) }, key: ToeplitzHash.linuxKey)
    return [UInt8](zeroed: parameters.byteCount) { parameters.store(into: &$0) }
  }
}

extension PacketFilter {
  /// The filter for a station that wants these frames of a NIC with the address `own`.
  init(_ filter: EthernetFilter, own: MACAddress) {
    self = []
    if filter.isPromiscuous {
      self = .promiscuous
      return
    }
    if filter.acceptsDirected {
      // The host knows one address only.
      if filter.address != own, filter.address != .zero {
        self = .promiscuous
        return
      }
      insert(.directed)
    }
    // Hosts keep no list of groups: all of them come, or none.
    if filter.acceptsAllMulticast || !filter.groups.isEmpty { insert(.allMulticast) }
    if filter.acceptsBroadcast { insert(.broadcast) }
  }
}
