import WireBytes

/// Which offloads the guest wants on (Windows: NDIS_OFFLOAD_PARAMETERS).
public struct NDISOffloadParameters: Hashable, BitwiseCopyable, Sendable {
  /// A setting of a checksum.
  public struct Checksum: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt8

    /// A setting as it came over the wire, known or not.
    @inlinable
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// As it was.
    @inlinable public static var noChange: Checksum { Checksum(rawValue: 0) }
    /// Off.
    @inlinable public static var off: Checksum { Checksum(rawValue: 1) }
    /// Guest to host.
    @inlinable public static var transmit: Checksum { Checksum(rawValue: 2) }
    /// Host to guest. DPDK says so when it means both.
    @inlinable public static var receive: Checksum { Checksum(rawValue: 3) }
    /// Both ways.
    @inlinable public static var both: Checksum { Checksum(rawValue: 4) }
  }

  /// A setting of anything else.
  public struct Switch: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt8

    /// A setting as it came over the wire, known or not.
    @inlinable
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// As it was.
    @inlinable public static var noChange: Switch { Switch(rawValue: 0) }
    /// Off.
    @inlinable public static var off: Switch { Switch(rawValue: 1) }
    /// On.
    @inlinable public static var on: Switch { Switch(rawValue: 2) }
  }

  /// The revision; what is there goes by the size, not by it.
  public var revision: UInt8 = 3
  /// IPv4 header.
  public var ip4 = Checksum.noChange
  /// TCP over IPv4.
  public var tcp4 = Checksum.noChange
  /// UDP over IPv4.
  public var udp4 = Checksum.noChange
  /// TCP over IPv6.
  public var tcp6 = Checksum.noChange
  /// UDP over IPv6.
  public var udp6 = Checksum.noChange
  /// Large send of version 1; hosts refuse to switch it on.
  public var largeSendV1 = Switch.noChange
  /// Large send over IPv4.
  public var largeSend4 = Switch.noChange
  /// Large send over IPv6.
  public var largeSend6 = Switch.noChange
  /// Coalescing of TCP over IPv4; not there in an object of fewer than 24 bytes.
  public var coalescing4 = Switch.noChange
  /// Coalescing of TCP over IPv6; not there in an object of fewer than 24 bytes.
  public var coalescing6 = Switch.noChange

  /// The size of revision 3, in bytes.
  @inlinable public static var byteCount: Int { 28 }
  /// The size of revision 2, which guests send up to NVSP 4, in bytes.
  @inlinable public static var shortByteCount: Int { 22 }

  /// Nothing changes.
  @inlinable
  public init() {}

  /// Parses the object by the bytes that are there, of which 20 must be.
  public init(parsing object: RawSpan) throws(NetvscError) {
    try object.require(20)
    let header = NDISObjectHeader(parsing: object, at: 0)
    try header.require(type: NDISObjectHeader.defaultType)
    revision = header.revision
    ip4 = Checksum(rawValue: object.byte(at: 4))
    tcp4 = Checksum(rawValue: object.byte(at: 5))
    udp4 = Checksum(rawValue: object.byte(at: 6))
    tcp6 = Checksum(rawValue: object.byte(at: 7))
    udp6 = Checksum(rawValue: object.byte(at: 8))
    largeSendV1 = Switch(rawValue: object.byte(at: 9))
    largeSend4 = Switch(rawValue: object.byte(at: 11))
    largeSend6 = Switch(rawValue: object.byte(at: 12))
    if object.byteCount >= 24 {
      coalescing4 = Switch(rawValue: object.byte(at: 22))
      coalescing6 = Switch(rawValue: object.byte(at: 23))
    }
  }

  /// Stores the object at `start`, 28 bytes or the first 22 of it, and returns the size.
  @discardableResult
  public func store(
    into target: inout MutableRawSpan, at start: Int = 0, byteCount: Int = byteCount
  ) -> Int {
    precondition(byteCount == 28 || byteCount == 22)
    target.zero(from: start, count: byteCount)
    NDISObjectHeader(type: NDISObjectHeader.defaultType, revision: revision, byteCount: UInt16(byteCount))
      .store(into: &target, at: start)
    target.storeLE(ip4.rawValue, at: start + 4)
    target.storeLE(tcp4.rawValue, at: start + 5)
    target.storeLE(udp4.rawValue, at: start + 6)
    target.storeLE(tcp6.rawValue, at: start + 7)
    target.storeLE(udp6.rawValue, at: start + 8)
    target.storeLE(largeSendV1.rawValue, at: start + 9)
    target.storeLE(largeSend4.rawValue, at: start + 11)
    target.storeLE(largeSend6.rawValue, at: start + 12)
    if byteCount >= 24 {
      target.storeLE(coalescing4.rawValue, at: start + 22)
      target.storeLE(coalescing6.rawValue, at: start + 23)
    }
    return byteCount
  }
}
