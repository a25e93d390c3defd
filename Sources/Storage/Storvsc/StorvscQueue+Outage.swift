import Block
import LinuxIO
import SCSI
import Synchronization
import VMBusChannel

/// Time limits, the loss of the channel, and what happens on the next one.
extension StorvscQueue {
  /// A request was not answered in time. It ends now if the host can't touch its memory any more.
  func expire(_ index: Int) {
    for slot in 0..<slots.count where slots[slot].entry == index && slots[slot].usesRequestMemory {
      let isHostsOwn = slots[slot].state == .unknown && !disk.controller.isHostGone
      guard slots[slot].state == .sent || isHostsOwn else { continue }
      entries[index].isStalled = true
      counters.timeouts.add(1)
      notify(.stalled(disk))
      return
    }
    counters.timeouts.add(1)
    report(index, .timedOut)
    for slot in 0..<slots.count where slots[slot].entry == index {
      switch slots[slot].state {
      case .sent: slots[slot].state = .retired
      case .delayed, .unknown: dropCommand(slot)
      // Those that wait are dropped when their turn comes.
      case .waiting, .free, .retired: break
      }
    }
  }

  private func report(_ index: Int, _ error: BlockError) {
    guard !entries[index].isReported else { return }
    entries[index].isReported = true
    if entries[index].error == nil { entries[index].error = error }
    finish(tag: entries[index].request.tag, error: entries[index].error, extent: nil)
  }

  /// Stops using the channel. What was not answered stays in its slots.
  ///
  /// - Parameter isCorrupt: the host has broken the protocol, so that nothing more is taken from it.
  func loseChannel(isCorrupt: Bool = false) {
    guard let lost = channel else { return }
    channel = nil
    if lost.waitDescriptor >= 0 { readiness.remove(lost.waitDescriptor) }
    if !isCorrupt {
      // Answers that arrived are valid, and each spares a repetition.
      for _ in 0..<4096 {
        guard let packet = try? lost.receive({ HostPacket($0, $1) }) else { break }
        handle(packet)
      }
    }
    outageSince = max(1, monotonicNanoseconds())
    ringIsFull = false
    isReplaying = false
    hasUnflushed = false
    failControl()
    for slot in 0..<slots.count {
      slots[slot].isReplay = false
      switch slots[slot].state {
      case .sent, .waiting, .delayed:
        if slots[slot].state == .delayed { delayedCount -= 1 }
        if slots[slot].entry < 0 {
          if slots[slot].kind == .readCapacity { wantsCapacity = true }
          slots[slot].state = .free
        } else {
          slots[slot].state = .unknown
        }
      default: break
      }
    }
    replaysOutstanding = 0
    toSend.removeAll()
    port.state.withLock { $0.queueHasChannel = false }
    notify(.channelLost)
    setTimer(monotonicNanoseconds() + tickNanoseconds)
  }

  /// The host can't touch anything any more: ends what only waited for that.
  func channelsAreClosed() {
    for slot in 0..<slots.count where slots[slot].state == .retired { dropCommand(slot) }
    for slot in 0..<slots.count where slots[slot].state == .unknown && entries[slots[slot].entry].isStalled {
      fail(slot, .timedOut)
    }
  }

  /// The outage has lasted too long: everything fails, and so does what comes, until there is a channel again.
  func failOutage() {
    // A host that is not known to be gone may still write to the memory of requests.
    guard disk.controller.isHostGone else { return }
    isFailing = true
    channelsAreClosed()
    for slot in 0..<slots.count where slots[slot].state == .unknown { fail(slot, .gone) }
    failQueued(.gone)
    cutReady()
  }

  // MARK: Mail

  func takeMail() {
    port.hasMail.store(false, ordering: .sequentiallyConsistent)
    let (order, command) = port.state.withLock { state in
      defer {
        state.order = nil
        state.command = nil
      }
      // A channel that was handed over and taken back before this thread looked: there is nothing to lose.
      if case .detach? = state.order, channel == nil { state.queueHasChannel = false }
      return (state.order, state.command)
    }
    switch order {
    case .detach:
      loseChannel()
    case .attach(let handover):
      loseChannel()
      channelsAreClosed()
      resume(handover.channel)
    case .fail:
      loseChannel()
      outageSince = 1
      failOutage()
    case nil: break
    }
    if let command { startControl(command) }
  }

  private func startControl(_ command: ControlCommand) {
    guard channel != nil, slots[controlSlot].state == .free else { return failControl() }
    controlCommand = command
    slots[controlSlot] = CommandSlot()
    slots[controlSlot].kind = .control
    slots[controlSlot].guestAddress = command.guestAddress
    slots[controlSlot].byteCount = command.byteCount
    slots[controlSlot].state = .waiting
    toSend.append(controlSlot)
    sendWaiting()
  }

  private func failControl() {
    port.state.withLock { $0.commandFailed = true }
  }

  // MARK: Replay

  /// Goes on over a new channel: first every write that is not known to be done, those that overlap one after the other;
  /// then flushes and reads; then what is new.
  private func resume(_ new: Channel) {
    if new.waitDescriptor >= 0 {
      do throws(Errno) { try readiness.add(new.waitDescriptor, token: 0) } catch {
        // Without a way to be woken the channel is of no use.
        notify(.channelLost)
        return
      }
    }
    channel = new
    isMasked = false
    outageSince = 0
    isFailing = false
    faultsInARow = 0
    port.state.withLock { $0.queueHasChannel = true }
    reloadProfile()
    if isDiskGone {
      for slot in 0..<slots.count where slots[slot].state == .unknown { fail(slot, .gone) }
      failQueued(.gone)
    }
    for slot in 0..<slots.count where slots[slot].state == .unknown && slots[slot].isWrite {
      slots[slot].isReplay = true
      replaysOutstanding += 1
    }
    for index in 0..<entries.count where entries[index].stage != .free { entries[index].deadline = 0 }
    isReplaying = true
    continueReplay()
    if wantsCapacity { readCapacity() }
    sendWaiting()
  }

  /// Sends each unknown write that no earlier one overlaps; after the last one has ended, all the rest.
  func continueReplay() {
    guard isReplaying else { return }
    if replaysOutstanding > 0 {
      for slot in 0..<slots.count where slots[slot].isReplay && slots[slot].state == .unknown {
        let isFirst = slots.indices.allSatisfy { other in
          other == slot || !slots[other].isReplay || slots[other].state == .free
            || slots[other].sequence > slots[slot].sequence || !slots[other].overlaps(slots[slot])
        }
        if isFirst { replay(slot) }
      }
      return
    }
    isReplaying = false
    for slot in 0..<slots.count where slots[slot].state == .unknown { replay(slot) }
  }

  private func replay(_ slot: Int) {
    counters.replays.add(1)
    slots[slot].state = .waiting
    toSend.append(slot)
  }
}
