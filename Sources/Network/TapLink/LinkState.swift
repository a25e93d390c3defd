public import Ethernet
import NetlinkRoute

/// How the link is now, whoever made it so.
public struct LinkState: Hashable, Sendable {
  /// Its number in its namespace.
  public var index: Int32
  /// Its name.
  public var name: String
  /// Its hardware address.
  public var address: MACAddress
  /// The longest payload of a frame, in bytes.
  public var mtu: Int
  /// Whether the administrator has it up.
  public var isUp: Bool
  /// Whether somebody (a bridge, a capture) wants to see all frames.
  public var isPromiscuous: Bool
  /// Whether the medium is connected.
  public var hasCarrier: Bool
  /// Whether it was deleted, or moved to another namespace.
  public var isGone: Bool

  init(_ link: LinkInfo) {
    index = link.index
    name = link.name
    address = MACAddress(link.hardwareAddress)
    mtu = link.mtu
    isUp = link.isUp
    isPromiscuous = link.isPromiscuous
    hasCarrier = link.hasCarrier
    isGone = false
  }
}

extension MACAddress {
  /// An address of six bytes; zero for another number of them.
  init(_ bytes: [UInt8]) {
    self.init(value: bytes.count == 6 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : 0)
  }

  /// The six bytes in wire order.
  var bytes: [UInt8] { (0..<6).map { self[$0] } }
}
