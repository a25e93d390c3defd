import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Where bytes are written.
extension VHDMap {
  func locateWrite(_ offset: UInt64, _ byteCount: UInt64) -> WriteRun {
    if let refusal = refusalToWrite() { return .failed(refusal) }
    let block = offset >> blockShift
    let inside = offset & (header.blockByteCount - 1)
    let count = min(byteCount, header.blockByteCount - inside, Self.longestRecordedByteCount)
    do throws(BlockError) {
      if let place = try place(block) {
        var isThere = isWhole(block)
        if !isThere {
          let (isPresent, run) = try bitmapRun(offset, count)
          isThere = isPresent && run == count
        }
        if isThere {
          return .data(fileOffset: place + bitmapByteCount + inside, byteCount: count, isRecorded: false)
        }
      }
      return try state.withLock { (state) throws(BlockError) -> WriteRun in
        let units = units(offset, count)
        var place = try place(block)
        if place == nil {
          guard let new = try allocate(block, &state) else { return .afterCommit }
          place = new
        }
        guard let place else { return .failed(.failed) }
        let data = place + bitmapByteCount + inside
        if isWhole(block) { return .data(fileOffset: data, byteCount: count, isRecorded: false) }
        guard state.hasRoom(for: units) else { return .afterCommit }
        for unit in units {
          try pin(unit)
          state.reservedUnits[unit, default: 0] += 1
        }
        return .data(fileOffset: data, byteCount: count, isRecorded: true)
      }
    } catch {
      return .failed(error)
    }
  }

  /// A longer write is cut, so that the bits of one fit into a commit.
  static let longestRecordedByteCount: UInt64 = 64 << 20

  /// Why nothing may be written; makes the file ready before the first change.
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

  /// Makes sure that the footer and its copy are right, and that there is nothing but the footer behind the last block:
  /// what is taken from the file anew is zeros then.
  func beginWriting(_ state: inout VHDState) throws(Errno) {
    if state.isClosed { throw .EBADF }
    if needsCopy {
      try file.write(footerBytes, at: 0)
      try file.synchronize()
    }
    guard needsFooter || state.lastUsed != dataEndAtOpen || state.fileByteCount != state.lastUsed + 512 else { return }
    if state.fileByteCount > state.lastUsed { try file.truncate(to: state.lastUsed) }
    state.fileByteCount = state.lastUsed + 512
    try file.truncate(to: state.fileByteCount)
    try file.write(footerBytes, at: state.lastUsed)
    try file.synchronize()
    dataEnd.store(state.lastUsed, ordering: .releasing)
  }

  /// Gives a block a place at the end, and makes the table name it; nil: only after a commit.
  ///
  /// The block reads as before: a dynamic one is all there and zeros, of a differencing one nothing is there.
  private func allocate(_ block: UInt64, _ state: inout VHDState) throws(BlockError) -> UInt64? {
    let page = Int(block >> 10)
    guard state.tablePages.contains(page) || state.tablePages.count < VHDState.pageLimit else { return nil }
    let place = state.lastUsed
    let end = place + placeByteCount
    guard place / 512 < UInt64(Self.unallocated) else { throw .noSpace }
    do throws(Errno) {
      // The footer stood here: the bitmap overwrites it, and the end is written with the commit.
      try file.truncate(to: end + 512)
      state.fileByteCount = end + 512
      let bits: UInt8 = layout.hasParent ? 0 : 0xff
      try file.write([UInt8](repeating: bits, count: Int(bitmapByteCount)), at: place)
    } catch {
      // The room can be taken again; the footer must not stay lost.
      state.footerMoved = true
      hasChanges.store(true, ordering: .releasing)
      throw blockError(error)
    }
    state.lastUsed = end
    state.footerMoved = true
    dataEnd.store(end, ordering: .releasing)
    if !layout.hasParent { markWhole(block) }
    try setEntry(block, UInt32(place / 512), &state)
    return place
  }

  private func setEntry(_ block: UInt64, _ entry: UInt32, _ state: inout VHDState) throws(BlockError) {
    let (page, word) = (Int(block >> 10), Int(block & 1023) >> 1)
    if !state.tablePages.contains(page) {
      do throws(Errno) { while !table.pin(page) { _ = try self.entry(block) } } catch { throw blockError(error) }
      state.tablePages.insert(page)
    }
    hasChanges.store(true, ordering: .releasing)
    guard let old = table.word(page, word) else { throw .failed }
    let value = UInt64(entry.byteSwapped)
    let new = block & 1 == 0 ? old & ~0xffff_ffff | value : old & 0xffff_ffff | value << 32
    table.setWord(page, word, to: new)
  }
}
