import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Bits of the sector bitmaps: they are set after the data that they speak of.
extension VHDXMap {
  /// The pages of the bitmaps that tell of a range of the disk.
  private func bitmapPages(_ offset: UInt64, _ byteCount: UInt64) throws(BlockError) -> [VHDXPage] {
    let first = bitmapPlace(offset).page
    let last = bitmapPlace(offset + byteCount - 1).page
    var pages: [VHDXPage] = []
    for page in first...last {
      do throws(Errno) {
        pages.append(VHDXPage(offset: try bitmapOffset(page), content: .bitmap(page)))
      } catch { throw blockError(error) }
    }
    return pages
  }

  /// Makes sure that the bits of a range can be set when the write ends; false: only after a commit.
  func reserve(_ offset: UInt64, _ byteCount: UInt64, _ state: inout VHDXState) throws(BlockError) -> Bool {
    let pages = try bitmapPages(offset, byteCount)
    guard state.hasRoom(for: pages) else { return false }
    for page in pages {
      if state.reserved[page.offset] == nil {
        try pin(page)
        state.reserved[page.offset] = VHDXReservation(page: page, count: 0)
      }
      state.reserved[page.offset]?.count += 1
    }
    return true
  }

  func endWrite(_ offset: UInt64, _ byteCount: UInt64, succeeded: Bool) {
    state.withLock { state in
      do throws(BlockError) {
        let block = offset >> geometry.blockShift
        let pages = try bitmapPages(offset, byteCount)
        // The block may have been given up or become whole meanwhile.
        if succeeded, try blockEntry(block).state == .partiallyPresent {
          for page in pages { try setBits(offset, byteCount, page, &state) }
          try completeBlock(block, &state)
        }
        for page in pages {
          guard var reservation = state.reserved[page.offset] else { continue }
          reservation.count -= 1
          if reservation.count == 0 {
            unpin(page)
            state.reserved[page.offset] = nil
          } else {
            state.reserved[page.offset] = reservation
          }
        }
      } catch {
        // The pages were in memory, so that this is not reached; nothing may be believed any more if it is.
        hasFailed.store(true, ordering: .releasing)
      }
    }
  }

  /// Sets the bits of a range that stand on one page.
  private func setBits(
    _ offset: UInt64, _ byteCount: UInt64, _ page: VHDXPage, _ state: inout VHDXState
  ) throws(BlockError) {
    guard let bitmaps, case .bitmap(let number) = page.content else { return }
    let range = bits(offset, byteCount, on: number)
    if range.isEmpty { return }
    try makeDirty(page, &state)
    state.needsDataFirst = true
    for word in (range.lowerBound >> 6)...((range.upperBound - 1) >> 6) {
      guard let old = bitmaps.word(number, word) else { throw .failed }
      bitmaps.setWord(number, word, to: old | mask(range, word))
    }
  }

  /// The bits of page `number` that tell of a range of the disk.
  private func bits(_ offset: UInt64, _ byteCount: UInt64, on number: Int) -> Range<Int> {
    let base = UInt64(number) << 15
    let first = max(offset / geometry.sectorByteCount, base)
    let end = min((offset + byteCount) / geometry.sectorByteCount, base + 0x8000)
    return first < end ? Int(first - base)..<Int(end - base) : 0..<0
  }

  private func mask(_ range: Range<Int>, _ word: Int) -> UInt64 {
    let low = max(range.lowerBound, word << 6) - word << 6
    let high = min(range.upperBound, (word + 1) << 6) - word << 6
    let ones = high - low == 64 ? UInt64.max : (1 << UInt64(high - low)) - 1
    return ones << UInt64(low)
  }

  /// A block of which every sector is present needs no bitmap any more.
  private func completeBlock(_ block: UInt64, _ state: inout VHDXState) throws(BlockError) {
    let start = block << geometry.blockShift
    let (isPresent, run) = try bitmapRun(start, geometry.blockByteCount)
    let index = geometry.entryIndex(ofBlock: block)
    guard isPresent, run == geometry.blockByteCount, state.hasRoom(for: [tablePage(index)]) else { return }
    let entry = try tableEntry(index)
    try setEntry(index, VHDXBlockEntry(.fullyPresent, offset: entry.offset), &state)
  }

  /// Pages on which bits of a block are set that is not present.
  func stalePages(_ block: UInt64) throws(BlockError) -> [VHDXPage] {
    let start = block << geometry.blockShift
    var pages: [VHDXPage] = []
    for page in try bitmapPages(start, geometry.blockByteCount) {
      guard case .bitmap(let number) = page.content else { continue }
      let range = bits(start, geometry.blockByteCount, on: number)
      for word in (range.lowerBound >> 6)...((range.upperBound - 1) >> 6) {
        if try bitmapWord(UInt64(number) << 15 + UInt64(word) << 6) & mask(range, word) != 0 {
          pages.append(page)
          break
        }
      }
    }
    return pages
  }

  /// Clears the bits of a block on one page.
  func clearBits(of block: UInt64, _ page: VHDXPage, _ state: inout VHDXState) throws(BlockError) {
    guard let bitmaps, case .bitmap(let number) = page.content else { return }
    try makeDirty(page, &state)
    let range = bits(block << geometry.blockShift, geometry.blockByteCount, on: number)
    for word in (range.lowerBound >> 6)...((range.upperBound - 1) >> 6) {
      guard let old = bitmaps.word(number, word) else { throw .failed }
      bitmaps.setWord(number, word, to: old & ~mask(range, word))
    }
  }
}
