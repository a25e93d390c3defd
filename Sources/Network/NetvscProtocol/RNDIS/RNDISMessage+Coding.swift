import WireBytes

extension RNDISMessage {
  /// Parses the control message in `message`: all bytes that the range of its packet has.
  ///
  /// The length word must not exceed them; parts of the message are bounded by them and not by the length word, which
  /// Windows Server 2012 R2 sets too small in INDICATE_STATUS.
  public init(parsing message: RawSpan) throws(NetvscError) {
    try message.require(RNDISMessage.headerByteCount)
    let type = RNDISMessageType(rawValue: message.le32(at: 0))
    let length = message.le32(at: 4)
    guard length >= 8, Int(length) <= message.byteCount else {
      throw .length(length, available: message.byteCount)
    }
    func word(_ offset: Int) -> UInt32 { message.le32(at: offset) }
    switch type {
    case .initialize:
      try message.require(24)
      self = .initialize(
        requestID: word(8), majorVersion: word(12), minorVersion: word(16), maximumTransferByteCount: word(20))
    case .initializeComplete:
      // The last words are dead: guests do not insist on them.
      try message.require(44)
      var result = RNDISInitializeResult(requestID: word(8))
      result.status = RNDISStatus(rawValue: word(12))
      result.majorVersion = word(16)
      result.minorVersion = word(20)
      result.deviceFlags = word(24)
      result.medium = word(28)
      result.maximumPacketsPerMessage = word(32)
      result.maximumTransferByteCount = word(36)
      result.alignmentFactor = word(40)
      self = .initializeComplete(result)
    case .halt:
      try message.require(12)
      self = .halt(requestID: word(8))
    case .query, .set:
      try message.require(28)
      let information = try RNDISMessage.part(
        offset: word(20), byteCount: word(16), minimum: 20, empty: 28, in: message.byteCount)
      let request = RNDISRequest(requestID: word(8), oid: OID(rawValue: word(12)), information: information)
      self = type == .query ? .query(request) : .set(request)
    case .queryComplete:
      try message.require(24)
      let information = try RNDISMessage.part(
        offset: word(20), byteCount: word(16), minimum: 16, empty: 24, in: message.byteCount)
      self = .queryComplete(
        RNDISQueryResult(requestID: word(8), status: RNDISStatus(rawValue: word(12)), information: information))
    case .setComplete:
      try message.require(16)
      self = .setComplete(requestID: word(8), RNDISStatus(rawValue: word(12)))
    case .reset:
      try message.require(12)
      self = .reset
    case .resetComplete:
      try message.require(16)
      self = .resetComplete(RNDISStatus(rawValue: word(8)), addressingReset: word(12) != 0)
    case .indicateStatus:
      try message.require(20)
      let buffer = try RNDISMessage.part(
        offset: word(16), byteCount: word(12), minimum: 12, empty: 20, in: message.byteCount)
      self = .indicateStatus(RNDISIndication(RNDISStatus(rawValue: word(8)), buffer: buffer))
    case .keepalive:
      try message.require(12)
      self = .keepalive(requestID: word(8))
    case .keepaliveComplete:
      try message.require(16)
      self = .keepaliveComplete(requestID: word(8), RNDISStatus(rawValue: word(12)))
    default:
      self = .other(type)
    }
  }

  /// The bytes of a part whose offset counts from byte 8; an empty one may have any offset, and is told as `empty`.
  private static func part(
    offset: UInt32, byteCount: UInt32, minimum: Int, empty: Int, in available: Int
  ) throws(NetvscError) -> Range<Int> {
    guard byteCount > 0 else { return empty..<empty }
    let limit = available - headerByteCount
    guard Int(offset) >= minimum, Int(offset) <= limit, Int(byteCount) <= limit - Int(offset) else {
      throw .part(offset: offset, byteCount: byteCount, minimum: minimum, available: limit)
    }
    let start = headerByteCount + Int(offset)
    return start..<(start + Int(byteCount))
  }

  /// Stores the message without its information at the start of `target` and returns its whole size.
  ///
  /// The information, of which only the size matters here, belongs behind the fixed part: at 28 of QUERY and SET, 24 of
  /// QUERY_CMPLT, 20 of INDICATE_STATUS; `store(into:information:)` writes it too.
  @discardableResult
  public func storeFields(into target: inout MutableRawSpan) -> Int {
    let byteCount = self.byteCount
    target.storeLE(type.rawValue, at: 0)
    target.storeLE(UInt32(byteCount), at: 4)
    switch self {
    case .initialize(let id, let major, let minor, let transfer):
      target.storeLE(id, at: 8)
      target.storeLE(major, at: 12)
      target.storeLE(minor, at: 16)
      target.storeLE(transfer, at: 20)
    case .initializeComplete(let result):
      target.storeLE(result.requestID, at: 8)
      target.storeLE(result.status.rawValue, at: 12)
      target.storeLE(result.majorVersion, at: 16)
      target.storeLE(result.minorVersion, at: 20)
      target.storeLE(result.deviceFlags, at: 24)
      target.storeLE(result.medium, at: 28)
      target.storeLE(result.maximumPacketsPerMessage, at: 32)
      target.storeLE(result.maximumTransferByteCount, at: 36)
      target.storeLE(result.alignmentFactor, at: 40)
      target.storeLE(UInt64(0), at: 44)
    case .halt(let id), .keepalive(let id):
      target.storeLE(id, at: 8)
    case .query(let request), .set(let request):
      target.storeLE(request.requestID, at: 8)
      target.storeLE(request.oid.rawValue, at: 12)
      target.storeLE(UInt32(request.information.count), at: 16)
      // Windows refuses a query without input whose offset is zero.
      target.storeLE(UInt32(20), at: 20)
      target.storeLE(UInt32(0), at: 24)
    case .queryComplete(let result):
      target.storeLE(result.requestID, at: 8)
      target.storeLE(result.status.rawValue, at: 12)
      target.storeLE(UInt32(result.information.count), at: 16)
      target.storeLE(UInt32(16), at: 20)
    case .setComplete(let id, let status), .keepaliveComplete(let id, let status):
      target.storeLE(id, at: 8)
      target.storeLE(status.rawValue, at: 12)
    case .reset:
      target.storeLE(UInt32(0), at: 8)
    case .resetComplete(let status, let addressingReset):
      target.storeLE(status.rawValue, at: 8)
      target.storeLE(UInt32(addressingReset ? 1 : 0), at: 12)
    case .indicateStatus(let indication):
      target.storeLE(indication.status.rawValue, at: 8)
      target.storeLE(UInt32(indication.buffer.count), at: 12)
      target.storeLE(UInt32(indication.buffer.isEmpty ? 0 : 12), at: 16)
    case .other:
      break
    }
    return byteCount
  }

  /// Stores the message at the start of `target`, its information behind it, and returns the size.
  ///
  /// Traps when `information` has another size than the message says.
  @discardableResult
  public func store(into target: inout MutableRawSpan, information: RawSpan) -> Int {
    let byteCount = storeFields(into: &target)
    let start: Int
    switch self {
    case .query, .set: start = RNDISRequest.informationOffset
    case .queryComplete: start = RNDISQueryResult.informationOffset
    case .indicateStatus: start = 20
    default: start = byteCount
    }
    precondition(information.byteCount == byteCount - start, "information of another size than announced")
    target.store(information, at: start)
    return byteCount
  }
}
