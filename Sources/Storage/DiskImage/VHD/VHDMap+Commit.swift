import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Commits: the data become durable, and the footer behind them; then table and bits are written, and become durable.
extension VHDMap {
  func beginCommit() -> CommitStart {
    state.withLock { state in
      if state.commit != nil { return .busy }
      if hasFailed.load(ordering: .acquiring) { return .step(.done(.failed)) }
      if state.tablePages.isEmpty, state.bitmapUnits.isEmpty, !state.footerMoved { return .nothing }
      if state.footerMoved {
        do throws(Errno) { try placeFooter(&state) } catch { return .step(poison(&state)) }
      }
      // The pages stay pinned until they have been written.
      state.commit = VHDCommit(
        tablePages: state.tablePages.sorted().map { ($0, table.bytes($0)) },
        bitmapUnits: state.bitmapUnits.sorted().map { unit in
          (unit, Array(bitmaps.bytes(unit >> 3)[((unit & 7) * 512)..<((unit & 7) * 512 + 512)]))
        })
      state.tablePages.removeAll(keepingCapacity: true)
      state.bitmapUnits.removeAll(keepingCapacity: true)
      return .step(.synchronize)
    }
  }

  private func placeFooter(_ state: inout VHDState) throws(Errno) {
    if state.fileByteCount != state.lastUsed + 512 {
      try file.truncate(to: state.lastUsed + 512)
      state.fileByteCount = state.lastUsed + 512
    }
    try file.write(footerBytes, at: state.lastUsed)
    state.footerMoved = false
  }

  func continueCommit(_ failure: BlockError?) -> CommitStep {
    state.withLock { state in
      guard let commit = state.commit else { return .done(nil) }
      if failure != nil { return poison(&state) }
      if !commit.isWritingTables {
        do throws(Errno) { try write(commit) } catch { return poison(&state) }
        state.commit?.isWritingTables = true
        return .synchronize
      }
      for (page, _) in commit.tablePages { table.unpin(page) }
      for (unit, _) in commit.bitmapUnits { bitmaps.unpin(unit >> 3) }
      state.commit = nil
      let isClean = state.tablePages.isEmpty && state.bitmapUnits.isEmpty && !state.footerMoved
      hasChanges.store(!isClean, ordering: .releasing)
      return .done(nil)
    }
  }

  private func write(_ commit: VHDCommit) throws(Errno) {
    for (page, bytes) in commit.tablePages {
      let start = UInt64(page) * 4096
      let count = min(4096, header.tableByteCount - start)
      try file.write(Array(bytes.prefix(Int(count))), at: header.tableOffset + start)
    }
    for (unit, bytes) in commit.bitmapUnits {
      let start = UInt64(unit) * 512
      let entry = try entry(start / bitmapByteCount)
      try file.write(
        Self.reversingBits(bytes), at: UInt64(entry) * 512 + start % bitmapByteCount)
    }
  }

  /// Something could not be made durable: nobody can tell what is, so that nothing is written any more.
  private func poison(_ state: inout VHDState) -> CommitStep {
    hasFailed.store(true, ordering: .releasing)
    state.commit = nil
    return .done(.failed)
  }

  func close() throws(DiskImageError) {
    if layout.isReadOnly || !isWriting.load(ordering: .acquiring) { return }
    while failure == nil {
      guard case .step(var step) = beginCommit() else { break }
      while case .synchronize = step {
        var failure: BlockError?
        do throws(Errno) { try file.synchronize() } catch { failure = blockError(error) }
        step = continueCommit(failure)
      }
    }
    try system("close it") { () throws(Errno) in
      if failure != nil { throw .EIO }
      let wasClosed = state.withLock { state in
        defer { state.isClosed = true }
        return state.isClosed
      }
      if !wasClosed { try file.synchronize() }
      isWriting.store(false, ordering: .releasing)
    }
  }
}
