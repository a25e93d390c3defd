import Block
import ImageFormats
import LinuxIO
import Synchronization

/// Commits: changed pages go into the log, which is made durable, then to their places.
extension VHDXMap {
  func beginCommit() -> CommitStart {
    state.withLock { state in
      if state.commit != nil { return .busy }
      if hasFailed.load(ordering: .acquiring) { return .step(.done(.failed)) }
      if state.dirty.isEmpty { return .nothing }
      var commit = VHDXCommit(pages: [], leaving: state.leaving, phase: .log, byteCountAtSynchronize: 0)
      for (_, page) in state.dirty.sorted(by: { $0.key < $1.key }) {
        commit.pages.append((page, bytes(of: page)))
      }
      // The pages stay pinned until they have been applied.
      state.dirty.removeAll(keepingCapacity: true)
      state.leaving = []
      let needsData = state.needsDataFirst || !state.log.hasRoom(forPages: commit.pages.count)
      state.needsDataFirst = false
      if needsData {
        commit.phase = .data
        state.commit = commit
        return .step(synchronize(&state))
      }
      state.commit = commit
      return .step(writeEntry(&state))
    }
  }

  func continueCommit(_ failure: BlockError?) -> CommitStep {
    state.withLock { state in
      guard let commit = state.commit else { return .done(nil) }
      if failure != nil { return poison(&state) }
      state.log.didSynchronize(fileByteCount: commit.byteCountAtSynchronize)
      switch commit.phase {
      case .data:
        // The log was to become free by this; a log that is too short for any entry is refused when the image is opened.
        guard state.log.hasRoom(forPages: commit.pages.count) else { return poison(&state) }
        state.commit?.phase = .log
        return writeEntry(&state)
      case .log: return apply(commit, &state)
      }
    }
  }

  private func synchronize(_ state: inout VHDXState) -> CommitStep {
    state.commit?.byteCountAtSynchronize = state.fileByteCount
    state.log.willSynchronize()
    return .synchronize
  }

  private func writeEntry(_ state: inout VHDXState) -> CommitStep {
    guard let commit = state.commit else { return .done(nil) }
    do throws(Errno) {
      try state.log.write(
        commit.pages.map { ($0.page.offset, $0.bytes) }, to: file, lastUsed: state.lastUsed)
    } catch { return poison(&state) }
    return synchronize(&state)
  }

  /// The entry is durable, and with it the commit. The pages can be written to their places at leisure.
  private func apply(_ commit: VHDXCommit, _ state: inout VHDXState) -> CommitStep {
    do throws(Errno) {
      for (page, bytes) in commit.pages { try file.write(bytes, at: page.offset) }
    } catch { return poison(&state) }
    for (page, _) in commit.pages { unpin(page) }
    state.log.didApply()
    state.left += commit.leaving
    reclaim(&state)
    state.commit = nil
    hasChanges.store(!state.dirty.isEmpty, ordering: .releasing)
    return .done(nil)
  }

  /// Something could not be made durable: nobody can tell what is, so that nothing is written any more.
  private func poison(_ state: inout VHDXState) -> CommitStep {
    hasFailed.store(true, ordering: .releasing)
    state.commit = nil
    return .done(.failed)
  }

  private func bytes(of page: VHDXPage) -> [UInt8] {
    switch page.content {
    case .table(let number): table.bytes(number)
    case .bitmap(let number): bitmaps?.bytes(number) ?? []
    case .bytes(let bytes): bytes
    }
  }

  /// Commits at once, on this thread, everything that was changed.
  func commitNow() {
    while failure == nil {
      guard case .step(var step) = beginCommit() else { break }
      while case .synchronize = step {
        var failure: BlockError?
        do throws(Errno) { try file.synchronize() } catch { failure = blockError(error) }
        step = continueCommit(failure)
      }
    }
  }

  func close() throws(DiskImageError) {
    commitNow()
    try system("close it") { () throws(Errno) in
      try state.withLock { state throws(Errno) in
        if state.isClosed { return }
        state.isClosed = true
        guard isWriting.load(ordering: .acquiring) else { return }
        isWriting.store(false, ordering: .releasing)
        if hasFailed.load(ordering: .acquiring) { throw .EIO }
        // All queues are gone, and so is everything that was given up.
        reclaim(&state)
        try file.synchronize()
        try findLastUsed(&state)
        state.header.header.logGUID = .zero
        try state.header.write(to: file)
        if state.fileByteCount > state.lastUsed {
          try file.truncate(to: state.lastUsed)
          state.fileByteCount = state.lastUsed
        }
        try state.header.place(in: file)
        try file.synchronize()
      }
    }
  }
}
