import WireBytes

/// OPEN_CHANNEL: the guest opens a channel whose rings stand in a GPADL.
public struct OpenChannel: Hashable, Sendable {
  /// The signalling that a guest asks for in the long form (protocol 6.0).
  public struct Signalling: Hashable, Sendable {
    /// The connection id with which the guest will signal (with `FeatureFlags.guestSignalParameters`).
    public var connectionID: UInt32
    /// The event flag that the host shall raise (with `FeatureFlags.guestSignalParameters`); by default the relid.
    public var eventFlag: UInt16
    /// Whether interrupts go to the paravisor (with `FeatureFlags.interruptRedirection`).
    public var isInterruptRedirected: Bool

    /// Signalling parameters.
    public init(connectionID: UInt32, eventFlag: UInt16, isInterruptRedirected: Bool = false) {
      self.connectionID = connectionID
      self.eventFlag = eventFlag
      self.isInterruptRedirected = isInterruptRedirected
    }
  }

  /// The channel.
  public var relid: UInt32
  /// A number that the result echoes; Linux uses the relid.
  public var openID: UInt32
  /// The GPADL of the ring pair.
  public var ringGPADL: UInt32
  /// The VP that gets the interrupts of the channel, or `noInterrupts`.
  public var targetVP: UInt32
  /// Where the downstream ring (host to guest) starts inside the GPADL, in pages.
  public var downstreamPageOffset: UInt32
  /// 120 bytes for the device, zero for most; fewer are filled up with zeros, more are cut off.
  public var userData: [UInt8]
  /// Present in the long form only. It counts only if its feature was negotiated: a guest may send longer messages
  /// than it has to.
  public var signalling: Signalling?

  /// The size of the user data, in bytes.
  public static let userDataByteCount = 120
  /// The target VP of a channel that wants no interrupts.
  public static let noInterrupts: UInt32 = 0xffff_ffff

  /// A request to open a channel.
  public init(
    relid: UInt32, openID: UInt32, ringGPADL: UInt32, targetVP: UInt32, downstreamPageOffset: UInt32,
    userData: [UInt8] = [], signalling: Signalling? = nil
  ) {
    self.relid = relid
    self.openID = openID
    self.ringGPADL = ringGPADL
    self.targetVP = targetVP
    self.downstreamPageOffset = downstreamPageOffset
    self.userData = userData.fitted(to: OpenChannel.userDataByteCount)
    self.signalling = signalling
  }
}

extension OpenChannel {
  static let longByteCount = 156

  var byteCount: Int { signalling == nil ? 148 : OpenChannel.longByteCount }

  init(parsing bytes: RawSpan) {
    relid = bytes.le32(at: 8)
    openID = bytes.le32(at: 12)
    ringGPADL = bytes.le32(at: 16)
    targetVP = bytes.le32(at: 20)
    downstreamPageOffset = bytes.le32(at: 24)
    userData = bytes.array(from: 28, count: OpenChannel.userDataByteCount)
    if bytes.byteCount >= OpenChannel.longByteCount {
      signalling = Signalling(
        connectionID: bytes.le32(at: 148), eventFlag: bytes.le16(at: 152),
        isInterruptRedirected: bytes.le16(at: 154) & 1 != 0)
    }
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(relid, at: 8)
    bytes.storeLE(openID, at: 12)
    bytes.storeLE(ringGPADL, at: 16)
    bytes.storeLE(targetVP, at: 20)
    bytes.storeLE(downstreamPageOffset, at: 24)
    bytes.store(userData.fitted(to: OpenChannel.userDataByteCount).rawSpan, at: 28)
    if let signalling {
      bytes.storeLE(signalling.connectionID, at: 148)
      bytes.storeLE(signalling.eventFlag, at: 152)
      bytes.storeLE(UInt16(signalling.isInterruptRedirected ? 1 : 0), at: 154)
    }
  }
}

/// OPEN_RESERVED_CHANNEL: opens a channel that outlives the connection.
public struct OpenReservedChannel: Hashable, Sendable {
  /// The channel.
  public var relid: UInt32
  /// The VP that gets the interrupts of the channel.
  public var targetVP: UInt32
  /// The SINT for those interrupts.
  public var sint: UInt32
  /// The GPADL of the ring pair.
  public var ringGPADL: UInt32
  /// Where the downstream ring starts inside the GPADL, in pages.
  public var downstreamPageOffset: UInt32

  /// A request to open a reserved channel.
  public init(relid: UInt32, targetVP: UInt32, sint: UInt32, ringGPADL: UInt32, downstreamPageOffset: UInt32) {
    self.relid = relid
    self.targetVP = targetVP
    self.sint = sint
    self.ringGPADL = ringGPADL
    self.downstreamPageOffset = downstreamPageOffset
  }

  init(parsing bytes: RawSpan) {
    relid = bytes.le32(at: 8)
    targetVP = bytes.le32(at: 12)
    sint = bytes.le32(at: 16)
    ringGPADL = bytes.le32(at: 20)
    downstreamPageOffset = bytes.le32(at: 24)
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(relid, at: 8)
    bytes.storeLE(targetVP, at: 12)
    bytes.storeLE(sint, at: 16)
    bytes.storeLE(ringGPADL, at: 20)
    bytes.storeLE(downstreamPageOffset, at: 24)
  }
}
