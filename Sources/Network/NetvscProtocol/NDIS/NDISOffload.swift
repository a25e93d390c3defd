import WireBytes

/// What a NIC can take off its user (Windows: NDIS_OFFLOAD).
///
/// The fields that no peer uses (IPsec, version 1 of large send, NVGRE) read as absent and are written as zero.
public struct NDISOffload: Hashable, BitwiseCopyable, Sendable {
  /// A checksum offload in one direction.
  public struct Checksum: Hashable, BitwiseCopyable, Sendable {
    /// Bits of what is summed. IPv4 and IPv6 share them but for the first and the last.
    public struct Features: OptionSet, Hashable, BitwiseCopyable, Sendable {
      /// The value on the wire.
      public var rawValue: UInt32

      /// Features as they came over the wire.
      @inlinable
      public init(rawValue: UInt32) {
        self.rawValue = rawValue
      }

      /// Frames with IPv4 options, or with IPv6 extension headers.
      @inlinable public static var ipOptions: Features { Features(rawValue: 1) }
      /// Frames with TCP options.
      @inlinable public static var tcpOptions: Features { Features(rawValue: 4) }
      /// TCP.
      @inlinable public static var tcp: Features { Features(rawValue: 0x10) }
      /// UDP.
      @inlinable public static var udp: Features { Features(rawValue: 0x40) }
      /// The IPv4 header.
      @inlinable public static var ipHeader: Features { Features(rawValue: 0x100) }
    }

    /// The encapsulations for which it holds.
    public var encapsulation: Encapsulation
    /// What is summed.
    public var features: Features

    /// A checksum offload as given.
    @inlinable
    public init(encapsulation: Encapsulation = [], features: Features = []) {
      self.encapsulation = encapsulation
      self.features = features
    }
  }

  /// Large send, version 2, of one IP version.
  public struct LargeSend: Hashable, BitwiseCopyable, Sendable {
    /// The encapsulations for which it holds.
    public var encapsulation: Encapsulation
    /// The largest frame, in bytes.
    public var maximumByteCount: UInt32
    /// The fewest segments.
    public var minimumSegmentCount: UInt32

    /// A large send offload as given.
    @inlinable
    public init(encapsulation: Encapsulation = [], maximumByteCount: UInt32 = 0, minimumSegmentCount: UInt32 = 0) {
      self.encapsulation = encapsulation
      self.maximumByteCount = maximumByteCount
      self.minimumSegmentCount = minimumSegmentCount
    }
  }

  /// Encapsulations of IP.
  public struct Encapsulation: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// Encapsulations as they came over the wire.
    @inlinable
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// None.
    @inlinable public static var null: Encapsulation { Encapsulation(rawValue: 1) }
    /// 802.3.
    @inlinable public static var ieee8023: Encapsulation { Encapsulation(rawValue: 2) }
    /// 802.1p/q in the frame.
    @inlinable public static var ieee8021PQ: Encapsulation { Encapsulation(rawValue: 4) }
    /// 802.1p/q out of band.
    @inlinable public static var ieee8021PQOutOfBand: Encapsulation { Encapsulation(rawValue: 8) }
  }

  /// Options of large send over IPv6: extension headers 1, TCP options 4.
  public struct LargeSend6Options: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt32

    /// Options as they came over the wire.
    @inlinable
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// Frames with extension headers.
    @inlinable public static var extensionHeaders: LargeSend6Options { LargeSend6Options(rawValue: 1) }
    /// Frames with TCP options.
    @inlinable public static var tcpOptions: LargeSend6Options { LargeSend6Options(rawValue: 4) }
  }

  /// The revision: 1...3 are known.
  public var revision: UInt8
  /// Checksums of IPv4, guest to host.
  public var transmit4 = Checksum()
  /// Checksums of IPv4, host to guest.
  public var receive4 = Checksum()
  /// Checksums of IPv6, guest to host.
  public var transmit6 = Checksum()
  /// Checksums of IPv6, host to guest.
  public var receive6 = Checksum()
  /// Large send over IPv4.
  public var largeSend4 = LargeSend()
  /// Large send over IPv6.
  public var largeSend6 = LargeSend()
  /// Options of the latter.
  public var largeSend6Options: LargeSend6Options = []
  /// Whether segments of TCP over IPv4 are coalesced; since revision 3.
  public var coalesces4 = false
  /// Whether segments of TCP over IPv6 are coalesced; since revision 3.
  public var coalesces6 = false

  /// Nothing is offered.
  @inlinable
  public init(revision: UInt8 = 3) {
    self.revision = revision
  }

  /// Everything that a host with segmentation of its own offers.
  public static func full(revision: UInt8 = 3, maximumLargeSendByteCount: UInt32 = 62_780, coalesces: Bool = false)
    -> NDISOffload
  {
    var result = NDISOffload(revision: revision)
    let four: Checksum.Features = [.ipOptions, .tcpOptions, .tcp, .udp, .ipHeader]
    result.transmit4 = Checksum(encapsulation: .ieee8023, features: four)
    result.receive4 = result.transmit4
    result.transmit6 = Checksum(encapsulation: .ieee8023, features: four.subtracting(.ipHeader))
    result.receive6 = result.transmit6
    result.largeSend4 = LargeSend(
      encapsulation: .ieee8023, maximumByteCount: maximumLargeSendByteCount, minimumSegmentCount: 2)
    result.largeSend6 = result.largeSend4
    result.largeSend6Options = [.extensionHeaders, .tcpOptions]
    result.coalesces4 = coalesces && revision >= 3
    result.coalesces6 = result.coalesces4
    return result
  }

  /// The size of an object of `revision`, in bytes; later revisions than 3 count as 3.
  @inlinable
  public static func byteCount(revision: UInt8) -> Int {
    revision <= 1 ? 112 : revision == 2 ? 144 : 156
  }

  /// The size, in bytes.
  @inlinable public var byteCount: Int { NDISOffload.byteCount(revision: revision) }

  /// Parses an object of at least revision 1; what lies past the size that it says reads as absent.
  public init(parsing object: RawSpan) throws(NetvscError) {
    let header = try NDISObjectHeader(parsing: object)
    try header.require(type: NDISObjectHeader.offloadType, minimum: 112)
    try object.require(112)
    guard Int(header.byteCount) <= object.byteCount else {
      throw .tooShort(byteCount: object.byteCount, needed: Int(header.byteCount))
    }
    func word(_ offset: Int) -> UInt32 { object.le32(at: offset) }
    func checksum(_ offset: Int) -> Checksum {
      Checksum(
        encapsulation: Encapsulation(rawValue: object.le32(at: offset)),
        features: Checksum.Features(rawValue: object.le32(at: offset + 4)))
    }
    func largeSend(_ offset: Int) -> LargeSend {
      LargeSend(
        encapsulation: Encapsulation(rawValue: object.le32(at: offset)),
        maximumByteCount: object.le32(at: offset + 4), minimumSegmentCount: object.le32(at: offset + 8))
    }
    revision = header.revision
    transmit4 = checksum(4)
    receive4 = checksum(12)
    transmit6 = checksum(20)
    receive6 = checksum(28)
    largeSend4 = largeSend(80)
    largeSend6 = largeSend(92)
    largeSend6Options = LargeSend6Options(rawValue: word(104))
    if revision >= 3, header.byteCount >= 146 {
      coalesces4 = object.byte(at: 144) != 0
      coalesces6 = object.byte(at: 145) != 0
    }
  }

  /// Stores the object at `start` and returns its size.
  @discardableResult
  public func store(into target: inout MutableRawSpan, at start: Int = 0) -> Int {
    let byteCount = self.byteCount
    target.zero(from: start, count: byteCount)
    NDISObjectHeader(type: NDISObjectHeader.offloadType, revision: revision, byteCount: UInt16(byteCount))
      .store(into: &target, at: start)
    func put(_ checksum: Checksum, _ offset: Int, _ target: inout MutableRawSpan) {
      target.storeLE(checksum.encapsulation.rawValue, at: start + offset)
      target.storeLE(checksum.features.rawValue, at: start + offset + 4)
    }
    func put(_ largeSend: LargeSend, _ offset: Int, _ target: inout MutableRawSpan) {
      target.storeLE(largeSend.encapsulation.rawValue, at: start + offset)
      target.storeLE(largeSend.maximumByteCount, at: start + offset + 4)
      target.storeLE(largeSend.minimumSegmentCount, at: start + offset + 8)
    }
    put(transmit4, 4, &target)
    put(receive4, 12, &target)
    put(transmit6, 20, &target)
    put(receive6, 28, &target)
    put(largeSend4, 80, &target)
    put(largeSend6, 92, &target)
    target.storeLE(largeSend6Options.rawValue, at: start + 104)
    if revision >= 3 {
      target.storeLE(UInt8(coalesces4 ? 1 : 0), at: start + 144)
      target.storeLE(UInt8(coalesces6 ? 1 : 0), at: start + 145)
    }
    return byteCount
  }
}
