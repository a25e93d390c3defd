public import Ethernet
public import WireBytes

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

/// Whether the medium is connected (GEN_MEDIA_CONNECT_STATUS).
public struct MediaConnectStatus: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A status as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Connected.
  @inlinable public static var connected: MediaConnectStatus { MediaConnectStatus(rawValue: 0) }
  /// Disconnected.
  @inlinable public static var disconnected: MediaConnectStatus { MediaConnectStatus(rawValue: 1) }
}

/// What a NIC says about itself (GEN_MAC_OPTIONS).
public struct MACOptions: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// Options as they came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Lookahead data may be copied.
  @inlinable public static var copyLookahead: MACOptions { MACOptions(rawValue: 1) }
  /// Transfers do not pend.
  @inlinable public static var transfersNotPending: MACOptions { MACOptions(rawValue: 4) }
  /// The NIC does not loop frames back.
  @inlinable public static var noLoopback: MACOptions { MACOptions(rawValue: 8) }
  /// 802.1p priority.
  @inlinable public static var ieee8021P: MACOptions { MACOptions(rawValue: 0x40) }
  /// 802.1Q tags.
  @inlinable public static var ieee8021Q: MACOptions { MACOptions(rawValue: 0x200) }
  /// What OpenVMM answers.
  @inlinable public static var standard: MACOptions {
    [.copyLookahead, .transfersNotPending, .noLoopback, .ieee8021P, .ieee8021Q]
  }
}

/// The speed of a link in both directions (GEN_MAX_LINK_SPEED), in bit/s.
public struct NDISLinkSpeed: Hashable, BitwiseCopyable, Sendable {
  /// Guest to host.
  public var transmit: UInt64
  /// Host to guest.
  public var receive: UInt64

  /// The size, in bytes.
  @inlinable public static var byteCount: Int { 16 }

  /// The same speed both ways.
  @inlinable
  public init(bitsPerSecond: UInt64) {
    transmit = bitsPerSecond
    receive = bitsPerSecond
  }

  /// Parses 16 bytes.
  public init(parsing bytes: RawSpan) throws(NetvscError) {
    try bytes.require(NDISLinkSpeed.byteCount)
    transmit = bytes.le64(at: 0)
    receive = bytes.le64(at: 8)
  }

  /// Stores 16 bytes at `start`.
  public func store(into target: inout MutableRawSpan, at start: Int = 0) {
    target.storeLE(transmit, at: start)
    target.storeLE(receive, at: start + 8)
  }

  /// The word of GEN_LINK_SPEED and of its indication: units of 100 bit/s, bounded by the word.
  @inlinable
  public static func word(bitsPerSecond: UInt64) -> UInt32 { UInt32(clamping: bitsPerSecond / 100) }

  /// The speed that the word of GEN_LINK_SPEED says.
  @inlinable
  public static func bitsPerSecond(word: UInt32) -> UInt64 { UInt64(word) * 100 }
}

/// The state of a link (GEN_LINK_STATE; Windows: NDIS_LINK_STATE).
public struct NDISLinkState: Hashable, BitwiseCopyable, Sendable {
  /// 1: connected.
  public var connectState: UInt32
  /// The duplex mode.
  public var duplexState: UInt32
  /// The speeds.
  public var speed: NDISLinkSpeed
  /// The pause functions.
  public var pauseFunctions: UInt32
  /// What was negotiated.
  public var autoNegotiation: UInt32

  /// The size, in bytes.
  @inlinable public static var byteCount: Int { 40 }

  /// A state as given; by default connected.
  @inlinable
  public init(
    connectState: UInt32 = 1, duplexState: UInt32 = 0, speed: NDISLinkSpeed, pauseFunctions: UInt32 = 0,
    autoNegotiation: UInt32 = 0
  ) {
    self.connectState = connectState
    self.duplexState = duplexState
    self.speed = speed
    self.pauseFunctions = pauseFunctions
    self.autoNegotiation = autoNegotiation
  }

  /// Parses 40 bytes.
  public init(parsing object: RawSpan) throws(NetvscError) {
    try object.require(NDISLinkState.byteCount)
    try NDISObjectHeader(parsing: object, at: 0).require(type: NDISObjectHeader.defaultType)
    connectState = object.le32(at: 4)
    duplexState = object.le32(at: 8)
    speed = NDISLinkSpeed(bitsPerSecond: object.le64(at: 16))
    speed.receive = object.le64(at: 24)
    pauseFunctions = object.le32(at: 32)
    autoNegotiation = object.le32(at: 36)
  }

  /// Stores 40 bytes at `start`.
  public func store(into target: inout MutableRawSpan, at start: Int = 0) {
    NDISObjectHeader(type: NDISObjectHeader.defaultType, revision: 1, byteCount: 40).store(into: &target, at: start)
    target.storeLE(connectState, at: start + 4)
    target.storeLE(duplexState, at: start + 8)
    target.storeLE(UInt32(0), at: start + 12)
    speed.store(into: &target, at: start + 16)
    target.storeLE(pauseFunctions, at: start + 32)
    target.storeLE(autoNegotiation, at: start + 36)
  }
}

extension MACAddress {
  /// Parses the 6 bytes at the start of `bytes`.
  @inlinable
  public init(parsing bytes: RawSpan) throws(NetvscError) {
    try bytes.require(6)
    self.init(parsing: bytes, at: 0)
  }

  @inlinable
  init(parsing bytes: RawSpan, at offset: Int) {
    self.init(value: UInt64(bytes.be32(at: offset)) << 16 | UInt64(bytes.be16(at: offset + 4)))
  }

  /// Stores the 6 bytes at `offset`.
  @inlinable
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeBE(UInt32(truncatingIfNeeded: value >> 16), at: offset)
    target.storeBE(UInt16(truncatingIfNeeded: value), at: offset + 4)
  }
}

/// The groups of a guest (802_3_MULTICAST_LIST): addresses one after the other.
public enum MulticastList {
  /// The most addresses that are read.
  @inlinable public static var maximumCount: Int { 512 }

  /// Parses a list.
  public static func addresses(parsing bytes: RawSpan) throws(NetvscError) -> [MACAddress] {
    guard bytes.byteCount % 6 == 0, bytes.byteCount <= 6 * maximumCount else {
      throw .count(UInt32(clamping: bytes.byteCount))
    }
    return (0..<bytes.byteCount / 6).map { MACAddress(parsing: bytes, at: 6 * $0) }
  }

  /// Stores a list and returns its size in bytes.
  @discardableResult
  public static func store(_ addresses: [MACAddress], into target: inout MutableRawSpan, at start: Int = 0) -> Int {
    for (index, address) in addresses.enumerated() {
      address.store(into: &target, at: start + 6 * index)
    }
    return 6 * addresses.count
  }
}
