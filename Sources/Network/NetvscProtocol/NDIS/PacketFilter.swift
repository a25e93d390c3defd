public import Ethernet

/// Which frames a guest wants (GEN_CURRENT_PACKET_FILTER). Zero ends the delivery of data; higher bits are ignored.
public struct PacketFilter: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A filter as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Frames to the NIC's own address.
  @inlinable public static var directed: PacketFilter { PacketFilter(rawValue: 1) }
  /// Frames to the groups of the multicast list.
  @inlinable public static var multicast: PacketFilter { PacketFilter(rawValue: 2) }
  /// Frames to all groups.
  @inlinable public static var allMulticast: PacketFilter { PacketFilter(rawValue: 4) }
  /// Frames to all.
  @inlinable public static var broadcast: PacketFilter { PacketFilter(rawValue: 8) }
  /// Source routing; dead.
  @inlinable public static var sourceRouting: PacketFilter { PacketFilter(rawValue: 0x10) }
  /// All frames.
  @inlinable public static var promiscuous: PacketFilter { PacketFilter(rawValue: 0x20) }
  /// Station management; dead.
  @inlinable public static var stationManagement: PacketFilter { PacketFilter(rawValue: 0x40) }
  /// All local frames.
  @inlinable public static var allLocal: PacketFilter { PacketFilter(rawValue: 0x80) }
  /// What a guest sets that is up.
  @inlinable public static var up: PacketFilter { [.directed, .allMulticast, .broadcast] }

  /// Whether a frame to `destination` is for a NIC with the address `own` that listens to `groups`.
  @inlinable
  public func accepts(_ destination: MACAddress, own: MACAddress, isListed: Bool = false) -> Bool {
    if contains(.promiscuous) { return true }
    if destination == .broadcast { return contains(.broadcast) }
    if destination.isMulticast { return contains(.allMulticast) || contains(.multicast) && isListed }
    return contains(.directed) && destination == own
  }
}
