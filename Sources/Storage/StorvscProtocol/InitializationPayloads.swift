import WireBytes

/// The payload of QUERY_PROTOCOL_VERSION and of its answer (Linux: struct vmstorage_protocol_version).
public struct VersionBlock: Equatable, BitwiseCopyable, Sendable {
  /// The version that is asked for, or answered.
  public var version: StorvscVersion
  /// Zero; not looked at.
  public var revision: UInt16

  /// The bytes on the wire.
  @inlinable public static var byteCount: Int { 4 }

  /// A block for `version`.
  public init(_ version: StorvscVersion, revision: UInt16 = 0) {
    self.version = version
    self.revision = revision
  }

  /// Parses the payload of a whole packet.
  public init(parsing packet: RawSpan) throws(StorvscError) {
    let offset = StorvscPacket.headerByteCount
    try packet.require(VersionBlock.byteCount, at: offset)
    version = StorvscVersion(rawValue: packet.le16(at: offset))
    revision = packet.le16(at: offset + 2)
  }

  /// Stores the payload of a whole packet.
  @_lifetime(packet: copy packet)
  public func store(into packet: inout MutableRawSpan) {
    packet.storeLE(version.rawValue, at: StorvscPacket.headerByteCount)
    packet.storeLE(revision, at: StorvscPacket.headerByteCount + 2)
  }
}

/// The payload of the answer to QUERY_PROPERTIES (Linux: struct vmstorage_channel_properties).
public struct ChannelProperties: Equatable, BitwiseCopyable, Sendable {
  /// Bits of the properties.
  public struct Flags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// Flags as they came over the wire.
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// The guest may ask for sub-channels.
    public static let multiChannel = Flags(rawValue: 1)
  }

  /// The most channels that the host gives beyond the primary one.
  public var maximumSubChannelCount: UInt16
  /// What the host supports.
  public var flags: Flags
  /// The most bytes that one request may move.
  public var maximumTransferByteCount: UInt32

  /// The bytes on the wire.
  public static let byteCount = 24

  /// Properties with these values.
  public init(maximumSubChannelCount: UInt16, maximumTransferByteCount: UInt32) {
    self.maximumSubChannelCount = maximumSubChannelCount
    flags = maximumSubChannelCount > 0 ? .multiChannel : []
    self.maximumTransferByteCount = maximumTransferByteCount
  }

  /// Parses the payload of a whole packet. The values are the peer's: clamp them before use.
  public init(parsing packet: RawSpan) throws(StorvscError) {
    let offset = StorvscPacket.headerByteCount
    try packet.require(ChannelProperties.byteCount, at: offset)
    maximumSubChannelCount = packet.le16(at: offset + 4)
    flags = Flags(rawValue: packet.le32(at: offset + 8))
    maximumTransferByteCount = packet.le32(at: offset + 12)
  }

  /// Stores the payload of a whole packet.
  @_lifetime(packet: copy packet)
  public func store(into packet: inout MutableRawSpan) {
    let offset = StorvscPacket.headerByteCount
    packet.zero(from: offset, count: ChannelProperties.byteCount)
    packet.storeLE(maximumSubChannelCount, at: offset + 4)
    packet.storeLE(flags.rawValue, at: offset + 8)
    packet.storeLE(maximumTransferByteCount, at: offset + 12)
  }
}

/// The payload of CREATE_SUB_CHANNELS.
public struct SubChannelCount: Equatable, BitwiseCopyable, Sendable {
  /// The channels that the guest wants beyond the primary one.
  public var count: UInt16

  /// The bytes on the wire.
  @inlinable public static var byteCount: Int { 2 }

  /// A wish for `count` channels.
  public init(_ count: UInt16) {
    self.count = count
  }

  /// Parses the payload of a whole packet.
  public init(parsing packet: RawSpan) throws(StorvscError) {
    try packet.require(SubChannelCount.byteCount, at: StorvscPacket.headerByteCount)
    count = packet.le16(at: StorvscPacket.headerByteCount)
  }

  /// Stores the payload of a whole packet.
  @_lifetime(packet: copy packet)
  public func store(into packet: inout MutableRawSpan) {
    packet.storeLE(count, at: StorvscPacket.headerByteCount)
  }
}

/// The payload of the answer to FCHBA_DATA (Linux: struct hv_fc_wwn_packet): the names of a Fibre Channel adapter,
/// each as a big-endian number.
public struct WorldWideNames: Equatable, BitwiseCopyable, Sendable {
  /// Whether the primary port is the active one.
  public var primaryPortIsActive: Bool
  /// The port name of the primary port.
  public var primaryPort: UInt64
  /// The node name of the primary port.
  public var primaryNode: UInt64
  /// The port name of the secondary port.
  public var secondaryPort: UInt64
  /// The node name of the secondary port.
  public var secondaryNode: UInt64

  /// The bytes on the wire.
  public static let byteCount = 36

  /// Names with these values.
  public init(
    primaryPortIsActive: Bool, primaryPort: UInt64, primaryNode: UInt64, secondaryPort: UInt64, secondaryNode: UInt64
  ) {
    self.primaryPortIsActive = primaryPortIsActive
    self.primaryPort = primaryPort
    self.primaryNode = primaryNode
    self.secondaryPort = secondaryPort
    self.secondaryNode = secondaryNode
  }

  /// Parses the payload of a whole packet.
  public init(parsing packet: RawSpan) throws(StorvscError) {
    let offset = StorvscPacket.headerByteCount
    try packet.require(WorldWideNames.byteCount, at: offset)
    self.init(
      primaryPortIsActive: packet.byte(at: offset) != 0, primaryPort: packet.be64(at: offset + 4),
      primaryNode: packet.be64(at: offset + 12), secondaryPort: packet.be64(at: offset + 20),
      secondaryNode: packet.be64(at: offset + 28))
  }

  /// Stores the payload of a whole packet.
  @_lifetime(packet: copy packet)
  public func store(into packet: inout MutableRawSpan) {
    let offset = StorvscPacket.headerByteCount
    packet.storeLE(UInt32(primaryPortIsActive ? 1 : 0), at: offset)
    packet.storeBE(primaryPort, at: offset + 4)
    packet.storeBE(primaryNode, at: offset + 12)
    packet.storeBE(secondaryPort, at: offset + 20)
    packet.storeBE(secondaryNode, at: offset + 28)
  }
}

/// The user data in the offer of an IDE accelerator channel: which emulated disk the channel takes over.
public struct IDEUserData: Equatable, BitwiseCopyable, Sendable {
  /// The IDE channel, 0 or 1.
  public var pathID: UInt8
  /// The device on the channel, 0 or 1.
  public var targetID: UInt8
  /// Bit 1: the channel belongs to an IDE device.
  public var flags: UInt32

  /// The bytes on the wire, at the start of the offer's user data.
  public static let byteCount = 24
  /// The flag of an IDE device.
  public static let ideDevice: UInt32 = 2

  /// The data of the disk at `targetID` of channel `pathID`.
  public init(pathID: UInt8, targetID: UInt8) {
    self.pathID = pathID
    self.targetID = targetID
    flags = IDEUserData.ideDevice
  }

  /// Parses the first 24 bytes of an offer's user data.
  public init(parsing bytes: RawSpan) throws(StorvscError) {
    try bytes.require(IDEUserData.byteCount, at: 0)
    pathID = bytes.byte(at: 2)
    targetID = bytes.byte(at: 3)
    flags = bytes.le32(at: 8)
  }

  /// Stores 24 bytes at the start of `target`.
  @_lifetime(target: copy target)
  public func store(into target: inout MutableRawSpan) {
    target.zero(from: 0, count: IDEUserData.byteCount)
    target.storeLE(pathID, at: 2)
    target.storeLE(targetID, at: 3)
    target.storeLE(flags, at: 8)
  }
}
