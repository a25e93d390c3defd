/// An object identifier: what QUERY and SET are about (Linux: RNDIS_OID).
public struct OID: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// GEN_SUPPORTED_LIST: 32-bit OIDs.
  @inlinable public static var supportedList: OID { OID(rawValue: 0x0001_0101) }
  /// GEN_HARDWARE_STATUS: 32 bits, 0 is ready.
  @inlinable public static var hardwareStatus: OID { OID(rawValue: 0x0001_0102) }
  /// GEN_MEDIA_SUPPORTED: 32 bits, 0 is 802.3.
  @inlinable public static var mediaSupported: OID { OID(rawValue: 0x0001_0103) }
  /// GEN_MEDIA_IN_USE: as the one before.
  @inlinable public static var mediaInUse: OID { OID(rawValue: 0x0001_0104) }
  /// GEN_MAXIMUM_LOOKAHEAD: 32 bits, bytes.
  @inlinable public static var maximumLookahead: OID { OID(rawValue: 0x0001_0105) }
  /// GEN_MAXIMUM_FRAME_SIZE: 32 bits, bytes without the Ethernet header.
  @inlinable public static var maximumFrameSize: OID { OID(rawValue: 0x0001_0106) }
  /// GEN_LINK_SPEED: 32 bits, units of 100 bit/s.
  @inlinable public static var linkSpeed: OID { OID(rawValue: 0x0001_0107) }
  /// GEN_TRANSMIT_BUFFER_SPACE: 32 bits, bytes.
  @inlinable public static var transmitBufferSpace: OID { OID(rawValue: 0x0001_0108) }
  /// GEN_RECEIVE_BUFFER_SPACE: 32 bits, bytes.
  @inlinable public static var receiveBufferSpace: OID { OID(rawValue: 0x0001_0109) }
  /// GEN_TRANSMIT_BLOCK_SIZE: 32 bits, bytes.
  @inlinable public static var transmitBlockSize: OID { OID(rawValue: 0x0001_010a) }
  /// GEN_RECEIVE_BLOCK_SIZE: 32 bits, bytes.
  @inlinable public static var receiveBlockSize: OID { OID(rawValue: 0x0001_010b) }
  /// GEN_VENDOR_ID: 32 bits.
  @inlinable public static var vendorID: OID { OID(rawValue: 0x0001_010c) }
  /// GEN_VENDOR_DESCRIPTION: text.
  @inlinable public static var vendorDescription: OID { OID(rawValue: 0x0001_010d) }
  /// GEN_CURRENT_PACKET_FILTER: see ``PacketFilter``.
  @inlinable public static var currentPacketFilter: OID { OID(rawValue: 0x0001_010e) }
  /// GEN_CURRENT_LOOKAHEAD: 32 bits, bytes.
  @inlinable public static var currentLookahead: OID { OID(rawValue: 0x0001_010f) }
  /// GEN_DRIVER_VERSION: 16 bits.
  @inlinable public static var driverVersion: OID { OID(rawValue: 0x0001_0110) }
  /// GEN_MAXIMUM_TOTAL_SIZE: 32 bits, bytes with the Ethernet header.
  @inlinable public static var maximumTotalSize: OID { OID(rawValue: 0x0001_0111) }
  /// GEN_PROTOCOL_OPTIONS: 32 bits, set.
  @inlinable public static var protocolOptions: OID { OID(rawValue: 0x0001_0112) }
  /// GEN_MAC_OPTIONS: see ``MACOptions``.
  @inlinable public static var macOptions: OID { OID(rawValue: 0x0001_0113) }
  /// GEN_MEDIA_CONNECT_STATUS: see ``MediaConnectStatus``.
  @inlinable public static var mediaConnectStatus: OID { OID(rawValue: 0x0001_0114) }
  /// GEN_MAXIMUM_SEND_PACKETS: 32 bits.
  @inlinable public static var maximumSendPackets: OID { OID(rawValue: 0x0001_0115) }
  /// GEN_VENDOR_DRIVER_VERSION: 16 bits.
  @inlinable public static var vendorDriverVersion: OID { OID(rawValue: 0x0001_0116) }
  /// GEN_NETWORK_LAYER_ADDRESSES, set.
  @inlinable public static var networkLayerAddresses: OID { OID(rawValue: 0x0001_0118) }
  /// GEN_RECEIVE_SCALE_CAPABILITIES: see ``RSSCapabilities``.
  @inlinable public static var receiveScaleCapabilities: OID { OID(rawValue: 0x0001_0203) }
  /// GEN_RECEIVE_SCALE_PARAMETERS: see ``RSSParameters``.
  @inlinable public static var receiveScaleParameters: OID { OID(rawValue: 0x0001_0204) }
  /// GEN_MAX_LINK_SPEED: see ``NDISLinkSpeed``.
  @inlinable public static var maximumLinkSpeed: OID { OID(rawValue: 0x0001_0206) }
  /// GEN_LINK_STATE: see ``NDISLinkState``.
  @inlinable public static var linkState: OID { OID(rawValue: 0x0001_0207) }
  /// GEN_LINK_PARAMETERS: an NDIS object.
  @inlinable public static var linkParameters: OID { OID(rawValue: 0x0001_0208) }
  /// GEN_INTERRUPT_MODERATION: an NDIS object.
  @inlinable public static var interruptModeration: OID { OID(rawValue: 0x0001_0209) }
  /// GEN_MACHINE_NAME: text, set.
  @inlinable public static var machineName: OID { OID(rawValue: 0x0001_021a) }
  /// GEN_RNDIS_CONFIG_PARAMETER: see ``RNDISConfigurationParameter``.
  @inlinable public static var rndisConfigurationParameter: OID { OID(rawValue: 0x0001_021b) }
  /// GEN_VLAN_ID.
  @inlinable public static var vlanID: OID { OID(rawValue: 0x0001_021c) }
  /// GEN_XMIT_OK: frames, 64 bits.
  @inlinable public static var transmitOK: OID { OID(rawValue: 0x0002_0101) }
  /// GEN_RCV_OK: frames, 64 bits.
  @inlinable public static var receiveOK: OID { OID(rawValue: 0x0002_0102) }
  /// GEN_XMIT_ERROR: frames, 64 bits.
  @inlinable public static var transmitError: OID { OID(rawValue: 0x0002_0103) }
  /// GEN_RCV_ERROR: frames, 64 bits.
  @inlinable public static var receiveError: OID { OID(rawValue: 0x0002_0104) }
  /// GEN_RCV_NO_BUFFER: frames, 64 bits.
  @inlinable public static var receiveNoBuffer: OID { OID(rawValue: 0x0002_0105) }
  /// GEN_DIRECTED_BYTES_XMIT: 64 bits.
  @inlinable public static var directedBytesTransmitted: OID { OID(rawValue: 0x0002_0201) }
  /// GEN_DIRECTED_FRAMES_XMIT: 64 bits.
  @inlinable public static var directedFramesTransmitted: OID { OID(rawValue: 0x0002_0202) }
  /// GEN_MULTICAST_BYTES_XMIT: 64 bits.
  @inlinable public static var multicastBytesTransmitted: OID { OID(rawValue: 0x0002_0203) }
  /// GEN_MULTICAST_FRAMES_XMIT: 64 bits.
  @inlinable public static var multicastFramesTransmitted: OID { OID(rawValue: 0x0002_0204) }
  /// GEN_BROADCAST_BYTES_XMIT: 64 bits.
  @inlinable public static var broadcastBytesTransmitted: OID { OID(rawValue: 0x0002_0205) }
  /// GEN_BROADCAST_FRAMES_XMIT: 64 bits.
  @inlinable public static var broadcastFramesTransmitted: OID { OID(rawValue: 0x0002_0206) }
  /// GEN_DIRECTED_BYTES_RCV: 64 bits.
  @inlinable public static var directedBytesReceived: OID { OID(rawValue: 0x0002_0207) }
  /// GEN_DIRECTED_FRAMES_RCV: 64 bits.
  @inlinable public static var directedFramesReceived: OID { OID(rawValue: 0x0002_0208) }
  /// GEN_MULTICAST_BYTES_RCV: 64 bits.
  @inlinable public static var multicastBytesReceived: OID { OID(rawValue: 0x0002_0209) }
  /// GEN_MULTICAST_FRAMES_RCV: 64 bits.
  @inlinable public static var multicastFramesReceived: OID { OID(rawValue: 0x0002_020a) }
  /// GEN_BROADCAST_BYTES_RCV: 64 bits.
  @inlinable public static var broadcastBytesReceived: OID { OID(rawValue: 0x0002_020b) }
  /// GEN_BROADCAST_FRAMES_RCV: 64 bits.
  @inlinable public static var broadcastFramesReceived: OID { OID(rawValue: 0x0002_020c) }
  /// GEN_FRIENDLY_NAME: text of at most 512 bytes.
  @inlinable public static var friendlyName: OID { OID(rawValue: 0x0002_0216) }
  /// GEN_BYTES_RCV: 64 bits.
  @inlinable public static var bytesReceived: OID { OID(rawValue: 0x0002_0219) }
  /// GEN_BYTES_XMIT: 64 bits.
  @inlinable public static var bytesTransmitted: OID { OID(rawValue: 0x0002_021a) }
  /// GEN_RCV_DISCARDS: 64 bits.
  @inlinable public static var receiveDiscards: OID { OID(rawValue: 0x0002_021b) }
  /// GEN_XMIT_DISCARDS: 64 bits.
  @inlinable public static var transmitDiscards: OID { OID(rawValue: 0x0002_021c) }
  /// TCP_RSC_STATISTICS: an NDIS object.
  @inlinable public static var tcpRSCStatistics: OID { OID(rawValue: 0x0002_021d) }
  /// 802_3_PERMANENT_ADDRESS: 6 bytes.
  @inlinable public static var permanentAddress: OID { OID(rawValue: 0x0101_0101) }
  /// 802_3_CURRENT_ADDRESS: 6 bytes.
  @inlinable public static var currentAddress: OID { OID(rawValue: 0x0101_0102) }
  /// 802_3_MULTICAST_LIST: see ``MulticastList``.
  @inlinable public static var multicastList: OID { OID(rawValue: 0x0101_0103) }
  /// 802_3_MAXIMUM_LIST_SIZE: 32 bits.
  @inlinable public static var maximumMulticastListSize: OID { OID(rawValue: 0x0101_0104) }
  /// 802_3_MAC_OPTIONS: 32 bits.
  @inlinable public static var ieee8023MACOptions: OID { OID(rawValue: 0x0101_0105) }
  /// OFFLOAD_ENCAPSULATION: an NDIS object, set.
  @inlinable public static var offloadEncapsulation: OID { OID(rawValue: 0x0101_010a) }
  /// 802_3_ADD_MULTICAST_ADDRESS: 6 bytes.
  @inlinable public static var addMulticastAddress: OID { OID(rawValue: 0x0101_0208) }
  /// 802_3_DELETE_MULTICAST_ADDRESS: 6 bytes.
  @inlinable public static var deleteMulticastAddress: OID { OID(rawValue: 0x0101_0209) }
  /// 802_3_RCV_ERROR_ALIGNMENT: 32 bits.
  @inlinable public static var receiveErrorAlignment: OID { OID(rawValue: 0x0102_0101) }
  /// 802_3_XMIT_ONE_COLLISION: 32 bits.
  @inlinable public static var transmitOneCollision: OID { OID(rawValue: 0x0102_0102) }
  /// 802_3_XMIT_MORE_COLLISIONS: 32 bits.
  @inlinable public static var transmitMoreCollisions: OID { OID(rawValue: 0x0102_0103) }
  /// TCP_OFFLOAD_CURRENT_CONFIG: see ``NDISOffload``.
  @inlinable public static var offloadCurrentConfiguration: OID { OID(rawValue: 0xfc01_020b) }
  /// TCP_OFFLOAD_PARAMETERS: see ``NDISOffloadParameters``.
  @inlinable public static var offloadParameters: OID { OID(rawValue: 0xfc01_020c) }
  /// TCP_OFFLOAD_HARDWARE_CAPABILITIES: see ``NDISOffload``.
  @inlinable public static var offloadHardwareCapabilities: OID { OID(rawValue: 0xfc01_020d) }
  /// TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG.
  @inlinable public static var connectionOffloadCurrentConfiguration: OID { OID(rawValue: 0xfc01_020e) }
  /// TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES.
  @inlinable public static var connectionOffloadHardwareCapabilities: OID { OID(rawValue: 0xfc01_020f) }
}

extension OID: CustomStringConvertible {
  /// The number, as documents quote it.
  public var description: String { "OID 0x\(rawValue.hexadecimal(digits: 8))" }
}
