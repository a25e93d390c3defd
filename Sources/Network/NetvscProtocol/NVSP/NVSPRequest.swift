import WireBytes

/// An NVSP message in an in-band, GPA-direct or transfer-pages packet, from either side.
public enum NVSPRequest: Equatable, Sendable {
  /// INIT: the lowest and the highest version; guests send one candidate in both.
  case initialize(lowest: NVSPVersion, highest: NVSPVersion)
  /// SEND_NDIS_VER.
  case ndisVersion(NDISVersion)
  /// SEND_RECV_BUF.
  case receiveBuffer(NVSPBuffer)
  /// REVOKE_RECV_BUF, with the id of the buffer.
  case revokeReceiveBuffer(UInt16)
  /// SEND_SEND_BUF.
  case sendBuffer(NVSPBuffer)
  /// REVOKE_SEND_BUF, with the id of the buffer.
  case revokeSendBuffer(UInt16)
  /// SEND_RNDIS_PKT.
  case rndisPacket(NVSPRNDISPacket)
  /// SEND_NDIS_CONFIG.
  case configuration(NVSPConfiguration)
  /// SEND_VF_ASSOCIATION.
  case virtualFunction(NVSPVirtualFunction)
  /// SWITCH_DATA_PATH.
  case switchDataPath(NVSPDataPath)
  /// OID_QUERY_EX: an OID, and the header of the NDIS object that is wanted.
  case queryOID(OID, NDISObjectHeader)
  /// SUBCHANNEL.
  case subChannels(NVSPSubChannelRequest)
  /// SEND_INDIRECTION_TABLE.
  case indirectionTable(NVSPIndirectionTable)
  /// A type that has no meaning here: unknown, deprecated or unused.
  case other(NVSPMessageType)

  /// The size of every control message of a guest, and of a host's since 6.1, in bytes.
  @inlinable public static var byteCount: Int { 40 }

  /// The type.
  public var type: NVSPMessageType {
    switch self {
    case .initialize: .initialize
    case .ndisVersion: .sendNDISVersion
    case .receiveBuffer: .sendReceiveBuffer
    case .revokeReceiveBuffer: .revokeReceiveBuffer
    case .sendBuffer: .sendSendBuffer
    case .revokeSendBuffer: .revokeSendBuffer
    case .rndisPacket: .sendRNDISPacket
    case .configuration: .sendNDISConfiguration
    case .virtualFunction: .sendVFAssociation
    case .switchDataPath: .switchDataPath
    case .queryOID: .queryOID
    case .subChannels: .subChannel
    case .indirectionTable: .sendIndirectionTable
    case .other(let type): type
    }
  }

  /// The bytes that the fields need.
  public static func fieldByteCount(_ type: NVSPMessageType) -> Int {
    switch type {
    case .initialize, .sendNDISVersion, .sendReceiveBuffer, .sendSendBuffer, .sendVFAssociation, .queryOID,
      .subChannel:
      12
    case .revokeReceiveBuffer, .revokeSendBuffer: 6
    case .sendRNDISPacket: 16
    case .sendNDISConfiguration: 20
    case .switchDataPath: 8
    case .sendIndirectionTable: NVSPIndirectionTable.byteCount
    default: 4
    }
  }

  /// Parses `message`, which may be longer than the fields.
  ///
  /// - Parameter version: the negotiated version; it matters for the indirection table of old hosts only.
  public init(parsing message: RawSpan, version: NVSPVersion = .v6_1) throws(NetvscError) {
    try message.require(4)
    let type = NVSPMessageType(rawValue: message.le32(at: 0))
    try message.require(NVSPRequest.fieldByteCount(type))
    func word(_ offset: Int) -> UInt32 { message.le32(at: offset) }
    func buffer() -> NVSPBuffer { NVSPBuffer(gpadl: message.le32(at: 4), id: message.le16(at: 8)) }
    switch type {
    case .initialize:
      self = .initialize(lowest: NVSPVersion(rawValue: word(4)), highest: NVSPVersion(rawValue: word(8)))
    case .sendNDISVersion: self = .ndisVersion(NDISVersion(major: word(4), minor: word(8)))
    case .sendReceiveBuffer: self = .receiveBuffer(buffer())
    case .revokeReceiveBuffer: self = .revokeReceiveBuffer(message.le16(at: 4))
    case .sendSendBuffer: self = .sendBuffer(buffer())
    case .revokeSendBuffer: self = .revokeSendBuffer(message.le16(at: 4))
    case .sendRNDISPacket: self = .rndisPacket(try NVSPRNDISPacket(parsing: message))
    case .sendNDISConfiguration:
      self = .configuration(
        NVSPConfiguration(
          frameByteCount: word(4),
          capabilities: NVSPConfiguration.Capabilities(rawValue: message.le64(at: 12))))
    case .sendVFAssociation:
      self = .virtualFunction(NVSPVirtualFunction(isAllocated: word(4) != 0, serial: word(8)))
    case .switchDataPath: self = .switchDataPath(NVSPDataPath(rawValue: word(4)))
    case .queryOID: self = .queryOID(OID(rawValue: word(8)), NDISObjectHeader(parsing: message, at: 4))
    case .subChannel: self = .subChannels(NVSPSubChannelRequest(operation: word(4), count: word(8)))
    case .sendIndirectionTable: self = .indirectionTable(try NVSPIndirectionTable(parsing: message, version: version))
    default: self = .other(type)
    }
  }

  /// Stores the message at the start of `target`, padded with zeros to `byteCount` bytes, and returns the size.
  ///
  /// An indirection table takes 76 bytes whatever `byteCount` says.
  @discardableResult
  public func store(into target: inout MutableRawSpan, byteCount: Int = byteCount) -> Int {
    let count = max(byteCount, NVSPRequest.fieldByteCount(type))
    target.zero(from: 0, count: count)
    target.storeLE(type.rawValue, at: 0)
    switch self {
    case .initialize(let lowest, let highest):
      target.storeLE(lowest.rawValue, at: 4)
      target.storeLE(highest.rawValue, at: 8)
    case .ndisVersion(let version):
      target.storeLE(version.major, at: 4)
      target.storeLE(version.minor, at: 8)
    case .receiveBuffer(let buffer), .sendBuffer(let buffer):
      target.storeLE(buffer.gpadl, at: 4)
      target.storeLE(buffer.id, at: 8)
    case .revokeReceiveBuffer(let id), .revokeSendBuffer(let id):
      target.storeLE(id, at: 4)
    case .rndisPacket(let packet):
      packet.store(into: &target)
    case .configuration(let configuration):
      target.storeLE(configuration.frameByteCount, at: 4)
      target.storeLE(configuration.capabilities.rawValue, at: 12)
    case .virtualFunction(let function):
      target.storeLE(UInt32(function.isAllocated ? 1 : 0), at: 4)
      target.storeLE(function.serial, at: 8)
    case .switchDataPath(let path):
      target.storeLE(path.rawValue, at: 4)
    case .queryOID(let oid, let header):
      header.store(into: &target, at: 4)
      target.storeLE(oid.rawValue, at: 8)
    case .subChannels(let request):
      target.storeLE(request.operation, at: 4)
      target.storeLE(request.count, at: 8)
    case .indirectionTable(let table):
      table.store(into: &target)
    case .other:
      break
    }
    return count
  }
}
