import Block
import LinuxIO
import URing

/// Flushes: a commit of the map where metadata have changed, otherwise a synchronization of the file.
extension MappedQueue {
  /// Makes everything durable that has completed so far, then ends the request.
  func startFlush(_ tag: UInt32) {
    if isReadOnly { return finish(tag) }
    if let failure = map.failure { return finish(tag, failure) }
    if map.needsCommit {
      flushes.append(tag)
      startCommit()
    } else {
      synchronize(for: tag)
    }
  }

  /// Synchronizes the file, together with other flushes that were not sent yet.
  private func synchronize(for tag: UInt32) {
    if let index = openSynchronization {
      pieces[index].waiters.append(tag)
      return
    }
    guard let index = freePieces.popLast() else { return park(tag, after: image.wakeEvents) }
    let piece = pieces[index]
    piece.work = .synchronize
    piece.layer = 0
    piece.waiters.append(tag)
    if ring != nil { openSynchronization = index }
    enter(index)
  }

  func synchronized(_ index: Int, _ error: BlockError?) {
    if openSynchronization == index { openSynchronization = nil }
    if error != nil { map.markFailed() }
    let piece = pieces[index]
    for tag in piece.waiters { finish(tag, error) }
    piece.waiters.removeAll(keepingCapacity: true)
    freePieces.append(index)
    if !parked.isEmpty { mayRetry = true }
  }

  /// Begins a commit, unless one is under way.
  func startCommit() {
    if isCommitting { return }
    let events = image.wakeEvents
    switch map.beginCommit() {
    case .nothing:
      let waiting = flushes
      flushes.removeAll(keepingCapacity: true)
      for tag in waiting { synchronize(for: tag) }
    case .busy: waitForWake(after: events)
    case .step(let step):
      isCommitting = true
      swap(&covered, &flushes)
      run(step)
    }
  }

  private func run(_ first: CommitStep) {
    var step = first
    while case .synchronize = step {
      let file = image.layers[0].file
      if let observer = file.observer, let error = observer.willChange(.synchronizeBegin) {
        step = map.continueCommit(blockError(error))
        continue
      }
      if let ring, (try? ring.prepareSync(file: files[0], userData: Self.commitUserData)) != nil {
        hasUnsent = true
        return
      }
      step = map.continueCommit(synchronizeAtOnce())
    }
    guard case .done(let error) = step else { return }
    isCommitting = false
    let ended = covered
    covered.removeAll(keepingCapacity: true)
    for tag in ended { finish(tag, error) }
    mayRetry = true
    image.wakeParked()
    // Flushes that came later: what they want is perhaps durable by now but for the data.
    let later = flushes
    flushes.removeAll(keepingCapacity: true)
    for tag in later { startFlush(tag) }
  }

  private func synchronizeAtOnce() -> BlockError? {
    let file = image.layers[0].file
    do throws(Errno) {
      try file.withDescriptor { file throws(Errno) in try file.synchronizeData() }
      if let observer = file.observer, let error = observer.willChange(.synchronizeEnd) { throw error }
      return nil
    } catch { return blockError(error) }
  }

  /// The ring has synchronized the file for the commit.
  func commitSynchronized(_ result: Int32) {
    var error = result < 0 ? blockError(Errno(rawValue: -result)) : nil
    if error == nil, let observer = image.layers[0].file.observer, let errno = observer.willChange(.synchronizeEnd) {
      error = blockError(errno)
    }
    run(map.continueCommit(error))
  }
}
