import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Where bytes are read.
extension VHDXMap {
  func locate(_ offset: UInt64, _ byteCount: UInt64) -> BlockRun {
    let block = offset >> geometry.blockShift
    let inside = offset & (geometry.blockByteCount - 1)
    let count = min(byteCount, geometry.blockByteCount - inside)
    do throws(BlockError) {
      let entry = try blockEntry(block)
      switch entry.state {
      case .fullyPresent: return stored(entry.offset + inside, count)
      case .partiallyPresent:
        let (isPresent, run) = try bitmapRun(offset, count)
        return isPresent ? stored(entry.offset + inside, run) : .parent(byteCount: run)
      case .notPresent: return geometry.hasParent ? .parent(byteCount: count) : .zero(byteCount: count)
      default: return .zero(byteCount: count)
      }
    } catch {
      return .failed(error)
    }
  }

  /// Bytes of the file; those that a log promises behind its end are zeros.
  private func stored(_ fileOffset: UInt64, _ byteCount: UInt64) -> BlockRun {
    if fileOffset >= storedEnd { return .zero(byteCount: byteCount) }
    return .data(fileOffset: fileOffset, byteCount: min(byteCount, storedEnd - fileOffset))
  }

  /// The page of the bitmaps in which the bit of a byte of the disk stands, and which bit it is.
  func bitmapPlace(_ offset: UInt64) -> (page: Int, bit: Int) {
    let sector = offset / geometry.sectorByteCount
    return (Int(sector >> 15), Int(sector & 0x7fff))
  }

  /// Whether the sector at `offset` is present, and for how many bytes it stays so.
  func bitmapRun(_ offset: UInt64, _ byteCount: UInt64) throws(BlockError) -> (isPresent: Bool, byteCount: UInt64) {
    var sector = offset / geometry.sectorByteCount
    let end = (offset + byteCount) / geometry.sectorByteCount
    let start = sector
    let isPresent = try bitmapWord(sector) >> (sector & 63) & 1 != 0
    while sector < end {
      let shift = sector & 63
      let word = try bitmapWord(sector)
      // Ones where the state is another one.
      let change = (isPresent ? ~word : word) >> shift
      let same = UInt64(min(change.trailingZeroBitCount, Int(64 - shift)))
      sector += same
      if same < 64 - shift { break }
    }
    return (isPresent, (min(sector, end) - start) * geometry.sectorByteCount)
  }

  /// The 64 bits of the bitmaps among which that of a sector is.
  func bitmapWord(_ sector: UInt64) throws(BlockError) -> UInt64 {
    guard let bitmaps else { return 0 }
    let (page, word) = (Int(sector >> 15), Int(sector & 0x7fff) >> 6)
    while true {
      if let value = bitmaps.word(page, word) { return value }
      do throws(Errno) {
        let place = try bitmapOffset(page)
        try bitmaps.load(page) { (first, count) throws(Errno) in
          try source.read(at: place - UInt64(page - first) * 4096, count: count * 4096)
        }
      } catch { throw blockError(error) }
    }
  }

  /// Where a page of the bitmaps stands in the file; ENODATA when its chunk has none.
  func bitmapOffset(_ page: Int) throws(Errno) -> UInt64 {
    let chunk = UInt64(page / Self.bitmapPageCount)
    let entry = try entry(geometry.entryIndex(ofBitmap: chunk))
    guard entry.state == .fullyPresent, objection(entry, role: .bitmap(chunk: chunk)) == nil else { throw .ENODATA }
    return entry.offset + UInt64(page % Self.bitmapPageCount) * 4096
  }
}
