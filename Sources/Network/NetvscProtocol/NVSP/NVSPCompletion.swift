public import WireBytes

/// The NVSP message in a completion packet.
public enum NVSPCompletion: Hashable, Sendable {
  /// INIT_COMPLETE: everything but success refuses the version. The chain length is that of a memory descriptor list;
  /// the version word is dead.
  case initialize(NVSPStatus, version: UInt32, maximumChainLength: UInt32)
  /// SEND_RECV_BUF_COMPLETE; the section is there exactly on success.
  case receiveBuffer(NVSPStatus, NVSPReceiveSection?)
  /// SEND_SEND_BUF_COMPLETE, with the size of a section in bytes.
  case sendBuffer(NVSPStatus, sectionByteCount: UInt32)
  /// SEND_RNDIS_PKT_COMPLETE.
  case rndisPacket(NVSPStatus)
  /// OID_QUERY_EX_COMPLETE, with the size of what follows in bytes.
  case queryOID(RNDISStatus, byteCount: UInt32)
  /// SUBCHANNEL, with the number granted.
  case subChannels(NVSPStatus, count: UInt32)
  /// No message: the answer to SWITCH_DATA_PATH, and to whatever has no answer of its own.
  case empty
  /// A type that is no completion.
  case other(NVSPMessageType)

  /// The size of a receive completion, in bytes.
  @inlinable public static var receiveByteCount: Int { 8 }

  /// The type; nil if there is no message.
  public var type: NVSPMessageType? {
    switch self {
    case .initialize: .initializeComplete
    case .receiveBuffer: .sendReceiveBufferComplete
    case .sendBuffer: .sendSendBufferComplete
    case .rndisPacket: .sendRNDISPacketComplete
    case .queryOID: .queryOIDComplete
    case .subChannels: .subChannel
    case .empty: nil
    case .other(let type): type
    }
  }

  /// The INIT_COMPLETE of a host: its chain length and dead version word are those that stock guests have seen.
  public static func initialize(_ status: NVSPStatus, for version: NVSPVersion) -> NVSPCompletion {
    .initialize(status, version: version == .v1 ? 2 : .max, maximumChainLength: 34)
  }

  /// The bytes that the fields need.
  public var fieldByteCount: Int {
    switch self {
    case .initialize: 16
    case .receiveBuffer(_, let section): section == nil ? 12 : 28
    case .sendBuffer, .queryOID, .subChannels: 12
    case .rndisPacket: 8
    case .other: 4
    case .empty: 0
    }
  }

  /// Parses the payload of a completion packet, which may be longer than the fields.
  public init(parsing message: RawSpan) throws(NetvscError) {
    guard message.byteCount > 0 else {
      self = .empty
      return
    }
    try message.require(4)
    let type = NVSPMessageType(rawValue: message.le32(at: 0))
    switch type {
    case .initializeComplete:
      try message.require(16)
      self = .initialize(
        NVSPStatus(rawValue: message.le32(at: 12)), version: message.le32(at: 4),
        maximumChainLength: message.le32(at: 8))
    case .sendReceiveBufferComplete:
      try message.require(12)
      let status = NVSPStatus(rawValue: message.le32(at: 4))
      guard status == .success else {
        self = .receiveBuffer(status, nil)
        return
      }
      // No host divides the buffer into more than one section, and no guest takes it.
      guard message.le32(at: 8) == 1 else { throw .count(message.le32(at: 8)) }
      try message.require(28)
      self = .receiveBuffer(status, NVSPReceiveSection(parsing: message, at: 12))
    case .sendSendBufferComplete:
      try message.require(12)
      self = .sendBuffer(NVSPStatus(rawValue: message.le32(at: 4)), sectionByteCount: message.le32(at: 8))
    case .sendRNDISPacketComplete:
      try message.require(8)
      self = .rndisPacket(NVSPStatus(rawValue: message.le32(at: 4)))
    case .queryOIDComplete:
      try message.require(12)
      self = .queryOID(RNDISStatus(rawValue: message.le32(at: 4)), byteCount: message.le32(at: 8))
    case .subChannel:
      try message.require(12)
      self = .subChannels(NVSPStatus(rawValue: message.le32(at: 4)), count: message.le32(at: 8))
    default:
      self = .other(type)
    }
  }

  /// Stores the message at the start of `target`, padded with zeros to `byteCount` bytes, and returns the size: the
  /// larger of both; 0 for the empty one.
  @discardableResult
  public func store(into target: inout MutableRawSpan, byteCount: Int = NVSPRequest.byteCount) -> Int {
    guard let type else { return 0 }
    let count = max(byteCount, fieldByteCount)
    target.zero(from: 0, count: count)
    target.storeLE(type.rawValue, at: 0)
    switch self {
    case .initialize(let status, let version, let chain):
      target.storeLE(version, at: 4)
      target.storeLE(chain, at: 8)
      target.storeLE(status.rawValue, at: 12)
    case .receiveBuffer(let status, let section):
      target.storeLE(status.rawValue, at: 4)
      if let section {
        target.storeLE(UInt32(1), at: 8)
        target.storeLE(section.offset, at: 12)
        target.storeLE(section.subAllocationByteCount, at: 16)
        target.storeLE(section.subAllocationCount, at: 20)
        target.storeLE(section.endOffset, at: 24)
      }
    case .sendBuffer(let status, let byteCount):
      target.storeLE(status.rawValue, at: 4)
      target.storeLE(byteCount, at: 8)
    case .rndisPacket(let status):
      target.storeLE(status.rawValue, at: 4)
    case .queryOID(let status, let byteCount):
      target.storeLE(status.rawValue, at: 4)
      target.storeLE(byteCount, at: 8)
    case .subChannels(let status, let granted):
      target.storeLE(status.rawValue, at: 4)
      target.storeLE(granted, at: 8)
    case .empty, .other:
      break
    }
    return count
  }

  /// Stores the 8 bytes of a receive completion at `offset`: the per-packet path.
  @inlinable
  public static func storeReceive(_ status: NVSPStatus, into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeLE(NVSPMessageType.sendRNDISPacketComplete.rawValue, at: offset)
    target.storeLE(status.rawValue, at: offset + 4)
  }

  /// The status of a SEND_RNDIS_PKT_COMPLETE: the per-packet path.
  @inlinable
  public static func packetStatus(parsing message: RawSpan) throws(NetvscError) -> NVSPStatus {
    try message.require(8)
    let type = message.le32(at: 0)
    guard type == NVSPMessageType.sendRNDISPacketComplete.rawValue else {
      throw .unexpectedType(type, expected: NVSPMessageType.sendRNDISPacketComplete.rawValue)
    }
    return NVSPStatus(rawValue: message.le32(at: 4))
  }
}
