import Ethernet
import NetvscProtocol

/// What the guest has set by RNDIS.
struct DeviceState {
  /// RNDIS is initialized, and not halted since.
  var isInitialized = false
  /// The address in use.
  var address: MACAddress
  /// Which frames are wanted; none at first.
  var filter = PacketFilter()
  /// The groups of the multicast list.
  var groups: Set<MACAddress> = []
  /// The offloads that are on.
  var offload = NDISOffload()
  /// How flows are spread; nil until the guest says it.
  var scaling: RSSParameters?
  /// What the guest knows about its link; nil until it can be told.
  var toldLink: SyntheticNIC.Link?

  init(address: MACAddress) {
    self.address = address
  }

  /// What the port is to let through.
  var frameFilter: EthernetFilter {
    guard isInitialized else { return EthernetFilter(address: address) }
    return EthernetFilter(
      acceptsDirected: filter.contains(.directed), acceptsAllMulticast: filter.contains(.allMulticast),
      acceptsBroadcast: filter.contains(.broadcast), isPromiscuous: filter.contains(.promiscuous), address: address,
      groups: filter.contains(.multicast) ? groups : [])
  }

  /// Takes the parameters of receive-side scaling; those that are marked as unchanged keep their value.
  mutating func set(_ wanted: RSSParameters, queueCount: Int) -> RNDISStatus {
    var result = wanted
    if let scaling {
      if wanted.flags.contains(.hashUnchanged) { result.hashTypes = scaling.hashTypes }
      if wanted.flags.contains(.tableUnchanged) { result.table = scaling.table }
      if wanted.flags.contains(.keyUnchanged) { result.key = scaling.key }
    }
    guard result.isDisabled || result.isUsable(queueCount: UInt32(queueCount)) else { return .invalidData }
    if result.isDisabled, !result.isUsable(queueCount: UInt32(queueCount)) {
      result.table = []
      result.key = []
    }
    scaling = result
    return .success
  }

  /// Switches the offloads that `wanted` names and `offered` has. Requests of single frames are done whatever is off.
  mutating func set(_ wanted: NDISOffloadParameters, offered: NDISOffload) -> RNDISStatus {
    guard wanted.largeSendV1 != .on else { return .notSupported }
    func change(
      _ checksum: NDISOffloadParameters.Checksum, _ bit: NDISOffload.Checksum.Features,
      _ transmit: inout NDISOffload.Checksum, _ receive: inout NDISOffload.Checksum,
      _ offeredTransmit: NDISOffload.Checksum, _ offeredReceive: NDISOffload.Checksum
    ) {
      guard checksum != .noChange else { return }
      // DPDK says "receive" where it means both.
      let sends = checksum == .transmit || checksum == .both || checksum == .receive
      let receives = checksum == .receive || checksum == .both
      if sends {
        transmit.features.formUnion(offeredTransmit.features.intersection(bit))
      } else {
        transmit.features.subtract(bit)
      }
      if receives {
        receive.features.formUnion(offeredReceive.features.intersection(bit))
      } else {
        receive.features.subtract(bit)
      }
    }
    change(wanted.ip4, .ipHeader, &offload.transmit4, &offload.receive4, offered.transmit4, offered.receive4)
    change(wanted.tcp4, .tcp, &offload.transmit4, &offload.receive4, offered.transmit4, offered.receive4)
    change(wanted.udp4, .udp, &offload.transmit4, &offload.receive4, offered.transmit4, offered.receive4)
    change(wanted.tcp6, .tcp, &offload.transmit6, &offload.receive6, offered.transmit6, offered.receive6)
    change(wanted.udp6, .udp, &offload.transmit6, &offload.receive6, offered.transmit6, offered.receive6)
    switch wanted.largeSend4 {
    case .on: offload.largeSend4 = offered.largeSend4
    case .off: offload.largeSend4 = NDISOffload.LargeSend()
    default: break
    }
    switch wanted.largeSend6 {
    case .on: offload.largeSend6 = offered.largeSend6
    case .off: offload.largeSend6 = NDISOffload.LargeSend()
    default: break
    }
    if wanted.coalescing4 != .noChange { offload.coalesces4 = wanted.coalescing4 == .on && offered.coalesces4 }
    if wanted.coalescing6 != .noChange { offload.coalesces6 = wanted.coalescing6 == .on && offered.coalesces6 }
    return .success
  }
}
