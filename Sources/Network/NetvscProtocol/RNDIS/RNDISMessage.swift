/// The OID, and where its bytes are, of a QUERY or SET.
public struct RNDISRequest: Hashable, Sendable {
  /// The number that the reply repeats.
  public var requestID: UInt32
  /// What is asked or set.
  public var oid: OID
  /// The bytes of the input, from the start of the message.
  public var information: Range<Int>

  /// Where the input starts in a message of ours.
  @inlinable public static var informationOffset: Int { 28 }

  /// A request with `informationByteCount` bytes of input.
  @inlinable
  public init(requestID: UInt32, oid: OID, informationByteCount: Int = 0) {
    self.requestID = requestID
    self.oid = oid
    information = 28..<(28 + informationByteCount)
  }

  @usableFromInline
  init(requestID: UInt32, oid: OID, information: Range<Int>) {
    self.requestID = requestID
    self.oid = oid
    self.information = information
  }
}

/// The result, and where its bytes are, of a QUERY.
public struct RNDISQueryResult: Hashable, Sendable {
  /// The number of the request.
  public var requestID: UInt32
  /// How it ended.
  public var status: RNDISStatus
  /// The bytes of the output, from the start of the message.
  public var information: Range<Int>

  /// Where the output starts in a message of ours.
  @inlinable public static var informationOffset: Int { 24 }

  /// A result with `informationByteCount` bytes of output.
  @inlinable
  public init(requestID: UInt32, status: RNDISStatus, informationByteCount: Int = 0) {
    self.requestID = requestID
    self.status = status
    information = 24..<(24 + informationByteCount)
  }

  @usableFromInline
  init(requestID: UInt32, status: RNDISStatus, information: Range<Int>) {
    self.requestID = requestID
    self.status = status
    self.information = information
  }
}

/// The answer to INITIALIZE: the limits of the host.
public struct RNDISInitializeResult: Hashable, BitwiseCopyable, Sendable {
  /// The number of the request.
  public var requestID: UInt32
  /// How it ended.
  public var status = RNDISStatus.success
  /// The major version.
  public var majorVersion: UInt32 = 1
  /// The minor version.
  public var minorVersion: UInt32 = 0
  /// 1: connectionless.
  public var deviceFlags: UInt32 = 1
  /// 0: 802.3.
  public var medium: UInt32 = 0
  /// The most PACKET messages laid end to end.
  public var maximumPacketsPerMessage: UInt32 = 8
  /// The most bytes of them.
  public var maximumTransferByteCount: UInt32 = 0xefff_ffff
  /// The binary logarithm of the alignment of the second and later messages.
  public var alignmentFactor: UInt32 = 3

  /// The answer that stock guests have seen.
  @inlinable
  public init(requestID: UInt32) {
    self.requestID = requestID
  }

  /// The alignment of batched messages in bytes, with what a peer may not mean bounded: 1...4096.
  @inlinable public var alignment: Int { 1 << Int(min(alignmentFactor, 12)) }
}

/// A status, and where its bytes are, that a host indicates.
public struct RNDISIndication: Hashable, Sendable {
  /// What happened.
  public var status: RNDISStatus
  /// The bytes that belong to it, from the start of the message; empty if there are none.
  public var buffer: Range<Int>

  /// An indication with `bufferByteCount` bytes.
  @inlinable
  public init(_ status: RNDISStatus, bufferByteCount: Int = 0) {
    self.status = status
    buffer = 20..<(20 + bufferByteCount)
  }

  @usableFromInline
  init(_ status: RNDISStatus, buffer: Range<Int>) {
    self.status = status
    self.buffer = buffer
  }
}

/// An RNDIS control message of either side.
public enum RNDISMessage: Hashable, Sendable {
  /// INITIALIZE: version, and the largest transfer that the guest takes, in bytes.
  case initialize(requestID: UInt32, majorVersion: UInt32, minorVersion: UInt32, maximumTransferByteCount: UInt32)
  /// INITIALIZE_CMPLT.
  case initializeComplete(RNDISInitializeResult)
  /// HALT; no reply.
  case halt(requestID: UInt32)
  /// QUERY.
  case query(RNDISRequest)
  /// QUERY_CMPLT.
  case queryComplete(RNDISQueryResult)
  /// SET.
  case set(RNDISRequest)
  /// SET_CMPLT.
  case setComplete(requestID: UInt32, RNDISStatus)
  /// RESET; has no request id.
  case reset
  /// RESET_CMPLT: whether the packet filter was lost.
  case resetComplete(RNDISStatus, addressingReset: Bool)
  /// INDICATE_STATUS; no reply.
  case indicateStatus(RNDISIndication)
  /// KEEPALIVE.
  case keepalive(requestID: UInt32)
  /// KEEPALIVE_CMPLT.
  case keepaliveComplete(requestID: UInt32, RNDISStatus)
  /// PACKET, or a type that has no meaning here.
  case other(RNDISMessageType)

  /// The size of type and length, from whose end all offsets in a message count, in bytes.
  @inlinable public static var headerByteCount: Int { 8 }
  /// The largest control message that stock guests take, in bytes.
  @inlinable public static var maximumReplyByteCount: Int { 4096 }

  /// The INITIALIZE of a guest.
  public static func initialize(requestID: UInt32) -> RNDISMessage {
    .initialize(requestID: requestID, majorVersion: 1, minorVersion: 0, maximumTransferByteCount: 0x4000)
  }

  /// The type.
  public var type: RNDISMessageType {
    switch self {
    case .initialize: .initialize
    case .initializeComplete: .initializeComplete
    case .halt: .halt
    case .query: .query
    case .queryComplete: .queryComplete
    case .set: .set
    case .setComplete: .setComplete
    case .reset: .reset
    case .resetComplete: .resetComplete
    case .indicateStatus: .indicateStatus
    case .keepalive: .keepalive
    case .keepaliveComplete: .keepaliveComplete
    case .other(let type): type
    }
  }

  /// The number that ties a reply to its request; nil for messages without one.
  public var requestID: UInt32? {
    switch self {
    case .initialize(let id, _, _, _), .halt(let id), .keepalive(let id): id
    case .initializeComplete(let result): result.requestID
    case .query(let request), .set(let request): request.requestID
    case .queryComplete(let result): result.requestID
    case .setComplete(let id, _), .keepaliveComplete(let id, _): id
    case .reset, .resetComplete, .indicateStatus, .other: nil
    }
  }

  /// The size of the message, with the bytes that belong to it, in bytes.
  public var byteCount: Int {
    switch self {
    case .initialize: 24
    case .initializeComplete: 52
    case .query(let request), .set(let request): 28 + request.information.count
    case .queryComplete(let result): 24 + result.information.count
    case .indicateStatus(let indication): 20 + indication.buffer.count
    case .halt, .reset, .keepalive: 12
    case .setComplete, .resetComplete, .keepaliveComplete: 16
    case .other: 8
    }
  }
}
