import Block
import ImageFormats
import LinuxIO
import SharedMemory
import Synchronization

/// The block map of a dynamic or differencing VHD: its block table, and the bitmap in front of each block.
///
/// Blocks are appended where the footer stands, which moves behind them; the copy at the start keeps the image whole
/// meanwhile. There is no log: entries of the table and bits are written after the data that they speak of are durable.
final class VHDMap: BlockMap {
  let file: ImageFile
  let footerBytes: [UInt8]
  let header: VHDDynamicHeader
  let layout: MapLayout
  let epochs = QueueEpochs()
  let blockShift: UInt64
  /// Blocks that the disk has.
  let blockCount: UInt64
  /// Length of a bitmap in the file in bytes, a power of two.
  let bitmapByteCount: UInt64
  /// What no block may overlap.
  let structures: [Range<UInt64>]
  /// Where blocks had to end when the image was opened.
  let dataEndAtOpen: UInt64
  /// Pages of the block table.
  let table: TableCache
  /// Pages of the bitmaps, as if they stood one behind the other; bit 0 of a word is the first sector.
  let bitmaps: TableCache
  /// One bit for each block that is known to have all its sectors. No sector is ever lost, so that bits stay.
  private let wholeBlocks: MemoryRegion
  let state: Mutex<VHDState>
  /// What the table says at most about where blocks end.
  let dataEnd: Atomic<UInt64>
  let isWriting = Atomic<Bool>(false)
  let hasChanges = Atomic<Bool>(false)
  let hasFailed = Atomic<Bool>(false)
  /// What `beginWriting` has to write again.
  let needsFooter: Bool
  let needsCopy: Bool

  /// The entry of a block that has no place.
  static let unallocated = UInt32.max
  /// Tables of at most so many entries are read and checked as a whole when the image is opened.
  static let sweptEntryCount: UInt32 = 1 << 21

  /// - Parameters:
  ///   - structure: of `file`; not fixed.
  ///   - isSwept: whether the table is looked at as a whole; false for those who do so themselves.
  init(
    _ structure: VHDStructure, header: VHDDynamicHeader, file: ImageFile, isReadOnly: Bool, isSwept: Bool = true
  ) throws(DiskImageError) {
    self.file = file
    self.header = header
    footerBytes = structure.footerBytes
    layout = MapLayout(
      byteCount: structure.footer.diskByteCount, sectorByteCount: 512, physicalSectorByteCount: 512,
      blockByteCount: header.blockByteCount, hasParent: structure.footer.kind == .differencing,
      isReadOnly: isReadOnly,
      identity: DiskIdentity(high: structure.footer.uniqueID.high, low: structure.footer.uniqueID.low))
    blockShift = UInt64(header.blockByteCount.trailingZeroBitCount)
    blockCount = (structure.footer.diskByteCount + header.blockByteCount - 1) >> blockShift
    bitmapByteCount = VHD.bitmapByteCount(blockByteCount: header.blockByteCount)
    structures = structure.structures
    dataEndAtOpen = structure.dataEnd
    dataEnd = Atomic(structure.dataEnd)
    needsFooter = structure.needsFooter
    needsCopy = structure.needsCopy
    let blocks = blockCount
    let bitmapPages = Int((blockCount * bitmapByteCount + 4095) / 4096)
    (table, bitmaps, wholeBlocks) = try system("take memory for its tables") { () throws(Errno) in
      (
        try TableCache(pageCount: Int((blocks * 4 + 4095) / 4096)),
        try TableCache(pageCount: bitmapPages, byteLimit: 32 << 20, groupCount: 1),
        try MemoryRegion(anonymous: Int(blocks / 32 * 4 + 4))
      )
    }
    let end = structure.structures.map(\.upperBound).max() ?? 0
    state = Mutex(VHDState(lastUsed: max(end, structure.dataEnd), fileByteCount: structure.fileByteCount))
    if isSwept, header.entryCount <= Self.sweptEntryCount {
      let sweep = try VHDSweep(self, findingLimit: 1)
      if let first = sweep.findings.first { throw .fault(first) }
      state.withLock { $0.lastUsed = max(end, sweep.end) }
    }
    state.withLock { $0.lastUsed = ($0.lastUsed + 511) / 512 * 512 }
    if !isReadOnly, needsFooter || needsCopy {
      try system("repair its footers") { () throws(Errno) in
        try state.withLock { state throws(Errno) in try beginWriting(&state) }
      }
      isWriting.store(true, ordering: .releasing)
    }
  }

  var needsCommit: Bool { hasChanges.load(ordering: .acquiring) }

  var failure: BlockError? { hasFailed.load(ordering: .acquiring) ? .failed : nil }

  func markFailed() { hasFailed.store(true, ordering: .releasing) }

  /// Length in the file of a block with its bitmap.
  var placeByteCount: UInt64 { bitmapByteCount + header.blockByteCount }

  /// How much of the place of a block the file must have: the last one may be cut short with the disk.
  func neededByteCount(_ block: UInt64) -> UInt64 {
    bitmapByteCount + min(header.blockByteCount, layout.byteCount - block << blockShift)
  }
}

extension VHDMap {
  /// The entry of a block as it stands in the table; reads its page when it is not in memory.
  func entry(_ block: UInt64) throws(Errno) -> UInt32 {
    let (page, word) = (Int(block >> 10), Int(block & 1023) >> 1)
    while true {
      if let value = table.word(page, word) {
        return UInt32(truncatingIfNeeded: block & 1 == 0 ? value : value >> 32).byteSwapped
      }
      try table.load(page) { (first, count) throws(Errno) in
        let start = UInt64(first) * 4096
        let end = min(start + UInt64(count) * 4096, header.tableByteCount)
        return try file.read(at: header.tableOffset + start, count: Int(end - start))
      }
    }
  }

  /// Why an entry can't be right.
  func objection(_ entry: UInt32, block: UInt64) -> String? {
    let start = UInt64(entry) * 512
    let needed = neededByteCount(block)
    let end = dataEnd.load(ordering: .acquiring)
    if start > end || needed > end - start { return "it ends behind the data" }
    let range = start..<(start + needed)
    if structures.contains(where: { $0.overlaps(range) }) { return "it overlaps the header or the table" }
    return nil
  }

  /// Where a block with its bitmap stands in the file; nil when it has no place.
  func place(_ block: UInt64) throws(BlockError) -> UInt64? {
    let entry: UInt32
    do throws(Errno) { entry = try self.entry(block) } catch { throw blockError(error) }
    if entry == Self.unallocated { return nil }
    if objection(entry, block: block) != nil { throw .medium }
    return UInt64(entry) * 512
  }

  /// Whether a block is known to have all its sectors.
  func isWhole(_ block: UInt64) -> Bool {
    wholeBlocks.slice.word32(at: Int(block >> 5) * 4).loadAcquiring() >> UInt32(block & 31) & 1 != 0
  }

  /// Notes that a block has all its sectors.
  func markWhole(_ block: UInt64) {
    _ = wholeBlocks.slice.word32(at: Int(block >> 5) * 4).setBits(1 << UInt32(block & 31))
  }
}
