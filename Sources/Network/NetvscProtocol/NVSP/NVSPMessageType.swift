/// The type of an NVSP message: its first word (Linux: NVSP_MSG).
public struct NVSPMessageType: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// A type as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// No message.
  @inlinable public static var none: NVSPMessageType { NVSPMessageType(rawValue: 0) }
  /// INIT: the guest proposes a version.
  @inlinable public static var initialize: NVSPMessageType { NVSPMessageType(rawValue: 1) }
  /// INIT_COMPLETE, in a completion.
  @inlinable public static var initializeComplete: NVSPMessageType { NVSPMessageType(rawValue: 2) }
  /// SEND_NDIS_VER.
  @inlinable public static var sendNDISVersion: NVSPMessageType { NVSPMessageType(rawValue: 100) }
  /// SEND_RECV_BUF.
  @inlinable public static var sendReceiveBuffer: NVSPMessageType { NVSPMessageType(rawValue: 101) }
  /// SEND_RECV_BUF_COMPLETE, in a completion.
  @inlinable public static var sendReceiveBufferComplete: NVSPMessageType { NVSPMessageType(rawValue: 102) }
  /// REVOKE_RECV_BUF.
  @inlinable public static var revokeReceiveBuffer: NVSPMessageType { NVSPMessageType(rawValue: 103) }
  /// SEND_SEND_BUF.
  @inlinable public static var sendSendBuffer: NVSPMessageType { NVSPMessageType(rawValue: 104) }
  /// SEND_SEND_BUF_COMPLETE, in a completion.
  @inlinable public static var sendSendBufferComplete: NVSPMessageType { NVSPMessageType(rawValue: 105) }
  /// REVOKE_SEND_BUF.
  @inlinable public static var revokeSendBuffer: NVSPMessageType { NVSPMessageType(rawValue: 106) }
  /// SEND_RNDIS_PKT, from both sides.
  @inlinable public static var sendRNDISPacket: NVSPMessageType { NVSPMessageType(rawValue: 107) }
  /// SEND_RNDIS_PKT_COMPLETE, in a completion.
  @inlinable public static var sendRNDISPacketComplete: NVSPMessageType { NVSPMessageType(rawValue: 108) }
  /// SEND_NDIS_CONFIG, since 2.
  @inlinable public static var sendNDISConfiguration: NVSPMessageType { NVSPMessageType(rawValue: 125) }
  /// The last message of 2; dead.
  @inlinable public static var allocateChimneyHandleComplete: NVSPMessageType { NVSPMessageType(rawValue: 127) }
  /// SEND_VF_ASSOCIATION, from the host, since 4.
  @inlinable public static var sendVFAssociation: NVSPMessageType { NVSPMessageType(rawValue: 128) }
  /// SWITCH_DATA_PATH, since 4; its completion is empty.
  @inlinable public static var switchDataPath: NVSPMessageType { NVSPMessageType(rawValue: 129) }
  /// UPLINK_CONNECT_STATE, from the host, deprecated.
  @inlinable public static var uplinkConnectState: NVSPMessageType { NVSPMessageType(rawValue: 130) }
  /// OID_QUERY_EX, since 5.
  @inlinable public static var queryOID: NVSPMessageType { NVSPMessageType(rawValue: 131) }
  /// OID_QUERY_EX_COMPLETE, in a completion.
  @inlinable public static var queryOIDComplete: NVSPMessageType { NVSPMessageType(rawValue: 132) }
  /// SUBCHANNEL, since 5; request and completion share the number.
  @inlinable public static var subChannel: NVSPMessageType { NVSPMessageType(rawValue: 133) }
  /// SEND_INDIRECTION_TABLE, from the host, since 5.
  @inlinable public static var sendIndirectionTable: NVSPMessageType { NVSPMessageType(rawValue: 134) }
  /// PD_API, since 6.1; unused.
  @inlinable public static var packetDirect: NVSPMessageType { NVSPMessageType(rawValue: 135) }
  /// PD_POST_BATCH, since 6.1; unused.
  @inlinable public static var packetDirectPostBatch: NVSPMessageType { NVSPMessageType(rawValue: 136) }

  /// Whether a guest may send the type to a host at `version`.
  @inlinable
  public func isAllowed(at version: NVSPVersion) -> Bool {
    rawValue <= version.highestMessageType.rawValue
  }
}

extension NVSPMessageType: CustomStringConvertible {
  /// The number, as documents quote it.
  public var description: String { "NVSP message \(rawValue)" }
}
