import Block
import ImageFormats
import LinuxIO
import Synchronization
import WireBytes

/// Changes the capacity of a VHDX image that nobody uses: in one commit, so that it has the old or the new one.
public enum VHDXResize {
  /// Makes the disk in the file at `path` `byteCount` bytes long.
  ///
  /// What is new reads as zeros. Children of the image can't be read any more afterwards.
  ///
  /// - Parameter discardingData: whether data behind a new end may be lost.
  /// - Throws: `vhdx.param` for a size that is not possible, `vhdx.resize` when there are data behind the new end that may
  ///   not be lost; a fixed image has data everywhere but in zeros.
  public static func resize(
    _ path: String, to byteCount: UInt64, discardingData: Bool = false
  ) throws(DiskImageError) {
    try resize(path, to: byteCount, discardingData: discardingData, observer: nil)
  }

  /// - Parameter keepsIdentity: whether children still know the image: only for a merge of one of them.
  static func resize(
    _ path: String, to byteCount: UInt64, discardingData: Bool, observer: (any FileObserver)?,
    keepsIdentity: Bool = false
  ) throws(DiskImageError) {
    var options = DiskImage.Options()
    options.observer = observer
    options.keepsIdentity = keepsIdentity
    let (layer, _) = try VHDXImage.openLayer(ImageSource.find(path, isReadOnly: false), options: options)
    let structure = try VHDXStructure.read(layer.file, pendingLog: .overlay)
    guard let map = layer.map as? VHDXMap else { return }
    let old = map.geometry
    let new = try faults { () throws(ImageFault) in
      try VHDXGeometry(
        diskByteCount: byteCount, blockByteCount: old.blockByteCount, sectorByteCount: old.sectorByteCount,
        hasParent: old.hasParent)
    }
    if byteCount == old.diskByteCount { return try map.close() }
    if byteCount < old.diskByteCount, !discardingData { try refuseData(behind: byteCount, map) }
    if let error = map.refusalToWrite() { throw .fault(ImageFault("vhdx.resize", "it can't be written: \(error)")) }
    var change = Change(map: map, structure: structure, old: old, new: new)
    try system("resize it") { () throws(Errno) in try change.run() }
    try map.close()
  }

  /// What would be lost must be zeros.
  private static func refuseData(behind end: UInt64, _ map: VHDXMap) throws(DiskImageError) {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    var position = end
    while position < map.geometry.diskByteCount {
      switch map.locate(position, map.geometry.diskByteCount - position) {
      case .zero(let count), .parent(let count): position += count
      case .failed(let error): throw .fault(ImageFault("vhdx.resize", "it can't be read at byte \(position): \(error)"))
      case .data(let offset, let count):
        let part = min(count, UInt64(zeros.count))
        let bytes = try system("read it") { () throws(Errno) in try map.file.read(at: offset, count: Int(part)) }
        if bytes != (Int(part) == zeros.count ? zeros : Array(zeros[..<Int(part)])) {
          throw .fault(ImageFault("vhdx.resize", "there are data behind the new end, at byte \(position) of the disk"))
        }
        position += part
      }
    }
  }

  /// The steps of a change, of which the commit is the one that counts.
  private struct Change {
    let map: VHDXMap
    let structure: VHDXStructure
    let old: VHDXGeometry
    let new: VHDXGeometry
    /// Changed pages by their place in the file.
    var pages: [UInt64: [UInt8]] = [:]

    mutating func run() throws(Errno) {
      if new.diskByteCount > old.diskByteCount { try zeroTail() }
      var table = structure.tableRegion
      if UInt64(table.byteCount) < new.entryCount * 8 {
        table = try moveTable()
      } else if new.entryCount > old.entryCount {
        try clearEntries(from: old.entryCount, to: new.entryCount)
      }
      if old.hasParent { try clearRestOfChunk(tableOffset: table.offset) }
      if map.keepsBlocks, new.blockCount > old.blockCount { try allocateBlocks(tableOffset: table.offset) }
      guard let item = structure.metadata.item(VHDXMetadataItem.diskSize.id) else { throw .EIO }
      try put(littleEndian(new.diskByteCount), at: structure.metadataRegion.offset + UInt64(item.offset))
      try map.file.synchronize()
      let changed = pages
      map.state.withLock { state in
        // The table is that of the new size from the commit on, by which nothing may be counted here any more.
        state.isLastUsedKnown = false
        state.free = []
        for (offset, bytes) in changed { state.dirty[offset] = VHDXPage(offset: offset, content: .bytes(bytes)) }
        map.hasChanges.store(true, ordering: .releasing)
      }
      map.commitNow()
      if map.failure != nil { throw .EIO }
      // Nobody shall find old places when the disk becomes longer again.
      if new.entryCount < old.entryCount { try clearEntries(from: new.entryCount, to: old.entryCount) }
    }

    /// What lies behind the old end in the last block.
    private func zeroTail() throws(Errno) {
      let inside = old.diskByteCount & (old.blockByteCount - 1)
      if inside == 0 { return }
      let entry = try map.entry(old.entryIndex(ofBlock: old.blockCount - 1))
      guard entry.state == .fullyPresent || entry.state == .partiallyPresent else { return }
      try map.file.writeZeros((entry.offset + inside)..<(entry.offset + old.blockByteCount))
    }

    /// Entries behind the end of the table mean nothing, whatever they are.
    private func clearEntries(from first: UInt64, to end: UInt64) throws(Errno) {
      let table = structure.tableRegion.offset
      try map.file.writeZeros((table + first * 8)..<(table + end * 8))
    }

    /// With a parent the table has entries for whole chunks, also for blocks that the disk did not have.
    private func clearRestOfChunk(tableOffset: UInt64) throws(Errno) {
      let rest = old.chunkCount * old.chunkRatio - old.blockCount
      if rest == 0 || new.blockCount <= old.blockCount { return }
      let start = tableOffset + old.entryIndex(ofBlock: old.blockCount) * 8
      try map.file.writeZeros(start..<(start + rest * 8))
    }

    /// Takes a place of `byteCount` bytes at the end of what is used, zeros.
    private func takeEnd(_ byteCount: UInt64) throws(Errno) -> UInt64 {
      try map.state.withLock { state throws(Errno) in
        let place = state.lastUsed
        state.lastUsed += byteCount
        if state.fileByteCount < state.lastUsed {
          try map.file.truncate(to: state.lastUsed)
          state.fileByteCount = state.lastUsed
          map.fileEnd.store(state.lastUsed, ordering: .releasing)
        }
        return place
      }
    }

    /// Copies the table to a longer region.
    private mutating func moveTable() throws(Errno) -> VHDXRegionTable.Entry {
      let place = try takeEnd(new.tableByteCount)
      var done: UInt64 = 0
      while done < old.entryCount * 8 {
        let count = min(1 << 20, old.entryCount * 8 - done)
        try map.file.write(
          try map.file.read(at: structure.tableRegion.offset + done, count: Int(count)), at: place + done)
        done += count
      }
      var regions = structure.regions
      guard let index = regions.entries.firstIndex(where: { $0.id == VHDXRegionTable.blockTable }) else { throw .EIO }
      regions.entries[index].offset = place
      regions.entries[index].byteCount = UInt32(new.tableByteCount)
      let bytes = regions.encoded()
      for offset in VHDX.regionTableOffsets { try put(bytes, at: offset) }
      return regions.entries[index]
    }

    /// Blocks of a fixed image get their places at once.
    private func allocateBlocks(tableOffset: UInt64) throws(Errno) {
      let count = new.blockCount - old.blockCount
      let place = try takeEnd(count * new.blockByteCount)
      try map.file.reserve(at: place, byteCount: count * new.blockByteCount)
      for block in old.blockCount..<new.blockCount {
        let offset = place + (block - old.blockCount) * new.blockByteCount
        let entry = VHDXBlockEntry(.fullyPresent, offset: offset).rawValue
        try map.file.write(littleEndian(entry), at: tableOffset + new.entryIndex(ofBlock: block) * 8)
      }
    }

    private func littleEndian(_ value: UInt64) -> [UInt8] { [UInt8](zeroed: 8) { $0.storeLE(value, at: 0) } }

    /// Changes bytes of metadata, page by page.
    private mutating func put(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
      let size = UInt64(VHDX.pageByteCount)
      for (index, byte) in bytes.enumerated() {
        let position = offset + UInt64(index)
        let page = position / size * size
        if pages[page] == nil { pages[page] = try map.file.read(at: page, count: VHDX.pageByteCount) }
        pages[page]?[Int(position - page)] = byte
      }
    }
  }
}
