/// Sizes of a disk and what follows from them: blocks, chunks and the places of their entries in the block table.
public struct VHDXGeometry: Hashable, Sendable {
  /// Capacity in bytes.
  public var diskByteCount: UInt64
  /// Block size in bytes, a power of two.
  public var blockByteCount: UInt64
  /// Logical sector size in bytes: 512 or 4096.
  public var sectorByteCount: UInt64
  /// Whether the disk has a parent, so that chunks have sector bitmaps.
  public var hasParent: Bool

  /// Binary logarithm of the block size.
  public let blockShift: UInt64
  /// Binary logarithm of the number of blocks in a chunk.
  public let chunkShift: UInt64

  /// A geometry.
  ///
  /// - Throws: `vhdx.param` for a value that the format does not allow.
  public init(
    diskByteCount: UInt64, blockByteCount: UInt64, sectorByteCount: UInt64, hasParent: Bool
  ) throws(ImageFault) {
    func bad(_ field: String, _ value: UInt64) -> ImageFault {
      ImageFault("vhdx.param", "VHDX \(field) \(value) is not allowed")
    }
    guard sectorByteCount == 512 || sectorByteCount == 4096 else { throw bad("logical sector size", sectorByteCount) }
    guard VHDX.blockByteCounts.contains(blockByteCount), blockByteCount & (blockByteCount - 1) == 0 else {
      throw bad("block size", blockByteCount)
    }
    guard diskByteCount > 0, diskByteCount <= VHDX.maximumDiskByteCount, diskByteCount % sectorByteCount == 0 else {
      throw bad("disk size", diskByteCount)
    }
    self.diskByteCount = diskByteCount
    self.blockByteCount = blockByteCount
    self.sectorByteCount = sectorByteCount
    self.hasParent = hasParent
    blockShift = UInt64(blockByteCount.trailingZeroBitCount)
    chunkShift = UInt64((VHDX.chunkSectorCount * sectorByteCount).trailingZeroBitCount) - blockShift
  }

  /// Blocks of the disk, the last one perhaps longer than its rest.
  public var blockCount: UInt64 { (diskByteCount + blockByteCount - 1) >> blockShift }
  /// Blocks in a chunk.
  public var chunkRatio: UInt64 { 1 << chunkShift }
  /// Chunks of the disk.
  public var chunkCount: UInt64 { (blockCount + chunkRatio - 1) >> chunkShift }
  /// Sectors in a block.
  public var blockSectorCount: UInt64 { blockByteCount / sectorByteCount }

  /// Entries that the block table must have.
  public var entryCount: UInt64 {
    hasParent ? chunkCount * (chunkRatio + 1) : blockCount + (blockCount - 1) >> chunkShift
  }

  /// Length of the region that holds the table, in bytes.
  public var tableByteCount: UInt64 {
    (entryCount * 8 + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment
  }

  /// Where the entry of block `block` stands in the table.
  public func entryIndex(ofBlock block: UInt64) -> UInt64 { block + block >> chunkShift }

  /// Where the entry of the bitmap block of chunk `chunk` stands in the table.
  public func entryIndex(ofBitmap chunk: UInt64) -> UInt64 { (chunk + 1) << chunkShift + chunk }

  /// What entry `index` of the table is for.
  public func role(ofEntry index: UInt64) -> EntryRole {
    let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
    if place == chunkRatio { return chunk < chunkCount ? .bitmap(chunk: chunk) : .unused }
    let block = chunk << chunkShift + place
    return block < blockCount ? .block(block) : .unused
  }

  /// What an entry of the block table is for.
  public enum EntryRole: Hashable, Sendable {
    /// A block of the disk.
    case block(UInt64)
    /// The sector bitmap of a chunk.
    case bitmap(chunk: UInt64)
    /// Nothing: it lies behind the end of the disk.
    case unused
  }
}
