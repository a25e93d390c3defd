import WireBytes

/// What READ CAPACITY(10) and (16) report of a disk (T10 SBC-3).
public struct Capacity: Equatable, Sendable {
  /// The last logical block.
  public let lastLBA: UInt64
  /// The bytes of a logical block: 512, 1024, 2048 or 4096.
  public let blockByteCount: UInt32
  /// Two to this power is the number of logical blocks in a physical one; four bits.
  public var physicalExponent: UInt8 = 0
  /// LBPME: blocks can be given back.
  public var isProvisioned = false
  /// LBPRZ: blocks given back read as zeros.
  public var readsZeros = false
  /// The first logical block at the start of a physical one; 14 bits.
  public var lowestAlignedLBA: UInt16 = 0
  /// Whether the data came from READ CAPACITY(10) and the disk is larger than it can tell: ask READ CAPACITY(16).
  public private(set) var isSaturated = false

  /// The bytes that ``encode10(into:)`` gives.
  public static let byteCount10 = 8
  /// The bytes that ``encode16(into:)`` gives.
  public static let byteCount16 = 32

  /// The capacity of a disk of `blockCount` blocks.
  ///
  /// Nil if there is no block (a disk without blocks has no last one: the answer is ``SenseData/noMedium``), if the block
  /// size is not one of the four, or if the bytes of the disk do not fit in 63 bits.
  public init?(blockCount: UInt64, blockByteCount: UInt32) {
    guard blockCount > 0, Capacity.isPossible(lastLBA: blockCount - 1, blockByteCount: blockByteCount) else {
      return nil
    }
    lastLBA = blockCount - 1
    self.blockByteCount = blockByteCount
  }

  /// The number of logical blocks.
  public var blockCount: UInt64 { lastLBA + 1 }

  /// The bytes of the disk.
  public var byteCount: Int64 { Int64(blockCount) * Int64(blockByteCount) }

  /// The bytes of a physical block.
  public var physicalByteCount: UInt32 { blockByteCount << UInt32(physicalExponent & 0x0f) }

  private static func isPossible(lastLBA: UInt64, blockByteCount: UInt32) -> Bool {
    switch blockByteCount {
    case 512, 1024, 2048, 4096: lastLBA < UInt64(Int64.max) / UInt64(blockByteCount)
    default: false
    }
  }

  /// Parses 8 bytes of READ CAPACITY(10).
  public init(parsing10 bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(Capacity.byteCount10)
    lastLBA = UInt64(bytes.be32(at: 0))
    blockByteCount = bytes.be32(at: 4)
    guard Capacity.isPossible(lastLBA: 0, blockByteCount: blockByteCount) else { throw .invalidField(offset: 4) }
    isSaturated = lastLBA == UInt64(UInt32.max)
  }

  /// Parses at least 12 bytes of READ CAPACITY(16).
  public init(parsing16 bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(12)
    lastLBA = bytes.be64(at: 0)
    blockByteCount = bytes.be32(at: 8)
    guard Capacity.isPossible(lastLBA: 0, blockByteCount: blockByteCount) else { throw .invalidField(offset: 8) }
    guard Capacity.isPossible(lastLBA: lastLBA, blockByteCount: blockByteCount) else {
      throw .invalidField(offset: 0)
    }
    if bytes.byteCount >= 16 {
      physicalExponent = bytes.byte(at: 13) & 0x0f
      isProvisioned = bytes.byte(at: 14) & 0x80 != 0
      readsZeros = bytes.byte(at: 14) & 0x40 != 0
      lowestAlignedLBA = bytes.be16(at: 14) & 0x3fff
    }
  }

  /// Stores 8 bytes at the start of `target` and returns 8; a larger disk says FFFFFFFF.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode10(into target: inout MutableRawSpan) -> Int {
    target.storeBE(UInt32(clamping: lastLBA), at: 0)
    target.storeBE(blockByteCount, at: 4)
    return Capacity.byteCount10
  }

  /// Stores 32 bytes at the start of `target` and returns 32.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode16(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: Capacity.byteCount16)
    target.storeBE(lastLBA, at: 0)
    target.storeBE(blockByteCount, at: 8)
    target.storeBE(physicalExponent & 0x0f, at: 13)
    let flags: UInt16 = (isProvisioned ? 0x8000 : 0) | (readsZeros ? 0x4000 : 0)
    target.storeBE(flags | lowestAlignedLBA & 0x3fff, at: 14)
    return Capacity.byteCount16
  }
}
