import Block
import ImageFormats

/// How ranges are made to read as zeros. The format can't give a block up: its storage becomes a hole in the file.
extension VHDMap {
  func locateZero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) -> ZeroRun {
    if let refusal = refusalToWrite() { return .failed(refusal) }
    let block = offset >> blockShift
    let inside = offset & (header.blockByteCount - 1)
    var count = min(byteCount, header.blockByteCount - inside, Self.longestRecordedByteCount)
    do throws(BlockError) {
      if !layout.hasParent {
        guard try place(block) != nil else { return .done(byteCount: count) }
        if !isWhole(block) {
          // Sectors that were never written are zeros already.
          let (isPresent, run) = try bitmapRun(offset, count)
          if !isPresent { return .done(byteCount: run) }
          count = run
        }
      }
    } catch {
      return .failed(error)
    }
    switch locateWrite(offset, count) {
    case .data(let fileOffset, let count, let isRecorded):
      return .data(fileOffset: fileOffset, byteCount: count, isRecorded: isRecorded)
    case .afterCommit: return .afterCommit
    case .failed(let error): return .failed(error)
    }
  }
}
