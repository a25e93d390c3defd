import WireBytes

/// Hash function and hash types of receive-side scaling: one word (Windows: NDIS_HASH).
public struct RSSHashTypes: OptionSet, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt32

  /// Types as they came over the wire.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The function: Toeplitz.
  @inlinable public static var toeplitz: RSSHashTypes { RSSHashTypes(rawValue: 1) }
  /// Addresses of IPv4.
  @inlinable public static var ip4: RSSHashTypes { RSSHashTypes(rawValue: 0x100) }
  /// Addresses and ports of TCP over IPv4.
  @inlinable public static var tcp4: RSSHashTypes { RSSHashTypes(rawValue: 0x200) }
  /// Addresses of IPv6.
  @inlinable public static var ip6: RSSHashTypes { RSSHashTypes(rawValue: 0x400) }
  /// Addresses of IPv6, from extension headers if there.
  @inlinable public static var ip6Extended: RSSHashTypes { RSSHashTypes(rawValue: 0x800) }
  /// Addresses and ports of TCP over IPv6.
  @inlinable public static var tcp6: RSSHashTypes { RSSHashTypes(rawValue: 0x1000) }
  /// The same, addresses from extension headers if there.
  @inlinable public static var tcp6Extended: RSSHashTypes { RSSHashTypes(rawValue: 0x2000) }
  /// Addresses and ports of UDP over IPv4.
  @inlinable public static var udp4: RSSHashTypes { RSSHashTypes(rawValue: 0x4000) }
  /// Addresses and ports of UDP over IPv6.
  @inlinable public static var udp6: RSSHashTypes { RSSHashTypes(rawValue: 0x8000) }
  /// The same, addresses from extension headers if there.
  @inlinable public static var udp6Extended: RSSHashTypes { RSSHashTypes(rawValue: 0x10000) }
  /// What Linux sets.
  @inlinable public static var standard: RSSHashTypes { [.toeplitz, .ip4, .tcp4, .ip6, .tcp6] }
}

/// What a host offers of receive-side scaling (Windows: NDIS_RECEIVE_SCALE_CAPABILITIES).
public struct RSSCapabilities: Hashable, BitwiseCopyable, Sendable {
  /// The bits of the capabilities.
  public struct Flags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// Flags as they came over the wire.
    @inlinable
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// The Toeplitz function.
    @inlinable public static var toeplitz: Flags { Flags(rawValue: 1) }
    /// TCP over IPv4.
    @inlinable public static var tcp4: Flags { Flags(rawValue: 0x100) }
    /// TCP over IPv6.
    @inlinable public static var tcp6: Flags { Flags(rawValue: 0x200) }
    /// TCP over IPv6 with extension headers.
    @inlinable public static var tcp6Extended: Flags { Flags(rawValue: 0x400) }
    /// Message-signalled interrupts.
    @inlinable public static var msi: Flags { Flags(rawValue: 0x0100_0000) }
    /// Extended message-signalled interrupts.
    @inlinable public static var msiX: Flags { Flags(rawValue: 0x0800_0000) }
  }

  /// What is offered.
  public var flags: Flags = [.toeplitz, .tcp4, .tcp6]
  /// Interrupt messages.
  public var interruptMessageCount: UInt32 = 1
  /// Receive queues; at least 1 from a sane host.
  public var receiveQueueCount: UInt32
  /// Entries of the indirection table; nil in revision 1.
  public var indirectionEntryCount: UInt16?

  /// The size of revision 2, in bytes.
  @inlinable public static var byteCount: Int { 18 }
  /// The size of revision 1, in bytes.
  @inlinable public static var shortByteCount: Int { 16 }
  /// The most entries that every guest takes.
  @inlinable public static var maximumIndirectionEntryCount: UInt16 { 128 }

  /// What a host with `receiveQueueCount` queues offers; the table has 128 entries even with one queue.
  @inlinable
  public init(receiveQueueCount: UInt32) {
    self.receiveQueueCount = receiveQueueCount
    indirectionEntryCount = 128
  }

  /// Parses the object; revision 1 has no table size.
  public init(parsing object: RawSpan) throws(NetvscError) {
    try object.require(RSSCapabilities.shortByteCount)
    let header = NDISObjectHeader(parsing: object, at: 0)
    try header.require(type: NDISObjectHeader.rssCapabilitiesType)
    flags = Flags(rawValue: object.le32(at: 4))
    interruptMessageCount = object.le32(at: 8)
    receiveQueueCount = object.le32(at: 12)
    indirectionEntryCount =
      header.revision >= 2 && object.byteCount >= RSSCapabilities.byteCount ? object.le16(at: 16) : nil
  }

  /// Stores the object at `start`, of revision 2 if there is a table size, else 1, and returns its size.
  @discardableResult
  public func store(into target: inout MutableRawSpan, at start: Int = 0) -> Int {
    let byteCount = indirectionEntryCount == nil ? RSSCapabilities.shortByteCount : RSSCapabilities.byteCount
    NDISObjectHeader(
      type: NDISObjectHeader.rssCapabilitiesType, revision: indirectionEntryCount == nil ? 1 : 2,
      byteCount: UInt16(byteCount)
    ).store(into: &target, at: start)
    target.storeLE(flags.rawValue, at: start + 4)
    target.storeLE(interruptMessageCount, at: start + 8)
    target.storeLE(receiveQueueCount, at: start + 12)
    if let indirectionEntryCount { target.storeLE(indirectionEntryCount, at: start + 16) }
    return byteCount
  }
}
