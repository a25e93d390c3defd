import WireBytes

/// VPD page 00: which VPD pages a unit has.
public struct SupportedVPDPages: Equatable, Sendable {
  /// The page codes, ascending as T10 SPC-4 wants; at most 255 of them.
  public var pages: [VPDPage]

  /// A list of `pages`.
  public init(_ pages: [VPDPage]) {
    self.pages = pages
  }

  /// Parses the page; a truncated list gives the codes that are there.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .supportedPages, in: bytes)
    pages = (VPDHeader.byteCount..<end).map { VPDPage(rawValue: bytes.byte(at: $0)) }
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int { VPDHeader.byteCount + pages.count }

  /// Stores the page at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    VPDHeader.store(.supportedPages, length: pages.count, into: &target)
    for (index, page) in pages.enumerated() {
      target.storeBE(page.rawValue, at: VPDHeader.byteCount + index)
    }
    return byteCount
  }
}

/// VPD page 80: the serial number of a unit.
public struct UnitSerialNumber: Equatable, Sendable {
  /// The serial number, printable ASCII.
  public var text: String

  /// A page with the serial number `text`.
  public init(_ text: String) {
    self.text = text
  }

  /// Parses the page; a truncated text gives what is there.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .unitSerialNumber, in: bytes)
    text = bytes.ascii(at: VPDHeader.byteCount, count: end - VPDHeader.byteCount)
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int { VPDHeader.byteCount + text.utf8.count }

  /// Stores the page at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    VPDHeader.store(.unitSerialNumber, length: text.utf8.count, into: &target)
    target.storeASCII(text, at: VPDHeader.byteCount, count: text.utf8.count)
    return byteCount
  }
}

/// VPD page B0 (T10 SBC-3): how large commands may be. All counts are in logical blocks; 0 means that no limit, or no
/// support, is reported.
public struct BlockLimits: Equatable, Sendable {
  /// Blocks that a transfer length should be a multiple of.
  public var optimalTransferGranularity: UInt16 = 0
  /// The largest READ or WRITE.
  public var maximumTransferLength: UInt32 = 0
  /// The largest READ or WRITE without a penalty.
  public var optimalTransferLength: UInt32 = 0
  /// The most blocks in one UNMAP; FFFFFFFF is no limit, 0 is no UNMAP.
  public var maximumUnmapBlocks: UInt32 = 0
  /// The most descriptors in one UNMAP; FFFFFFFF is no limit, 0 is no UNMAP.
  public var maximumUnmapDescriptors: UInt32 = 0
  /// Blocks that an unmapped run should be a multiple of.
  public var unmapGranularity: UInt32 = 0
  /// The first block of such a run, modulo the granularity; nil if not reported. 31 bits.
  public var unmapAlignment: UInt32?
  /// The largest WRITE SAME.
  public var maximumWriteSameLength: UInt64 = 0
  /// Whether a WRITE SAME of 0 blocks is refused (WSNZ).
  public var refusesEmptyWriteSame = false

  /// The bytes that ``encode(into:)`` gives.
  public static let byteCount = 64

  /// A page without any limit.
  public init() {}

  /// Parses the page; what is beyond its end (SBC-2 stops after the transfer lengths) is not reported.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .blockLimits, in: bytes)
    if end >= 16 {
      refusesEmptyWriteSame = bytes.byte(at: 4) & 0x01 != 0
      optimalTransferGranularity = bytes.be16(at: 6)
      maximumTransferLength = bytes.be32(at: 8)
      optimalTransferLength = bytes.be32(at: 12)
    }
    if end >= 36 {
      maximumUnmapBlocks = bytes.be32(at: 20)
      maximumUnmapDescriptors = bytes.be32(at: 24)
      unmapGranularity = bytes.be32(at: 28)
      let alignment = bytes.be32(at: 32)
      unmapAlignment = alignment & 0x8000_0000 != 0 ? alignment & 0x7fff_ffff : nil
    }
    if end >= 44 {
      maximumWriteSameLength = bytes.be64(at: 36)
    }
  }

  /// Stores 64 bytes at the start of `target` and returns 64.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: BlockLimits.byteCount)
    VPDHeader.store(.blockLimits, length: BlockLimits.byteCount - VPDHeader.byteCount, into: &target)
    target.storeBE(UInt8(refusesEmptyWriteSame ? 0x01 : 0), at: 4)
    target.storeBE(optimalTransferGranularity, at: 6)
    target.storeBE(maximumTransferLength, at: 8)
    target.storeBE(optimalTransferLength, at: 12)
    target.storeBE(maximumUnmapBlocks, at: 20)
    target.storeBE(maximumUnmapDescriptors, at: 24)
    target.storeBE(unmapGranularity, at: 28)
    target.storeBE(unmapAlignment.map { $0 | 0x8000_0000 } ?? 0, at: 32)
    target.storeBE(maximumWriteSameLength, at: 36)
    return BlockLimits.byteCount
  }
}

/// VPD page B1 (T10 SBC-3): what the medium is like.
public struct BlockDeviceCharacteristics: Equatable, Sendable {
  /// Revolutions per minute; 0 is not reported, 1 is a medium that does not rotate.
  public var rotationRate: UInt16

  /// The bytes that ``encode(into:)`` gives.
  public static let byteCount = 64
  /// The rotation rate of a solid-state medium.
  public static let nonRotating: UInt16 = 1

  /// A page with this rotation rate.
  public init(rotationRate: UInt16 = BlockDeviceCharacteristics.nonRotating) {
    self.rotationRate = rotationRate
  }

  /// Parses the page, of which at least 6 bytes must be there.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .blockDeviceCharacteristics, in: bytes)
    guard end >= 6 else { throw .tooShort(byteCount: end, needed: 6) }
    rotationRate = bytes.be16(at: 4)
  }

  /// Stores 64 bytes at the start of `target` and returns 64.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: BlockDeviceCharacteristics.byteCount)
    VPDHeader.store(
      .blockDeviceCharacteristics, length: BlockDeviceCharacteristics.byteCount - VPDHeader.byteCount, into: &target)
    target.storeBE(rotationRate, at: 4)
    return BlockDeviceCharacteristics.byteCount
  }
}

/// VPD page B2 (T10 SBC-3): how blocks can be given back.
public struct LogicalBlockProvisioning: Equatable, Sendable {
  /// Two to this power is the number of blocks of a threshold set; 0 means that thresholds are not supported.
  public var thresholdExponent: UInt8
  /// LBPU: UNMAP is supported.
  public var supportsUnmap: Bool
  /// LBPWS: WRITE SAME(16) with UNMAP is supported.
  public var supportsWriteSame16Unmap: Bool
  /// LBPWS10: WRITE SAME(10) with UNMAP is supported.
  public var supportsWriteSame10Unmap: Bool
  /// LBPRZ: 1 if blocks given back read as zeros; three bits.
  public var readsZeros: UInt8
  /// ANC_SUP: blocks can be anchored.
  public var supportsAnchor: Bool
  /// 0 not reported, 1 all blocks have space, 2 thin.
  public var provisioningType: UInt8

  /// The bytes that ``encode(into:)`` gives.
  public static let byteCount = 8
  /// The provisioning type of a disk that takes space as it is written.
  public static let thin: UInt8 = 2

  /// A page with these values.
  public init(
    thresholdExponent: UInt8 = 1, supportsUnmap: Bool, supportsWriteSame16Unmap: Bool = false,
    supportsWriteSame10Unmap: Bool = false, readsZeros: UInt8 = 0, supportsAnchor: Bool = false,
    provisioningType: UInt8 = LogicalBlockProvisioning.thin
  ) {
    self.thresholdExponent = thresholdExponent
    self.supportsUnmap = supportsUnmap
    self.supportsWriteSame16Unmap = supportsWriteSame16Unmap
    self.supportsWriteSame10Unmap = supportsWriteSame10Unmap
    self.readsZeros = readsZeros & 0x07
    self.supportsAnchor = supportsAnchor
    self.provisioningType = provisioningType & 0x07
  }

  /// Parses the page, of which at least 7 bytes must be there.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    let end = try VPDHeader.end(of: .logicalBlockProvisioning, in: bytes)
    guard end >= 7 else { throw .tooShort(byteCount: end, needed: 7) }
    let flags = bytes.byte(at: 5)
    self.init(
      thresholdExponent: bytes.byte(at: 4), supportsUnmap: flags & 0x80 != 0,
      supportsWriteSame16Unmap: flags & 0x40 != 0, supportsWriteSame10Unmap: flags & 0x20 != 0,
      readsZeros: flags >> 2, supportsAnchor: flags & 0x02 != 0, provisioningType: bytes.byte(at: 6))
  }

  /// Stores 8 bytes at the start of `target` and returns 8.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: LogicalBlockProvisioning.byteCount)
    VPDHeader.store(.logicalBlockProvisioning, length: 4, into: &target)
    target.storeBE(thresholdExponent, at: 4)
    let methods: UInt8 =
      (supportsUnmap ? 0x80 : 0) | (supportsWriteSame16Unmap ? 0x40 : 0) | (supportsWriteSame10Unmap ? 0x20 : 0)
    target.storeBE(methods | (readsZeros & 0x07) << 2 | (supportsAnchor ? 0x02 : 0), at: 5)
    target.storeBE(provisioningType & 0x07, at: 6)
    return LogicalBlockProvisioning.byteCount
  }
}
