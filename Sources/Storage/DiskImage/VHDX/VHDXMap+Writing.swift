import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Where bytes are written.
extension VHDXMap {
  func locateWrite(_ offset: UInt64, _ byteCount: UInt64) -> WriteRun {
    if let refusal = refusalToWrite() { return .failed(refusal) }
    let block = offset >> geometry.blockShift
    let inside = offset & (geometry.blockByteCount - 1)
    let count = min(byteCount, geometry.blockByteCount - inside)
    do throws(BlockError) {
      let entry = try blockEntry(block)
      switch entry.state {
      case .fullyPresent:
        return .data(fileOffset: entry.offset + inside, byteCount: count, isRecorded: false)
      case .partiallyPresent:
        let (isPresent, run) = try bitmapRun(offset, count)
        if isPresent, run == count {
          return .data(fileOffset: entry.offset + inside, byteCount: count, isRecorded: false)
        }
      default: break
      }
      return try state.withLock { (state) throws(BlockError) -> WriteRun in
        let entry = try blockEntry(block)
        var place = entry.offset
        switch entry.state {
        case .fullyPresent:
          return .data(fileOffset: entry.offset + inside, byteCount: count, isRecorded: false)
        case .partiallyPresent: break
        default:
          guard let new = try allocate(block, entry.state, &state) else { return .afterCommit }
          place = new
          if !geometry.hasParent || entry.state != .notPresent {
            return .data(fileOffset: place + inside, byteCount: count, isRecorded: false)
          }
        }
        guard try reserve(offset, count, &state) else { return .afterCommit }
        return .data(fileOffset: place + inside, byteCount: count, isRecorded: true)
      }
    } catch {
      return .failed(error)
    }
  }

  /// Why nothing may be written; makes the header say that the disk is being changed before anything is.
  func refusalToWrite() -> BlockError? {
    if isWriting.load(ordering: .acquiring), !hasFailed.load(ordering: .acquiring) { return nil }
    if layout.isReadOnly { return .readOnly }
    if let failure { return failure }
    return state.withLock { state in
      if isWriting.load(ordering: .acquiring) { return nil }
      do throws(Errno) { try beginWriting(&state) } catch {
        hasFailed.store(true, ordering: .releasing)
        return blockError(error)
      }
      isWriting.store(true, ordering: .releasing)
      return nil
    }
  }

  /// The first change since the image was opened: new identifiers of the contents, and a log.
  private func beginWriting(_ state: inout VHDXState) throws(Errno) {
    if state.isClosed { throw .EBADF }
    // What stands behind the last block may be left from before a crash: what is taken from the file anew is zeros. A
    // block that the end of the file has cut short becomes whole.
    let mayCut = state.isLastUsedKnown && !keepsBlocks
    let used = mayCut ? state.lastUsed : max(state.lastUsed, state.fileByteCount)
    let end = (used + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment
    if state.fileByteCount != end {
      try file.truncate(to: end)
      state.fileByteCount = end
    }
    state.lastUsed = end
    for place in state.gaps {
      do throws(Errno) { try file.punchHole(at: place, byteCount: geometry.blockByteCount) } catch { break }
      state.free.append(place)
    }
    state.gaps = []
    // A log in a hole could find no room when it is needed most.
    try? file.reserve(at: state.log.offset, byteCount: UInt64(state.log.byteCount))
    try file.synchronize()
    fileEnd.store(state.fileByteCount, ordering: .releasing)
    let log = try state.log.start(file, fileByteCount: state.fileByteCount, lastUsed: state.lastUsed)
    try file.synchronize()
    state.log.willSynchronize()
    state.log.didSynchronize(fileByteCount: state.fileByteCount)
    state.header.header.fileWriteGUID = .random()
    if !keepsIdentity { state.header.header.dataWriteGUID = .random() }
    state.header.header.logGUID = log
    try state.header.write(to: file)
    // Both copies say the same from now on, so that the loss of one is no harm.
    try state.header.place(in: file)
    if let tables = state.regionTables {
      for offset in VHDX.regionTableOffsets {
        for start in stride(from: 0, to: tables.count, by: VHDX.pageByteCount) {
          let bytes = Array(tables[start..<(start + VHDX.pageByteCount)])
          state.dirty[offset + UInt64(start)] = VHDXPage(offset: offset + UInt64(start), content: .bytes(bytes))
        }
      }
      state.regionTables = nil
      hasChanges.store(true, ordering: .releasing)
    }
  }

  /// Takes room for a block and makes its entry name it; nil: only after a commit.
  ///
  /// The block reads as before: as zeros, or what was not present as the parent.
  private func allocate(
    _ block: UInt64, _ before: VHDXBlockEntry.State, _ state: inout VHDXState
  ) throws(BlockError) -> UInt64? {
    let index = geometry.entryIndex(ofBlock: block)
    var pages = [tablePage(index)]
    let isPartial = geometry.hasParent && before == .notPresent
    let chunk = block >> geometry.chunkShift
    let bitmapIndex = geometry.entryIndex(ofBitmap: chunk)
    var stale: [VHDXPage] = []
    var needsBitmap = false
    if isPartial {
      let bitmap = try tableEntry(bitmapIndex)
      if let why = objection(bitmap, role: .bitmap(chunk: chunk)), !why.isEmpty { throw .medium }
      needsBitmap = bitmap.state != .fullyPresent
      pages.append(tablePage(bitmapIndex))
      // Bits of an earlier life of the block would show what is not there.
      if !needsBitmap { stale = try stalePages(block) }
      pages += stale
    }
    guard state.hasRoom(for: pages), !hasManyLeaving(state) else { return nil }
    if needsBitmap {
      let place = try takeRoom(VHDX.bitmapBlockByteCount, &state)
      try setEntry(bitmapIndex, VHDXBlockEntry(.fullyPresent, offset: place), &state)
    }
    for page in stale { try clearBits(of: block, page, &state) }
    let place = try takeRoom(geometry.blockByteCount, &state)
    try setEntry(index, VHDXBlockEntry(isPartial ? .partiallyPresent : .fullyPresent, offset: place), &state)
    return place
  }

  /// An entry, read while the lock is held.
  func tableEntry(_ index: UInt64) throws(BlockError) -> VHDXBlockEntry {
    do throws(Errno) { return try entry(index) } catch { throw blockError(error) }
  }

  /// The page in which an entry of the table stands.
  func tablePage(_ index: UInt64) -> VHDXPage {
    let page = index >> 9
    return VHDXPage(offset: tableOffset + page * 4096, content: .table(Int(page)))
  }

  /// Changes an entry of the table; there must be room for its page.
  func setEntry(_ index: UInt64, _ entry: VHDXBlockEntry, _ state: inout VHDXState) throws(BlockError) {
    try makeDirty(tablePage(index), &state)
    table.setWord(Int(index >> 9), Int(index & 511), to: entry.rawValue)
  }

  /// A page is going to be changed: it stays in memory until it has been committed.
  func makeDirty(_ page: VHDXPage, _ state: inout VHDXState) throws(BlockError) {
    if state.dirty[page.offset] != nil { return }
    try pin(page)
    state.dirty[page.offset] = page
    hasChanges.store(true, ordering: .releasing)
  }

  func pin(_ page: VHDXPage) throws(BlockError) {
    switch page.content {
    case .table(let number):
      while !table.pin(number) { _ = try tableEntry(UInt64(number) << 9) }
    case .bitmap(let number):
      while bitmaps?.pin(number) == false { _ = try bitmapWord(UInt64(number) << 15) }
    case .bytes: break
    }
  }

  func unpin(_ page: VHDXPage) {
    switch page.content {
    case .table(let number): table.unpin(number)
    case .bitmap(let number): bitmaps?.unpin(number)
    case .bytes: break
    }
  }
}
