import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Bits of the bitmaps: they are set after the data that they speak of. A unit is a sector of a bitmap.
extension VHDMap {
  /// The units with the bits of a range that lies in one block.
  func units(_ offset: UInt64, _ byteCount: UInt64) -> ClosedRange<Int> {
    let first = bit(offset)
    return Int(first >> 12)...Int((first + byteCount / 512 - 1) >> 12)
  }

  /// Keeps the page of a unit in memory.
  func pin(_ unit: Int) throws(BlockError) {
    while !bitmaps.pin(unit >> 3) { _ = try bitmapWord(UInt64(unit) << 12) }
  }

  func endWrite(_ offset: UInt64, _ byteCount: UInt64, succeeded: Bool) {
    state.withLock { state in
      let units = units(offset, byteCount)
      do throws(BlockError) {
        if succeeded {
          for unit in units { try setBits(offset, byteCount, unit, &state) }
          try learnWhole(offset >> blockShift, after: byteCount)
        }
      } catch {
        // The pages were in memory, so that this is not reached; nothing may be believed any more if it is.
        hasFailed.store(true, ordering: .releasing)
      }
      for unit in units {
        guard let count = state.reservedUnits[unit] else { continue }
        state.reservedUnits[unit] = count == 1 ? nil : count - 1
        bitmaps.unpin(unit >> 3)
      }
    }
  }

  private func setBits(
    _ offset: UInt64, _ byteCount: UInt64, _ unit: Int, _ state: inout VHDState
  ) throws(BlockError) {
    let first = max(bit(offset), UInt64(unit) << 12)
    let end = min(bit(offset) + byteCount / 512, UInt64(unit + 1) << 12)
    if !state.bitmapUnits.contains(unit) {
      try pin(unit)
      state.bitmapUnits.insert(unit)
      hasChanges.store(true, ordering: .releasing)
    }
    var position = first
    while position < end {
      let (page, word) = (Int(position >> 15), Int(position & 0x7fff) >> 6)
      let low = position & 63
      let count = min(64 - low, end - position)
      guard let old = bitmaps.word(page, word) else { throw .failed }
      let ones = count == 64 ? UInt64.max : (1 << count) - 1
      bitmaps.setWord(page, word, to: old | ones << low)
      position += count
    }
  }

  /// A block of which every sector is there needs no look at its bits any more.
  private func learnWhole(_ block: UInt64, after byteCount: UInt64) throws(BlockError) {
    let start = block << blockShift
    let count = min(header.blockByteCount, layout.byteCount - start)
    let (isPresent, run) = try bitmapRun(start, count)
    if isPresent, run == count { markWhole(block) }
  }
}
