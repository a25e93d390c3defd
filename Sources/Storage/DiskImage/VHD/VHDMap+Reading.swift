import Block
import ImageFormats
import LinuxIO

/// Where bytes are read.
extension VHDMap {
  func locate(_ offset: UInt64, _ byteCount: UInt64) -> BlockRun {
    let block = offset >> blockShift
    let inside = offset & (header.blockByteCount - 1)
    let count = min(byteCount, header.blockByteCount - inside)
    do throws(BlockError) {
      guard let place = try place(block) else { return absent(count) }
      let data = place + bitmapByteCount + inside
      var isWhole = isWhole(block)
      if !isWhole { isWhole = try learnWhole(block) }
      if isWhole { return .data(fileOffset: data, byteCount: count) }
      let (isPresent, run) = try bitmapRun(offset, count)
      return isPresent ? .data(fileOffset: data, byteCount: run) : absent(run)
    } catch {
      return .failed(error)
    }
  }

  private func absent(_ byteCount: UInt64) -> BlockRun {
    layout.hasParent ? .parent(byteCount: byteCount) : .zero(byteCount: byteCount)
  }

  /// Whether all bits of a block of a dynamic image are set, which is what its writers do; looked at once.
  private func learnWhole(_ block: UInt64) throws(BlockError) -> Bool {
    if layout.hasParent { return false }
    let start = block << blockShift
    let count = min(header.blockByteCount, layout.byteCount - start)
    let (isPresent, run) = try bitmapRun(start, count)
    guard isPresent, run == count else { return false }
    markWhole(block)
    return true
  }

  /// The bit of the sector at `offset`, counted as if all bitmaps stood one behind the other.
  func bit(_ offset: UInt64) -> UInt64 {
    (offset >> blockShift) * bitmapByteCount * 8 + (offset & (header.blockByteCount - 1)) / 512
  }

  /// Whether the sector at `offset` is present, and for how many bytes it stays so; the range lies in one block.
  func bitmapRun(_ offset: UInt64, _ byteCount: UInt64) throws(BlockError) -> (isPresent: Bool, byteCount: UInt64) {
    let start = bit(offset)
    let end = start + byteCount / 512
    var position = start
    let isPresent = try bitmapWord(start) >> (start & 63) & 1 != 0
    while position < end {
      let shift = position & 63
      let word = try bitmapWord(position)
      // Ones where the state is another one.
      let change = (isPresent ? ~word : word) >> shift
      let same = UInt64(min(change.trailingZeroBitCount, Int(64 - shift)))
      position += same
      if same < 64 - shift { break }
    }
    return (isPresent, (min(position, end) - start) * 512)
  }

  /// The 64 bits of the bitmaps among which a bit is.
  func bitmapWord(_ bit: UInt64) throws(BlockError) -> UInt64 {
    let (page, word) = (Int(bit >> 15), Int(bit & 0x7fff) >> 6)
    while true {
      if let value = bitmaps.word(page, word) { return value }
      do throws(Errno) {
        try bitmaps.load(page) { (first, count) throws(Errno) in
          var bytes: [UInt8] = []
          for page in first..<(first + count) { bytes += try readBitmapPage(page) }
          return bytes
        }
      } catch { throw blockError(error) }
    }
  }

  /// A page of the bitmaps; those of blocks without a place are zeros.
  private func readBitmapPage(_ page: Int) throws(Errno) -> [UInt8] {
    let part = min(4096, bitmapByteCount)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4096)
    for start in stride(from: UInt64(page) * 4096, to: UInt64(page + 1) * 4096, by: Int(part)) {
      let block = start / bitmapByteCount
      let entry = block < blockCount ? try entry(block) : Self.unallocated
      if entry == Self.unallocated || objection(entry, block: block) != nil {
        bytes += [UInt8](repeating: 0, count: Int(part))
      } else {
        let place = UInt64(entry) * 512 + start % bitmapByteCount
        bytes += try file.read(at: place, count: Int(part))
      }
    }
    return Self.reversingBits(bytes)
  }

  /// The format counts the bits of a byte from the highest, words from the lowest.
  static func reversingBits(_ bytes: [UInt8]) -> [UInt8] { bytes.map { reversed[Int($0)] } }

  private static let reversed: [UInt8] = (0..<256).map { value in
    var bits: UInt8 = 0
    for bit in 0..<8 where value >> bit & 1 != 0 { bits |= 0x80 >> UInt8(bit) }
    return bits
  }
}
