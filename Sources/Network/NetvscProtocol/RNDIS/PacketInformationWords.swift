/// The kind of an element of per-packet information (Linux: enum ndis_per_pkt_info_type).
public struct PacketInformationType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire; bit 31 marks types that are internal to the hosts.
  public var rawValue: UInt32

  /// A type as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// TCP/IP checksum.
  @inlinable public static var checksum: PacketInformationType { PacketInformationType(rawValue: 0) }
  /// IPsec; ignored.
  @inlinable public static var ipsec: PacketInformationType { PacketInformationType(rawValue: 1) }
  /// Large send offload.
  @inlinable public static var largeSendOffload: PacketInformationType { PacketInformationType(rawValue: 2) }
  /// Classification handle; ignored.
  @inlinable public static var classification: PacketInformationType { PacketInformationType(rawValue: 3) }
  /// Scatter-gather list; ignored.
  @inlinable public static var scatterGatherList: PacketInformationType { PacketInformationType(rawValue: 5) }
  /// 802.1Q tag.
  @inlinable public static var ieee8021Q: PacketInformationType { PacketInformationType(rawValue: 6) }
  /// Original packet; ignored.
  @inlinable public static var originalPacket: PacketInformationType { PacketInformationType(rawValue: 7) }
  /// Hash value of the flow; also called cancel id.
  @inlinable public static var hashValue: PacketInformationType { PacketInformationType(rawValue: 8) }
  /// Which hash that is.
  @inlinable public static var hashInfo: PacketInformationType { PacketInformationType(rawValue: 9) }
  /// Cached buffer list; ignored.
  @inlinable public static var cachedBufferList: PacketInformationType { PacketInformationType(rawValue: 10) }
  /// Padding of a short packet; ignored.
  @inlinable public static var shortPacketPadding: PacketInformationType { PacketInformationType(rawValue: 11) }
  /// Packet id: the place of a fragment in a coalesced frame.
  @inlinable public static var packetID: PacketInformationType { PacketInformationType(rawValue: 0x8000_0001) }
}

/// The checksums that a guest asks for: one word.
public struct TransmitChecksum: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A request as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// A request for the checksum of the TCP or UDP header at `layer4Offset` of the frame, at most 1023.
  @inlinable
  public init(ipv6: Bool, udp: Bool, layer4Offset: Int, ipHeader: Bool = false) {
    precondition(layer4Offset >= 0 && layer4Offset < 1024)
    rawValue = (ipv6 ? 2 : 1) | (udp ? 8 : 4) | (ipHeader ? 0x10 : 0) | UInt32(layer4Offset) << 16
  }

  /// The frame is IPv4.
  @inlinable public var isIPv4: Bool { rawValue & 1 != 0 }
  /// The frame is IPv6.
  @inlinable public var isIPv6: Bool { rawValue & 2 != 0 }
  /// The TCP checksum is wanted.
  @inlinable public var isTCP: Bool { rawValue & 4 != 0 }
  /// The UDP checksum is wanted.
  @inlinable public var isUDP: Bool { rawValue & 8 != 0 }
  /// The checksum of the IPv4 header is wanted.
  @inlinable public var wantsIPHeader: Bool { rawValue & 0x10 != 0 }
  /// Where the layer-4 header starts in the frame; old guests send 0.
  @inlinable public var layer4Offset: Int { Int(rawValue >> 16 & 0x3ff) }
}

/// What the host knows about the checksums of a frame: one word.
public struct ReceiveChecksum: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A result as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The TCP checksum is wrong.
  @inlinable public static var tcpFailed: ReceiveChecksum { ReceiveChecksum(rawValue: 1) }
  /// The UDP checksum is wrong.
  @inlinable public static var udpFailed: ReceiveChecksum { ReceiveChecksum(rawValue: 2) }
  /// The IPv4 header checksum is wrong.
  @inlinable public static var ipFailed: ReceiveChecksum { ReceiveChecksum(rawValue: 4) }
  /// The TCP checksum is right.
  @inlinable public static var tcpSucceeded: ReceiveChecksum { ReceiveChecksum(rawValue: 8) }
  /// The UDP checksum is right.
  @inlinable public static var udpSucceeded: ReceiveChecksum { ReceiveChecksum(rawValue: 0x10) }
  /// The IPv4 header checksum is right.
  @inlinable public static var ipSucceeded: ReceiveChecksum { ReceiveChecksum(rawValue: 0x20) }
  /// The frame has not left the machine.
  @inlinable public static var loopback: ReceiveChecksum { ReceiveChecksum(rawValue: 0x40) }
  /// The TCP field in the frame is not the verified one: the frame was coalesced.
  @inlinable public static var tcpValueInvalid: ReceiveChecksum { ReceiveChecksum(rawValue: 0x80) }
  /// The IPv4 header field in the frame is not the verified one: the frame was coalesced.
  @inlinable public static var ipValueInvalid: ReceiveChecksum { ReceiveChecksum(rawValue: 0x100) }

  /// Whether any checksum is wrong.
  @inlinable
  public var hasFailed: Bool { !isDisjoint(with: [.tcpFailed, .udpFailed, .ipFailed]) }
}

/// A request to cut a frame into TCP segments: one word.
public struct LargeSendOffload: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A request as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// A request of version 2.
  ///
  /// - Parameters:
  ///   - segmentByteCount: payload bytes per segment.
  ///   - layer4Offset: where the TCP header starts in the frame, at most 1023.
  @inlinable
  public init(ipv6: Bool, segmentByteCount: UInt16, layer4Offset: Int) {
    precondition(layer4Offset >= 0 && layer4Offset < 1024)
    rawValue = UInt32(segmentByteCount) | UInt32(layer4Offset) << 20 | 1 << 30 | (ipv6 ? 1 << 31 : 0)
  }

  /// Payload bytes per segment.
  @inlinable public var segmentByteCount: UInt32 { rawValue & 0xf_ffff }
  /// Where the TCP header starts in the frame; old guests send 0.
  @inlinable public var layer4Offset: Int { Int(rawValue >> 20 & 0x3ff) }
  /// Whether the request is of version 2; no guest sends version 1.
  @inlinable public var isVersion2: Bool { rawValue & 1 << 30 != 0 }
  /// Whether the frame is IPv6.
  @inlinable public var isIPv6: Bool { rawValue & 1 << 31 != 0 }
}

/// An 802.1Q tag as per-packet information: one word, its fields in another order than in a frame.
public struct PacketVLAN: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire: priority in bits 0-2, DEI in 3, VLAN id in 4-15.
  public var rawValue: UInt32

  /// A tag as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// A tag with this tag control information, as a frame has it.
  @inlinable
  public init(tagControl: UInt16) {
    let tag = UInt32(tagControl)
    rawValue = tag >> 13 | tag >> 9 & 8 | tag << 4 & 0xfff0
  }

  /// The tag control information as a frame has it.
  @inlinable
  public var tagControl: UInt16 {
    UInt16(truncatingIfNeeded: rawValue << 13 | rawValue << 9 & 0x1000 | rawValue >> 4 & 0xfff)
  }
}

/// The place of a range in a coalesced frame: one word.
public struct PacketID: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A place as it came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// A fragment of the frame `id`.
  @inlinable
  public init(id: UInt16, isFirst: Bool, isLast: Bool) {
    rawValue = 1 | 0x100 | (isFirst ? 0x200 : 0) | (isLast ? 0x400 : 0) | UInt32(id) << 16
  }

  /// The version: 1.
  @inlinable public var version: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  /// Whether the frame has several fragments; if not, the range is a whole frame.
  @inlinable public var isFragment: Bool { rawValue & 0x100 != 0 }
  /// Whether this is the first.
  @inlinable public var isFirst: Bool { rawValue & 0x200 != 0 }
  /// Whether this is the last.
  @inlinable public var isLast: Bool { rawValue & 0x400 != 0 }
  /// The number of the frame.
  @inlinable public var id: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
}
