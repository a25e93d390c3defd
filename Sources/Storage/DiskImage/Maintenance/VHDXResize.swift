import Block
import ImageFormats
import LinuxIO
import WireBytes

/// Another capacity for a VHDX: one entry of its log changes the size, and the place of the block table where that has to
/// become longer.
enum VHDXResize {
  /// - Parameter keepsIdentity: whether children still know the image: only for a merge of one of them.
  static func run(
    _ file: ImageFile, to byteCount: UInt64, mayShrink: Bool, keepsIdentity: Bool = false
  ) throws(DiskImageError) {
    let structure = try VHDXStructure.read(file, pendingLog: .replay)
    let old = structure.parameters.geometry
    let new = try faults { () throws(ImageFault) in
      try VHDXGeometry(
        diskByteCount: byteCount, blockByteCount: old.blockByteCount, sectorByteCount: old.sectorByteCount,
        hasParent: old.hasParent)
    }
    if byteCount == old.diskByteCount { return }
    try DiskImage.checkShrinking(from: old.diskByteCount, to: byteCount, mayShrink)
    let map = try VHDXMap(structure, file: file, isReadOnly: true)
    if new.blockCount < old.blockCount { try checkUnused(map, from: new.blockCount) }
    try zeroRestOfLastBlock(map, from: min(byteCount, old.diskByteCount))
    try system("resize it") { () throws(Errno) in
      try change(file, structure, map, new, keepsIdentity)
    }
  }

  private static func checkUnused(_ map: VHDXMap, from first: UInt64) throws(DiskImageError) {
    for block in first..<map.geometry.blockCount {
      let index = map.geometry.entryIndex(ofBlock: block)
      let entry = try system("read its block table") { () throws(Errno) in try map.entry(index) }
      guard entry.state == .fullyPresent || entry.state == .partiallyPresent else { continue }
      throw .fault(
        ImageFault(
          "img.shrink", "block \(block) behind the new end is in use; convert it instead",
          at: map.tableOffset + index * 8))
    }
  }

  /// What stands behind the end of the disk in its last block is nobody's, but is of the disk when that grows.
  private static func zeroRestOfLastBlock(_ map: VHDXMap, from end: UInt64) throws(DiskImageError) {
    let inside = end & (map.geometry.blockByteCount - 1)
    let block = end >> map.geometry.blockShift
    guard inside > 0, block < map.geometry.blockCount else { return }
    let entry: VHDXBlockEntry
    do throws(BlockError) { entry = try map.blockEntry(block) } catch {
      throw .fault(ImageFault("vhdx.bat.entry", "VHDX block \(block) is mapped wrongly"))
    }
    guard entry.state == .fullyPresent || entry.state == .partiallyPresent else { return }
    try system("zero its last block") { () throws(Errno) in
      let whole = entry.offset + map.geometry.blockByteCount
      if try map.file.byteCount() < whole { try map.file.truncate(to: whole) }
      var position = entry.offset + inside
      while position < whole {
        let count = min(1 << 20, whole - position)
        try map.file.write([UInt8](repeating: 0, count: Int(count)), at: position)
        position += count
      }
      try map.file.synchronize()
    }
  }

  private static func change(
    _ file: ImageFile, _ structure: VHDXStructure, _ map: VHDXMap, _ new: VHDXGeometry, _ keepsIdentity: Bool
  ) throws(Errno) {
    var end = (try file.byteCount() + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment
    var pages: [(offset: UInt64, bytes: [UInt8])] = []
    let room = UInt64(structure.tableRegion.byteCount)
    if new.tableByteCount > room {
      var regions = structure.regions
      for index in regions.entries.indices where regions.entries[index].id == VHDXRegionTable.blockTable {
        regions.entries[index].offset = end
        regions.entries[index].byteCount = UInt32(new.tableByteCount)
      }
      try copyTable(file, map, from: structure.tableRegion.offset, to: end)
      try clearRestOfChunk(file, map, table: end)
      end += new.tableByteCount
      let bytes = regions.encoded()
      for offset in VHDX.regionTableOffsets { pages += cut(bytes, at: offset) }
    } else {
      try clearEntries(file, map, new)
      try clearRestOfChunk(file, map, table: map.tableOffset)
    }
    try file.truncate(to: end)
    try file.synchronize()
    pages += try sizePages(file, structure, new.diskByteCount)

    // From here on as any change: an entry of the log, then the pages, then a log that is empty.
    var log = VHDXLogWriter(offset: structure.header.logOffset, byteCount: structure.header.logByteCount)
    let guid = try log.start(file, fileByteCount: end, lastUsed: end)
    try file.synchronize()
    log.willSynchronize()
    log.didSynchronize(fileByteCount: end)
    var writer = VHDXHeaderWriter(header: structure.header, slot: structure.headerSlot)
    writer.header.fileWriteGUID = .random()
    if !keepsIdentity { writer.header.dataWriteGUID = .random() }
    writer.header.logGUID = guid
    try writer.write(to: file)
    try log.write(pages, to: file, lastUsed: end)
    try file.synchronize()
    for page in pages { try file.write(page.bytes, at: page.offset) }
    try file.synchronize()
    writer.header.logGUID = .zero
    try writer.write(to: file)
    try writer.place(in: file)
    try file.synchronize()
  }

  /// The pages of the metadata region with the size of the disk.
  private static func sizePages(
    _ file: ImageFile, _ structure: VHDXStructure, _ byteCount: UInt64
  ) throws(Errno) -> [(offset: UInt64, bytes: [UInt8])] {
    guard let item = structure.metadata.item(VHDXMetadataItem.diskSize.id) else { throw .EIO }
    let place = structure.metadataRegion.offset + UInt64(item.offset)
    let first = place / 4096 * 4096
    let last = (place + 7) / 4096 * 4096
    var bytes = try file.read(at: first, count: Int(last + 4096 - first))
    bytes.withMutableBytes { $0.storeLE(byteCount, at: Int(place - first)) }
    return cut(bytes, at: first)
  }

  private static func cut(_ bytes: [UInt8], at offset: UInt64) -> [(offset: UInt64, bytes: [UInt8])] {
    stride(from: 0, to: bytes.count, by: 4096).map { (offset + UInt64($0), Array(bytes[$0..<($0 + 4096)])) }
  }

  /// Copies the entries that count to a new place; what follows is a hole.
  private static func copyTable(
    _ file: ImageFile, _ map: VHDXMap, from old: UInt64, to new: UInt64
  ) throws(Errno) {
    let count = map.geometry.entryCount * 8
    var position: UInt64 = 0
    while position < count {
      let part = min(1 << 20, count - position)
      try file.write(try file.read(at: old + position, count: Int(part)), at: new + position)
      position += part
    }
  }

  /// Entries that did not count and do now may hold anything.
  private static func clearEntries(_ file: ImageFile, _ map: VHDXMap, _ new: VHDXGeometry) throws(Errno) {
    guard new.entryCount > map.geometry.entryCount else { return }
    var position = map.geometry.entryCount * 8
    while position < new.entryCount * 8 {
      let count = min(1 << 20, new.entryCount * 8 - position)
      try file.write([UInt8](repeating: 0, count: Int(count)), at: map.tableOffset + position)
      position += count
    }
  }

  /// With a parent the table has entries for whole chunks, also for blocks that the disk did not have.
  private static func clearRestOfChunk(_ file: ImageFile, _ map: VHDXMap, table: UInt64) throws(Errno) {
    let geometry = map.geometry
    let rest = geometry.chunkCount * geometry.chunkRatio - geometry.blockCount
    guard geometry.hasParent, rest > 0 else { return }
    try file.write(
      [UInt8](repeating: 0, count: Int(rest) * 8), at: table + geometry.entryIndex(ofBlock: geometry.blockCount) * 8)
  }
}
