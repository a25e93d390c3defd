import Ethernet
import NetvscProtocol
import WireBytes

extension ChannelServer {
  /// Takes a SET.
  mutating func set(_ oid: OID, _ input: [UInt8]) -> RNDISStatus {
    switch oid {
    case .currentPacketFilter:
      guard input.count >= 4 else { return .invalidLength }
      device.filter = PacketFilter(rawValue: input.rawSpan.le32(at: 0))
      applyDevice()
      return .success
    case .currentLookahead, .protocolOptions, .networkLayerAddresses, .machineName, .linkParameters,
      .interruptModeration, .offloadEncapsulation:
      // Nothing that a guest sees depends on them.
      return .success
    case .multicastList:
      guard let groups = try? MulticastList.addresses(parsing: input.rawSpan) else { return .invalidLength }
      return setGroups(Set(groups))
    case .addMulticastAddress:
      guard let group = try? MACAddress(parsing: input.rawSpan) else { return .invalidLength }
      return setGroups(device.groups.union([group]))
    case .deleteMulticastAddress:
      guard let group = try? MACAddress(parsing: input.rawSpan) else { return .invalidLength }
      return setGroups(device.groups.subtracting([group]))
    case .offloadParameters: return setOffloads(input)
    case .receiveScaleParameters: return setScaling(input)
    case .rndisConfigurationParameter:
      guard let parameter = try? RNDISConfigurationParameter(parsing: input.rawSpan) else { return .invalidData }
      guard parameter.name == RNDISConfigurationParameter.networkAddress else { return .success }
      guard let address = parameter.address, address.isUsable else { return .invalidData }
      device.address = address
      applyDevice()
      return .success
    default:
      return .notSupported
    }
  }

  private mutating func setGroups(_ groups: Set<MACAddress>) -> RNDISStatus {
    guard groups.count <= MulticastList.maximumCount else { return .multicastFull }
    guard groups.allSatisfy(\.isMulticast) else { return .invalidData }
    device.groups = groups
    applyDevice()
    return .success
  }

  private mutating func setOffloads(_ input: [UInt8]) -> RNDISStatus {
    guard input.count >= 20 else { return .invalidLength }
    guard let wanted = try? NDISOffloadParameters(parsing: input.rawSpan) else { return .invalidData }
    let offered = offered()
    let status = device.set(wanted, offered: offered)
    if status == .success { applyDevice() }
    return status
  }

  private mutating func setScaling(_ input: [UInt8]) -> RNDISStatus {
    guard negotiation.version.hasSubChannels else { return .notSupported }
    guard let wanted = try? RSSParameters(parsing: input.rawSpan) else { return .invalidData }
    let status = device.set(wanted, queueCount: session.nic.maximumQueueCount)
    guard status == .success else { return status }
    session.setScaling(device.scaling)
    applyDevice()
    return .success
  }
}
