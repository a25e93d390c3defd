import Block
import ImageFormats
import LinuxIO
import Synchronization

/// The block map of a VHDX image: its block table and sector bitmaps.
///
/// Room for a block is always zeros, so that the block reads the same before and after it was allocated, wherever its data
/// are: an entry may become durable before the data of its block. It is otherwise with bits of sector bitmaps and with
/// places that were used before: the data become durable first.
final class VHDXMap: BlockMap {
  let file: ImageFile
  let source: VHDXMetadataSource
  let geometry: VHDXGeometry
  let layout: MapLayout
  let epochs = QueueEpochs()
  /// Whether blocks keep their places: a fixed image.
  let keepsBlocks: Bool
  /// Whether the identifier by which children know the image stays: a merge goes on where it was interrupted.
  let keepsIdentity: Bool
  /// Where the block table stands in the file, in bytes.
  let tableOffset: UInt64
  /// What no block may overlap: log, regions.
  let structures: [Range<UInt64>]
  /// Behind all structures, so that a place from here on need not be compared with them.
  let structuresEnd: UInt64
  /// Pages of the block table.
  let table: TableCache
  /// Pages of the sector bitmaps, 256 for each chunk; nil without a parent.
  let bitmaps: TableCache?
  /// Where the identifiers of the file stand while it is open, what was changed, what is free.
  let state: Mutex<VHDXState>

  /// Length of the file as far as blocks may reach, in bytes.
  let fileEnd: Atomic<UInt64>
  /// Length of the file below which bytes are really stored; above they read as zeros.
  let storedEnd: UInt64
  /// Whether the header says already that the disk is being changed.
  let isWriting = Atomic<Bool>(false)
  let hasChanges = Atomic<Bool>(false)
  let hasFailed = Atomic<Bool>(false)

  /// - Parameters:
  ///   - structure: of `file`.
  ///   - isSwept: whether a table that is short enough is looked at as a whole; what is wrong with it is thrown.
  ///   - keepsIdentity: whether children still know the image after it was changed.
  init(
    _ structure: VHDXStructure, file: ImageFile, isReadOnly: Bool, isSwept: Bool = true, keepsIdentity: Bool = false
  ) throws(DiskImageError) {
    self.file = file
    self.keepsIdentity = keepsIdentity
    geometry = structure.parameters.geometry
    source = VHDXMetadataSource(file: file, overlay: structure.overlay, fileByteCount: structure.fileByteCount)
    layout = MapLayout(
      byteCount: geometry.diskByteCount, sectorByteCount: Int(geometry.sectorByteCount),
      physicalSectorByteCount: Int(structure.parameters.physicalSectorByteCount),
      blockByteCount: geometry.blockByteCount, hasParent: geometry.hasParent, isReadOnly: isReadOnly,
      identity: DiskIdentity(
        high: structure.parameters.diskID.low.byteSwapped, low: structure.parameters.diskID.high.byteSwapped))
    keepsBlocks = structure.parameters.leavesBlocksAllocated
    tableOffset = structure.tableRegion.offset
    let log = structure.header.logOffset..<(structure.header.logOffset + UInt64(structure.header.logByteCount))
    structures = structure.regions.entries.map(\.range) + [log]
    structuresEnd = structures.map(\.upperBound).max() ?? VHDX.headerSectionByteCount
    let pages = Int((geometry.entryCount * 8 + 4095) / 4096)
    let bitmapPages = geometry.hasParent ? Int(geometry.chunkCount) * Self.bitmapPageCount : 0
    (table, bitmaps) = try system("take memory for its tables") { () throws(Errno) in
      (
        try TableCache(pageCount: pages),
        bitmapPages > 0 ? try TableCache(pageCount: bitmapPages, byteLimit: 32 << 20) : nil
      )
    }
    fileEnd = Atomic(source.byteCount)
    storedEnd = structure.overlay == nil ? UInt64.max : structure.fileByteCount
    let isTableSmall = isSwept && geometry.entryCount <= Self.sweptEntryCount
    state = Mutex(VHDXState(structure, isLastUsedKnown: isTableSmall))
    if isTableSmall {
      let sweep = try VHDXSweep.run(self)
      state.withLock {
        $0.lastUsed = max(structuresEnd, sweep.end)
        if !isReadOnly, !keepsBlocks { $0.gaps = sweep.freePlaces(limit: 4096) }
      }
    } else if !isReadOnly {
      // The last block may be cut short by the end of the file.
      let block = geometry.blockCount - 1
      let last = try system("read its block table") { () throws(Errno) in
        try entry(geometry.entryIndex(ofBlock: block))
      }
      let isPresent = last.state == .fullyPresent || last.state == .partiallyPresent
      if isPresent, objection(last, role: .block(block)) == nil {
        state.withLock { $0.lastUsed = max($0.lastUsed, last.offset + geometry.blockByteCount) }
      }
    }
  }

  /// Pages of the bitmap of one chunk.
  static let bitmapPageCount = 256
  /// Tables of at most so many entries are read and checked as a whole when the image is opened.
  static let sweptEntryCount: UInt64 = 131_072

  var needsCommit: Bool { hasChanges.load(ordering: .acquiring) }

  var failure: BlockError? { hasFailed.load(ordering: .acquiring) ? .failed : nil }

  func markFailed() { hasFailed.store(true, ordering: .releasing) }
}

extension VHDXMap {
  /// Entry `index` of the block table; reads its page when it is not in memory.
  func entry(_ index: UInt64) throws(Errno) -> VHDXBlockEntry {
    let (page, word) = (Int(index >> 9), Int(index & 511))
    while true {
      if let value = table.word(page, word) { return VHDXBlockEntry(rawValue: value) }
      try table.load(page) { (first, count) throws(Errno) in
        // The region is whole MiB, so that whole pages can be read.
        try source.read(at: tableOffset + UInt64(first) * 4096, count: count * 4096)
      }
    }
  }

  /// Why an entry can't be right, seen for itself and against what is known of the file.
  func objection(_ entry: VHDXBlockEntry, role: VHDXGeometry.EntryRole) -> String? {
    var isBitmap = false
    var needed = geometry.blockByteCount
    switch role {
    case .unused: return nil
    case .bitmap:
      isBitmap = true
      needed = VHDX.bitmapBlockByteCount
    case .block(let block):
      // Fixed images of some writers end with the disk and not with the block.
      needed = min(needed, geometry.diskByteCount - block << geometry.blockShift)
    }
    if let why = entry.objection(isBitmap: isBitmap, hasParent: geometry.hasParent) { return why }
    guard entry.state == .fullyPresent || entry.state == .partiallyPresent else { return nil }
    let end = fileEnd.load(ordering: .acquiring)
    if entry.offset > end || needed > end - entry.offset { return "it ends behind the file" }
    if entry.offset < structuresEnd {
      let range = entry.offset..<(entry.offset + needed)
      if structures.contains(where: { $0.overlaps(range) }) { return "it overlaps the log or a region" }
    }
    return nil
  }

  /// The entry of a block, if it can be right.
  func blockEntry(_ block: UInt64) throws(BlockError) -> VHDXBlockEntry {
    do throws(Errno) {
      let entry = try entry(geometry.entryIndex(ofBlock: block))
      if objection(entry, role: .block(block)) != nil { throw .ENODATA }
      return entry
    } catch { throw blockError(error) }
  }
}
