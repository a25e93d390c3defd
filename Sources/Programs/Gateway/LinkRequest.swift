public import Ethernet
public import NetlinkRoute
public import SyntheticHost

/// What `synthgate link up` was asked to do.
public struct LinkRequest: Sendable {
  /// Name of the link.
  public var name: String
  /// The NIC on the bus: its number, its instance, or its address; nil for the only one.
  public var nic: String?
  /// The bus.
  public var bus = BusChoice.embedded
  /// What is behind the NIC of an embedded host; nil: a responder at the gateway, or at the first free address.
  public var uplink: Uplink?
  /// Addresses with their prefix lengths.
  public var addresses: [IPNetwork] = []
  /// Routes over the link, the default route of the gateway not among them.
  public var routes: [IPRoute] = []
  /// The default gateway.
  public var gateway: IPAddress?
  /// The longest payload of a frame, in bytes.
  public var mtu = 1500
  /// Address of the NIC; nil for the one that it has.
  public var mac: MACAddress?
  /// The network namespace, as `ip netns` names it, or a path; nil for this one.
  public var namespace: String?
  /// Whether a DHCP client gets addresses and routes.
  public var usesDHCP = false
  /// The most queues, each with a thread and a channel of its own; nil for one per processor, at most 4.
  public var queues: Int?
  /// Seconds for which the link waits without carrier for a host that is gone.
  public var reconnectSeconds = 3600

  /// A request with its usual choices.
  public init(name: String) {
    self.name = name
  }

  /// Name of the link with its namespace: what tells it from all others of this machine.
  var key: String { Self.key(name, namespace) }

  static func key(_ name: String, _ namespace: String?) -> String {
    guard let namespace else { return name }
    return name + "@" + namespace.map { $0 == "/" ? "+" : $0 }
  }

  /// The network of an embedded host that fits the request.
  var network: NetworkConfiguration {
    NetworkConfiguration(
      id: NetworkConfiguration.defaultID(0), mac: mac ?? madeUpAddress, uplink: uplink ?? .responder(responderCIDR),
      mtu: max(mtu, 9000), queues: 64)
  }

  /// Where the responder is, unless an uplink is named: at the gateway, or beside the first address.
  private var responderCIDR: String {
    let first = addresses.first { !$0.address.isIPv6 }
    if let gateway, !gateway.isIPv6 {
      let near = addresses.first { $0.contains(gateway) }
      return "\(gateway)/\(near?.prefixLength ?? 24)"
    }
    guard let first, first.prefixLength <= 30 else { return "10.77.0.1/24" }
    for last in 1...2 {
      var bytes = first.network.address.bytes
      bytes[3] += UInt8(last)
      if let address = IPAddress(bytes: bytes), address != first.address { return "\(address)/\(first.prefixLength)" }
    }
    return "10.77.0.1/24"
  }

  /// A locally administered address that is the same for the same link, and another for others.
  private var madeUpAddress: MACAddress {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return MACAddress(value: 0x0215_5d00_0000 | (hash ^ hash >> 24 ^ hash >> 48) & 0xff_ffff)
  }
}
