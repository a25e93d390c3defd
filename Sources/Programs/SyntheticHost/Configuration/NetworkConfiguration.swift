public import Ethernet
import EthernetSwitch
import TapLink
public import VMBusProtocol
import YAMLDocument

/// One synthetic NIC, and the network behind it.
public struct NetworkConfiguration: Sendable, Equatable {
  /// Instance of the device on the bus.
  public var id: GUID
  /// Address of the NIC.
  public var mac: MACAddress
  /// What is behind the switch of the NIC.
  public var uplink: Uplink
  /// Name of the switch: NICs with the same one reach each other. Without a name all NICs with the same uplink share one.
  public var switchName: String
  /// The largest MTU that the guest may choose, in bytes without the Ethernet header.
  public var mtu: Int
  /// The most queues that the guest gets.
  public var queues: Int

  /// A NIC.
  public init(
    id: GUID, mac: MACAddress, uplink: Uplink, switchName: String? = nil, mtu: Int = 9000, queues: Int = 8
  ) {
    self.id = id
    self.mac = mac
    self.uplink = uplink
    self.switchName = switchName ?? uplink.description
    self.mtu = mtu
    self.queues = queues
  }

  /// MTUs that a NIC can have.
  public static let mtus = 576...9202

  /// The instance of NIC `index` that has no `id` of its own.
  public static func defaultID(_ index: Int) -> GUID {
    GUID(0x5347_0000 | UInt32(index), 0x6e69, 0x6300, 0x8000_0000_0000_0000)
  }

  /// The address of NIC `index` that has no `mac` of its own: locally administered.
  public static func defaultAddress(_ index: Int) -> MACAddress {
    MACAddress(value: 0x0215_5d00_0000 | UInt64(index))
  }
}

/// What is behind a switch of the synthetic host.
public enum Uplink: Sendable, Hashable, CustomStringConvertible {
  /// A TAP of this name on the host; it is made unless it is there.
  case tap(String)
  /// A Unix stream socket with the framing of QEMU's stream netdev, at this path.
  case stream(String)
  /// A pseudo host at this address, with its prefix length.
  case responder(String)
  /// Nothing.
  case none

  /// How uplinks are written.
  public static let forms = "tap:NAME, stream:SOCKET, responder:ADDRESS/LENGTH or none"

  /// The uplink that `text` names: `tap:NAME`, `stream:SOCKET`, `responder:CIDR` or `none`; nil when it names none.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    switch parts.first {
    case "none" where text == "none": self = .none
    case "tap" where parts.count == 2: self = .tap(parts[1])
    case "stream" where parts.count == 2: self = .stream(parts[1])
    case "responder" where parts.count == 2: self = .responder(parts[1])
    default: return nil
    }
  }

  /// What is wrong with it before anybody tries to open it; nil when nothing is.
  public var problem: String? {
    switch self {
    case .tap(let name):
      do throws(TapError) { try TapOptions.check(name: name) } catch { return "\(error)" }
      return nil
    case .stream(let path):
      return path.utf8.count > 107 ? "the path of a socket has at most 107 bytes" : nil
    case .responder(let text):
      return IPv4Interface(text) == nil
        ? "`\(text)` is not the IPv4 address of a host with a prefix length, like 10.77.0.1/24" : nil
    case .none: return nil
    }
  }

  /// As it is written.
  public var description: String {
    switch self {
    case .tap(let name): "tap:\(name)"
    case .stream(let path): "stream:\(path)"
    case .responder(let cidr): "responder:\(cidr)"
    case .none: "none"
    }
  }
}

extension NetworkConfiguration {
  init(_ node: YAMLNode, index: Int, file: String) throws(ConfigurationError) {
    var reader = try MappingReader(node, file: file, what: "a network")
    id = try reader.guid("id") ?? Self.defaultID(index)
    mac = Self.defaultAddress(index)
    if let macNode = reader.node("mac") {
      guard case .scalar(let text, _) = macNode.value, let address = MACAddress(text), address.isUsable else {
        throw reader.fault(macNode, "`mac` must be an address of one station, like \"00:15:5d:00:00:01\"")
      }
      mac = address
    }
    let uplinkNode = try reader.requiredNode("uplink")
    guard case .scalar(let text, _) = uplinkNode.value, let uplink = Uplink(text) else {
      throw reader.fault(uplinkNode, "`uplink` must be \(Uplink.forms)")
    }
    if let problem = uplink.problem { throw reader.fault(uplinkNode, "`uplink`: \(problem)") }
    self.uplink = uplink
    switchName = try reader.text("switch") ?? uplink.description
    mtu = try reader.integer("mtu", in: Self.mtus, default: 9000)
    queues = try reader.integer("queues", in: 1...64, default: 8)
    try reader.finish()
  }
}
