import VMBusProtocol

extension ServerConnection {
  /// The most relids of a connection: what Linux and OpenVMM work with.
  static var maximumRelid: UInt32 { 2047 }

  /// A device is there. It is offered at once if the guest has asked for offers.
  public mutating func add(_ key: DeviceKey, _ description: DeviceDescription) -> [ServerAction] {
    devices.append(Device(key: key, description: description))
    if phase == .connected && hasRequestedOffers {
      let former = channels.values.first {
        $0.state == .revoked && $0.subChannelIndex == 0 && $0.description == description
      }
      if let former {
        channels[former.relid]?.state = .reoffered
        channels[former.relid]?.device = key
        // A relid that the guest has given back waits for nothing but the host's own end.
      } else {
        offer(key, description, subChannelIndex: 0)
      }
    }
    return takeActions()
  }

  /// A device is gone. Its channels are rescinded, and their ends closed.
  public mutating func remove(_ key: DeviceKey) -> [ServerAction] {
    devices.removeAll { $0.key == key }
    // Sub-channels first, as the guest takes them down.
    revokeSubChannels(of: key)
    for relid in channels.keys.sorted() where channels[relid]?.device == key { revoke(relid) }
    return takeActions()
  }

  /// Offers sub-channels 1 to `count` of a device whose primary channel is open, as far as they are not offered yet.
  public mutating func offerSubChannels(_ key: DeviceKey, count: Int) -> [ServerAction] {
    let primary = channels.values.first { $0.device == key && $0.subChannelIndex == 0 }
    guard phase == .connected, let primary, let device = devices.first(where: { $0.key == key }) else { return [] }
    switch primary.state {
    case .open, .opening: break
    default: return []
    }
    let offered = channels.values.filter { $0.device == key && !$0.isRevoked }.map(\.subChannelIndex)
    for index in 0...max(0, min(count, limits.subChannelCount)) where index > 0 && !offered.contains(index) {
      offer(key, device.description, subChannelIndex: index)
    }
    return takeActions()
  }

  /// The guest asks for all offers, which it may do once.
  mutating func requestOffers() {
    guard !hasRequestedOffers else { return drop("a second REQUEST_OFFERS") }
    hasRequestedOffers = true
    // Classes in the order of their text; inside a class as configured.
    let order = devices.enumerated().sorted {
      ($0.element.description.interfaceClass, $0.offset) < ($1.element.description.interfaceClass, $1.offset)
    }
    for (_, device) in order { offer(device.key, device.description, subChannelIndex: 0) }
    send(.allOffersDelivered)
  }

  private mutating func offer(_ key: DeviceKey, _ description: DeviceDescription, subChannelIndex: Int) {
    guard let relid = (1...Self.maximumRelid).first(where: { channels[$0] == nil }) else {
      return drop("no relid is left for \(description.interfaceClass)")
    }
    let channel = ServerChannel(
      relid: relid, device: key, description: description, subChannelIndex: subChannelIndex, monitorID: freeMonitorID())
    channels[relid] = channel
    send(channel.offer())
  }

  private func freeMonitorID() -> UInt8? {
    guard limits.allocatesMonitors, monitorPages != .none else { return nil }
    let taken = Set(channels.values.compactMap(\.monitorID))
    return (0..<UInt8(MonitorPage.idCount)).first { !taken.contains($0) }
  }
}
