import Ethernet
import LinuxIO
import NetvscProtocol
import WireBytes

extension ChannelServer {
  /// The objects that a guest may ask for or set, as the list of supported ones tells.
  static var supportedOIDs: [OID] {
    [
      .supportedList, .hardwareStatus, .mediaSupported, .mediaInUse, .maximumLookahead, .maximumFrameSize, .linkSpeed,
      .transmitBufferSpace, .receiveBufferSpace, .transmitBlockSize, .receiveBlockSize, .vendorID, .vendorDescription,
      .currentPacketFilter, .currentLookahead, .driverVersion, .maximumTotalSize, .protocolOptions, .macOptions,
      .mediaConnectStatus, .maximumSendPackets, .vendorDriverVersion, .networkLayerAddresses,
      .receiveScaleCapabilities, .receiveScaleParameters, .maximumLinkSpeed, .linkState, .linkParameters,
      .interruptModeration, .machineName, .rndisConfigurationParameter, .transmitOK, .receiveOK, .transmitError,
      .receiveError, .receiveNoBuffer, .directedBytesTransmitted, .directedFramesTransmitted,
      .multicastBytesTransmitted, .multicastFramesTransmitted, .broadcastBytesTransmitted,
      .broadcastFramesTransmitted, .directedBytesReceived, .directedFramesReceived, .multicastBytesReceived,
      .multicastFramesReceived, .broadcastBytesReceived, .broadcastFramesReceived, .friendlyName, .bytesReceived,
      .bytesTransmitted, .receiveDiscards, .transmitDiscards, .permanentAddress, .currentAddress, .multicastList,
      .maximumMulticastListSize, .ieee8023MACOptions, .offloadEncapsulation, .addMulticastAddress,
      .deleteMulticastAddress, .receiveErrorAlignment, .transmitOneCollision, .transmitMoreCollisions,
      .offloadCurrentConfiguration, .offloadParameters, .offloadHardwareCapabilities,
    ]
  }

  /// What a QUERY is answered with; nil: not supported.
  func query(_ oid: OID, _ input: [UInt8]) -> [UInt8]? {
    let nic = session.nic
    let mtu = UInt32(plan.frameByteCount - 14)
    switch oid {
    case .supportedList: return Self.supportedOIDs.flatMap { Self.word($0.rawValue) }
    case .hardwareStatus, .mediaSupported, .mediaInUse, .ieee8023MACOptions, .receiveErrorAlignment,
      .transmitOneCollision, .transmitMoreCollisions:
      return Self.word(0)
    case .maximumLookahead, .currentLookahead, .maximumFrameSize: return Self.word(mtu)
    case .maximumTotalSize, .transmitBlockSize, .receiveBlockSize: return Self.word(mtu + 14)
    case .linkSpeed: return Self.word(NDISLinkSpeed.word(bitsPerSecond: nic.link.bitsPerSecond))
    case .transmitBufferSpace, .receiveBufferSpace: return Self.word(256 << 10)
    case .vendorID: return Self.word(0x155d)
    case .vendorDescription: return Array("Synthetic network adapter".utf8) + [0]
    case .currentPacketFilter: return Self.word(device.filter.rawValue)
    case .driverVersion, .vendorDriverVersion: return [0, 1]
    case .macOptions: return Self.word(MACOptions.standard.rawValue)
    case .mediaConnectStatus:
      let status = nic.link.isConnected ? MediaConnectStatus.connected : .disconnected
      return Self.word(status.rawValue)
    case .maximumSendPackets: return Self.word(.max)
    case .receiveScaleCapabilities: return scalingCapabilities(input)
    case .maximumLinkSpeed:
      let speed = NDISLinkSpeed(bitsPerSecond: nic.link.bitsPerSecond)
      return [UInt8](zeroed: NDISLinkSpeed.byteCount) { speed.store(into: &$0) }
    case .linkState:
      let link = nic.link
      let state = NDISLinkState(
        connectState: link.isConnected ? 1 : 2, speed: NDISLinkSpeed(bitsPerSecond: link.bitsPerSecond))
      return [UInt8](zeroed: NDISLinkState.byteCount) { state.store(into: &$0) }
    case .friendlyName: return Array(RNDISText.bytes(nic.options.friendlyName).prefix(510))
    case .permanentAddress: return [UInt8](zeroed: 6) { nic.address.store(into: &$0) }
    case .currentAddress:
      let address = device.address
      return [UInt8](zeroed: 6) { address.store(into: &$0) }
    case .multicastList:
      let groups = device.groups.sorted { $0.value < $1.value }
      return [UInt8](zeroed: 6 * groups.count) { MulticastList.store(groups, into: &$0) }
    case .maximumMulticastListSize: return Self.word(UInt32(MulticastList.maximumCount))
    case .offloadHardwareCapabilities: return offloadObject(input) { offered(revision: $0) }
    case .offloadCurrentConfiguration:
      return offloadObject(input) { revision in
        var current = device.offload
        current.revision = revision
        return current
      }
    default: return statistic(oid)
    }
  }

  static func word(_ value: UInt32) -> [UInt8] { [UInt8](zeroed: 4) { $0.storeLE(value, at: 0) } }

  /// An offload object of the revision that the guest asks for by a header in its input, at most 3.
  private func offloadObject(_ input: [UInt8], _ make: (UInt8) -> NDISOffload) -> [UInt8] {
    var revision: UInt8 = negotiation.version.offloadRevision
    if let header = try? NDISObjectHeader(parsing: input.rawSpan), header.type == NDISObjectHeader.offloadType,
      header.revision > 0
    {
      revision = min(header.revision, 3)
    }
    let object = make(revision)
    return [UInt8](zeroed: object.byteCount) { object.store(into: &$0) }
  }

  private func scalingCapabilities(_ input: [UInt8]) -> [UInt8]? {
    guard negotiation.version.hasSubChannels else { return nil }
    var capabilities = RSSCapabilities(receiveQueueCount: UInt32(session.nic.maximumQueueCount))
    if let header = try? NDISObjectHeader(parsing: input.rawSpan), header.revision == 1 {
      capabilities.indirectionEntryCount = nil
    }
    return [UInt8](zeroed: capabilities.indirectionEntryCount == nil ? 16 : 18) { capabilities.store(into: &$0) }
  }

  /// The 64-bit counters.
  private func statistic(_ oid: OID) -> [UInt8]? {
    let all = session.statistics
    let value: UInt64
    switch oid {
    case .transmitOK: value = all.sent.frames
    case .receiveOK: value = all.received.frames
    case .transmitError: value = all.sendErrors
    case .receiveError: value = all.receiveErrors
    case .receiveNoBuffer: value = all.receiveNoBuffer
    case .directedBytesTransmitted: value = all.sent.directedBytes
    case .directedFramesTransmitted: value = all.sent.directedFrames
    case .multicastBytesTransmitted: value = all.sent.multicastBytes
    case .multicastFramesTransmitted: value = all.sent.multicastFrames
    case .broadcastBytesTransmitted: value = all.sent.broadcastBytes
    case .broadcastFramesTransmitted: value = all.sent.broadcastFrames
    case .directedBytesReceived: value = all.received.directedBytes
    case .directedFramesReceived: value = all.received.directedFrames
    case .multicastBytesReceived: value = all.received.multicastBytes
    case .multicastFramesReceived: value = all.received.multicastFrames
    case .broadcastBytesReceived: value = all.received.broadcastBytes
    case .broadcastFramesReceived: value = all.received.broadcastFrames
    case .bytesReceived: value = all.received.bytes
    case .bytesTransmitted: value = all.sent.bytes
    case .receiveDiscards: value = all.receiveDiscards
    case .transmitDiscards: value = all.sendDiscards
    default: return nil
    }
    return [UInt8](zeroed: 8) { $0.storeLE(value, at: 0) }
  }
}
