public import SCSI
public import WireBytes

/// A SCSI request or its completion: the payload of EXECUTE_SRB and of the answer (Linux: struct vmscsi_request).
///
/// A plain value: command and sense data, which share 20 bytes, are held inline.
public struct SCSIRequest: Equatable, BitwiseCopyable, Sendable {
  /// How the command ended; 0 in a request.
  public var srbStatus = SRBStatus.pending
  /// The SCSI status; 0 in a request.
  public var scsiStatus = SCSIStatus.good
  /// The adapter; not used by known hosts.
  public var portNumber: UInt8 = 0
  /// The SCSI bus.
  public var pathID: UInt8 = 0
  /// The target on the bus.
  public var targetID: UInt8 = 0
  /// The logical unit of the target.
  public var lun: UInt8 = 0
  /// The bytes of the command as the guest says; more than 16 is an invalid request.
  public var cdbByteCount: UInt8 = 16
  /// The room for sense data in a request; 20 in a completion, also without sense data.
  public var senseByteCount: UInt8 = 20
  /// Which way the data go.
  public var direction = DataDirection(rawValue: 0)
  /// Zero.
  public var properties: UInt8 = 0
  /// The bytes to move in a request; the bytes moved in a completion.
  public var dataTransferByteCount: UInt32 = 0
  /// Zero.
  public var reserved: UInt16 = 0
  /// FF for a simple tag, as Linux sends it.
  public var queueTag: UInt8 = 0
  /// 20 for a simple tag.
  public var queueAction: UInt8 = 0
  /// The flags.
  public var flags: SRBFlags = []
  /// The guest's time limit in seconds; no known host enforces it.
  public var timeout: UInt32 = 0
  /// Zero.
  public var queueSortKey: UInt32 = 0

  /// Bytes 0-7, 8-15 and 16-19 of the part that holds the command or the sense data, big-endian.
  @usableFromInline var high: UInt64 = 0
  @usableFromInline var low: UInt64 = 0
  @usableFromInline var tail: UInt32 = 0

  /// The bytes since 5.1.
  @inlinable public static var byteCount: Int { 52 }
  /// The bytes at 2.0 and 4.2, which end before the reserved word.
  @inlinable public static var minimumByteCount: Int { 36 }

  /// A value of zeros, but for the two lengths of a completion.
  @inlinable
  init() {}

  /// A request of a guest to LUN `lun` of target 0 on path 0, as Linux would send it for a tagged device.
  ///
  /// - Parameters:
  ///   - dataByteCount: the bytes to move.
  ///   - timeout: in seconds.
  public init(
    _ command: CommandDescriptorBlock, lun: UInt8, direction: DataDirection, dataByteCount: UInt32,
    timeout: UInt32 = 60
  ) {
    self.init()
    self.lun = lun
    self.direction = direction
    cdbByteCount = UInt8(command.byteCount)
    high = command.high
    low = command.low
    dataTransferByteCount = dataByteCount
    queueTag = 0xff
    queueAction = 0x20
    flags = [.queueActionEnable, .disableSynchronousTransfer, .noQueueFreeze]
    if direction == .read { flags.insert(.dataIn) }
    if direction == .write { flags.insert(.dataOut) }
    self.timeout = timeout
  }

  /// The completion of a request that moved `dataByteCount` bytes.
  ///
  /// The autosense flag is set exactly if there is sense data.
  public static func completion(
    _ srbStatus: SRBStatus, _ scsiStatus: SCSIStatus, dataByteCount: UInt32 = 0, sense: SenseData? = nil
  ) -> SCSIRequest {
    var request = SCSIRequest()
    request.srbStatus = srbStatus.status
    request.scsiStatus = scsiStatus
    request.dataTransferByteCount = dataByteCount
    if let sense {
      request.srbStatus = srbStatus.withAutosense
      request.high = sense.high
      request.low = sense.low
    }
    return request
  }

  /// The completion of a request that ended well.
  public static func success(dataByteCount: UInt32) -> SCSIRequest {
    completion(.success, .good, dataByteCount: dataByteCount)
  }

  /// The completion of a request that ended with a check condition; nothing was moved.
  public static func checkCondition(_ sense: SenseData) -> SCSIRequest {
    completion(SRBStatus(reporting: sense), .checkCondition, sense: sense)
  }

  /// The command of a request; nil if its length is not 1-16.
  public var command: CommandDescriptorBlock? {
    CommandDescriptorBlock(high: high, low: low, byteCount: Int(cdbByteCount))
  }

  /// The sense data of a completion: those that the autosense flag announces, with check condition or task aborted;
  /// nil without them or if they cannot be parsed.
  public var sense: SenseData? {
    guard srbStatus.hasAutosense, scsiStatus == .checkCondition || scsiStatus == .taskAborted else { return nil }
    return SenseData(high: high, low: low, byteCount: min(Int(senseByteCount), 20))
  }

  /// Parses the request at `offset` of `packet`, after the header unless said otherwise.
  ///
  /// 36 bytes must be there at every version; of the rest, a word that is not wholly there reads as zero. The length
  /// field at the start is not looked at: the version tells the size.
  /// - Parameter version: the negotiated version; the last 16 bytes exist only since 5.1.
  @inlinable
  public init(
    parsing packet: RawSpan, at offset: Int = StorvscPacket.headerByteCount, version: StorvscVersion
  ) throws(StorvscError) {
    try packet.require(SCSIRequest.minimumByteCount, at: offset)
    srbStatus = SRBStatus(rawValue: packet.byte(at: offset + 2))
    scsiStatus = SCSIStatus(rawValue: packet.byte(at: offset + 3))
    portNumber = packet.byte(at: offset + 4)
    pathID = packet.byte(at: offset + 5)
    targetID = packet.byte(at: offset + 6)
    lun = packet.byte(at: offset + 7)
    cdbByteCount = packet.byte(at: offset + 8)
    senseByteCount = packet.byte(at: offset + 9)
    direction = DataDirection(rawValue: packet.byte(at: offset + 10))
    properties = packet.byte(at: offset + 11)
    dataTransferByteCount = packet.le32(at: offset + 12)
    high = packet.be64(at: offset + 16)
    low = packet.be64(at: offset + 24)
    tail = packet.be32(at: offset + 32)
    guard version.hasLongRequests else { return }
    let available = packet.byteCount - offset
    if available >= 40 {
      reserved = packet.le16(at: offset + 36)
      queueTag = packet.byte(at: offset + 38)
      queueAction = packet.byte(at: offset + 39)
    }
    if available >= 44 { flags = SRBFlags(rawValue: packet.le32(at: offset + 40)) }
    if available >= 48 { timeout = packet.le32(at: offset + 44) }
    if available >= 52 { queueSortKey = packet.le32(at: offset + 48) }
  }

  /// Stores the request at `offset` of `target`, after the header unless said otherwise: 36 bytes at 2.0 and 4.2, else
  /// 52.
  @inlinable
  @_lifetime(target: copy target)
  public func store(
    into target: inout MutableRawSpan, at offset: Int = StorvscPacket.headerByteCount, version: StorvscVersion
  ) {
    target.storeLE(UInt16(version.requestByteCount), at: offset)
    target.storeLE(srbStatus.rawValue, at: offset + 2)
    target.storeLE(scsiStatus.rawValue, at: offset + 3)
    target.storeLE(portNumber, at: offset + 4)
    target.storeLE(pathID, at: offset + 5)
    target.storeLE(targetID, at: offset + 6)
    target.storeLE(lun, at: offset + 7)
    target.storeLE(cdbByteCount, at: offset + 8)
    target.storeLE(senseByteCount, at: offset + 9)
    target.storeLE(direction.rawValue, at: offset + 10)
    target.storeLE(properties, at: offset + 11)
    target.storeLE(dataTransferByteCount, at: offset + 12)
    target.storeBE(high, at: offset + 16)
    target.storeBE(low, at: offset + 24)
    target.storeBE(tail, at: offset + 32)
    guard version.hasLongRequests else { return }
    target.storeLE(reserved, at: offset + 36)
    target.storeLE(queueTag, at: offset + 38)
    target.storeLE(queueAction, at: offset + 39)
    target.storeLE(flags.rawValue, at: offset + 40)
    target.storeLE(timeout, at: offset + 44)
    target.storeLE(queueSortKey, at: offset + 48)
  }
}
