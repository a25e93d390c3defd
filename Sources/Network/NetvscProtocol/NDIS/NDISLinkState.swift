import WireBytes

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
