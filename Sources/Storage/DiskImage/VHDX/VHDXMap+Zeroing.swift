import Block
import ImageFormats
import LinuxIO
import Synchronization

/// How ranges are made to read as zeros.
extension VHDXMap {
  func locateZero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) -> ZeroRun {
    if let refusal = refusalToWrite() { return .failed(refusal) }
    let block = offset >> geometry.blockShift
    let inside = offset & (geometry.blockByteCount - 1)
    let count = min(byteCount, geometry.blockByteCount - inside)
    // The last block is whole when the disk ends inside it.
    let isWhole =
      inside == 0 && (count == geometry.blockByteCount || offset + count == geometry.diskByteCount)
    do throws(BlockError) {
      switch try blockEntry(block).state {
      case .undefined, .zero, .unmapped: return .done(byteCount: count)
      case .notPresent where !geometry.hasParent: return .done(byteCount: count)
      default: break
      }
      if isWhole, !keepsBlocks { return try zeroBlock(block, count) }
      switch locateWrite(offset, count) {
      case .data(let fileOffset, let count, let isRecorded):
        return .data(fileOffset: fileOffset, byteCount: count, isRecorded: isRecorded)
      case .afterCommit: return .afterCommit
      case .failed(let error): return .failed(error)
      }
    } catch {
      return .failed(error)
    }
  }

  /// A whole block becomes zeros by its entry alone, and gives its place up with the next commit.
  private func zeroBlock(_ block: UInt64, _ byteCount: UInt64) throws(BlockError) -> ZeroRun {
    try state.withLock { (state) throws(BlockError) in
      let index = geometry.entryIndex(ofBlock: block)
      let entry = try blockEntry(block)
      guard state.hasRoom(for: [tablePage(index)]) else { return .afterCommit }
      try setEntry(index, VHDXBlockEntry(.zero), &state)
      if entry.state == .fullyPresent || entry.state == .partiallyPresent {
        state.leaving.append((entry.offset, epochs.end()))
      }
      return .done(byteCount: byteCount)
    }
  }
}
