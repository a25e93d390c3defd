import Block
import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
import VMBusChannel
import WireBytes

/// From completions to the ends of requests.
extension StorvscQueue {
  /// Judges a packet of the host. An id names exactly one live command, once.
  func handle(_ packet: HostPacket) {
    switch packet.kind {
    case .ignored: return
    case .busChanged: disk.controller.noteBusChanged()
    case .fault: countFault()
    case .completion:
      let index = Int(packet.transactionID & 0xffff_ffff) - 1
      guard index >= 0, index < slots.count, let request = packet.request,
        slots[index].generation == UInt32(packet.transactionID >> 32),
        slots[index].state == .sent || slots[index].state == .retired
      else {
        countFault()
        return
      }
      faultsInARow = 0
      if slots[index].state == .retired {
        dropCommand(index)
      } else if slots[index].kind == .control {
        slots[index].state = .free
        let reply = ControlReply(status: packet.status, request: request)
        port.state.withLock { $0.reply = reply }
      } else {
        // The slot is retired before anything else is done, so that a second completion finds nothing.
        slots[index].state = .waiting
        judge(index, packet.status, request)
      }
    }
  }

  private func countFault() {
    counters.protocolFaults.add(1)
    faultsInARow += 1
    if faultsInARow >= 3 { loseChannel(isCorrupt: true) }
  }

  private func judge(_ slot: Int, _ status: NTStatus, _ request: SCSIRequest) {
    switch CompletionVerdict(status, request, expectedByteCount: expectedByteCount(of: slot)) {
    case .done:
      commandLimit = min(commandLimit + 1, slots.count - Self.extraSlots)
      endStep(slot, movedByteCount: Int(request.dataTransferByteCount))
    case .wrongLength:
      if slots[slot].wrongLengths > 0 { return fail(slot, .failed) }
      slots[slot].wrongLengths += 1
      resend(slot)
    case .gone:
      fail(slot, .gone)
      diskIsGone()
    case .busy:
      commandLimit = max(1, min(commandLimit, commandCount) / 2)
      slots[slot].backoff = slots[slot].backoff == 0 ? 10_000_000 : min(slots[slot].backoff * 2, 1_000_000_000)
      wait(slot, slots[slot].backoff)
    case .becomingReady: wait(slot, 1_000_000_000)
    case .again: retry(slot, \.attempts, limit: 5)
    case .hardware: retry(slot, \.hardwareErrors, limit: 2)
    case .unitAttention(let sense):
      if sense == .capacityChanged {
        readCapacity()
      } else {
        notify(.unitAttention(disk, sense))
      }
      retry(slot, \.attentions, limit: 16)
    case .medium:
      let isRead = slots[slot].kind == .read || slots[slot].kind == .modifyRead
      guard isRead, slots[slot].step == 0, slots[slot].blocks > 1 else { return fail(slot, .medium) }
      slots[slot].step = 1
      resend(slot)
    case .unsupported: fallBack(slot)
    case .outOfRange:
      if slots[slot].kind != .readCapacity { readCapacity() }
      fail(slot, .outOfRange)
    case .readOnly:
      if !geometry.isReadOnly {
        disk.change { $0.isReadOnly = true }
        notify(.becameReadOnly(disk))
      }
      fail(slot, .readOnly)
    case .failed(let error): fail(slot, error)
    }
  }

  private func retry(_ slot: Int, _ count: WritableKeyPath<CommandSlot, UInt8>, limit: UInt8) {
    if slots[slot][keyPath: count] >= limit { return fail(slot, .failed) }
    slots[slot][keyPath: count] += 1
    resend(slot)
  }

  private func wait(_ slot: Int, _ nanoseconds: UInt64) {
    let now = monotonicNanoseconds()
    if slots[slot].blockedSince == 0 { slots[slot].blockedSince = now }
    if now - slots[slot].blockedSince >= UInt64(options.busyMilliseconds) * 1_000_000 { return fail(slot, .timedOut) }
    delay(slot, until: now + nanoseconds)
  }

  /// The disk does not know an optional command: it is not used again, and another way is taken if there is one.
  private func fallBack(_ slot: Int) {
    switch slots[slot].kind {
    case .unmap:
      disk.change { $0.usesUnmap = false }
      fail(slot, .notSupported)
    case .writeSame:
      disk.change { $0.usesWriteSame = false }
      slots[slot].kind = .write
      slots[slot].step = UInt32(
        min(options.bounceByteCount, geometry.maximumTransferByteCount) / geometry.sectorByteCount)
      resend(slot)
    case .lbaStatus:
      disk.change { $0.usesLBAStatus = false }
      entries[slots[slot].entry].extent = wholeExtent(entries[slots[slot].entry].request)
      dropCommand(slot)
    case .flush where !geometry.hasWriteCache: dropCommand(slot)
    case .write, .modifyWrite:
      guard slots[slot].isForced else { return fail(slot, .failed) }
      disk.change { $0.usesForceUnitAccess = false }
      slots[slot].isForced = false
      entries[slots[slot].entry].needsFlush = true
      resend(slot)
    case .flush: fail(slot, .notSupported)
    default: fail(slot, .failed)
    }
  }

  // MARK: Ends

  /// What was sent last is done.
  private func endStep(_ slot: Int, movedByteCount: Int) {
    let command = slots[slot]
    if command.kind == .readCapacity {
      takeCapacity(slot, byteCount: movedByteCount)
      return
    }
    let isDead = entries[command.entry].isReported
    if command.step > 0, !isDead {
      slots[slot].stepsDone += min(command.step, command.blocks - command.stepsDone)
      if slots[slot].stepsDone < command.blocks {
        slots[slot].state = .waiting
        toSend.append(slot)
        return
      }
    }
    if !isDead {
      switch command.kind {
      case .read:
        if command.buffer != .direct, let list = entries[command.entry].request.memory {
          list.copy(from: buffer(of: slot).slice(at: command.skip, count: command.wanted), to: command.memoryOffset)
        }
      case .modifyRead:
        let part = buffer(of: slot).slice(at: command.skip, count: command.wanted)
        if command.isZero {
          part.fill(0)
        } else {
          entries[command.entry].request.memory?.copy(from: command.memoryOffset, to: part)
        }
        slots[slot].kind = .modifyWrite
        slots[slot].step = 0
        slots[slot].stepsDone = 0
        slots[slot].state = .waiting
        toSend.append(slot)
        return
      case .lbaStatus: takeExtent(slot, byteCount: movedByteCount)
      default: break
      }
    }
    dropCommand(slot)
  }

  private func buffer(of slot: Int) -> MemorySlice {
    if case .bounce(let index) = slots[slot].buffer { return bounce(index) }
    return page(of: slot)
  }

  func fail(_ slot: Int, _ error: BlockError) {
    if slots[slot].entry >= 0, entries[slots[slot].entry].error == nil { entries[slots[slot].entry].error = error }
    dropCommand(slot)
  }

  /// Frees a slot that the host has done with; ends its request with the last one.
  func dropCommand(_ slot: Int) {
    let command = slots[slot]
    if command.state == .delayed { delayedCount -= 1 }
    slots[slot].state = .free
    slots[slot].isReplay = false
    if command.isReplay { replaysOutstanding -= 1 }
    guard command.entry >= 0 else { return }
    slots[slot].entry = -1
    if case .bounce(let index) = command.buffer { freeBounces.append(index) }
    freeSlots.append(slot)
    commandCount -= 1
    entries[command.entry].outstanding -= 1
    if entries[command.entry].outstanding == 0, entries[command.entry].stage == .active { endEntry(command.entry) }
    if command.isReplay { continueReplay() }
  }

  func endEntry(_ index: Int) {
    if entries[index].countsAsWrite {
      entries[index].countsAsWrite = false
      endWrite()
    }
    if entries[index].ownsGate {
      entries[index].ownsGate = false
      gate.open()
    }
    let entry = entries[index]
    if entry.needsFlush, entry.error == nil, !entry.isReported {
      entries[index].needsFlush = false
      entries[index].request.operation = .flush
      entries[index].isCut = false
      entries[index].stage = .ready
      ready.append(index)
      return
    }
    if !entry.isReported { finish(tag: entry.request.tag, error: entry.error, extent: entry.extent) }
    entries[index].stage = .free
    freeEntries.append(index)
  }

  private func diskIsGone() {
    isDiskGone = true
    if disk.setGone(true) { notify(.diskGone(disk)) }
    failQueued(.gone)
  }

  /// Fails the requests of which no command was made yet.
  func failQueued(_ error: BlockError) {
    // Those that were begun end with their commands, those in `ready` when their turn comes.
    for index in 0..<entries.count where entries[index].stage != .free && entries[index].stage != .active {
      if entries[index].error == nil { entries[index].error = error }
    }
    while !deferred.isEmpty { endEntry(deferred.removeFirst()) }
    while !gated.isEmpty { endEntry(gated.removeFirst()) }
  }

  // MARK: Commands with an answer

  private func takeExtent(_ slot: Int, byteCount: Int) {
    let request = entries[slots[slot].entry].request
    var extent = wholeExtent(request)
    if byteCount >= 24 {
      page(of: slot).slice(at: 0, count: 24).read { bytes in
        let sector = UInt64(geometry.sectorByteCount)
        let lba = bytes.be64(at: 8)
        let blocks = UInt64(bytes.be32(at: 16))
        let first = request.offset / sector
        // Only a run that covers the sector asked for says anything.
        guard lba <= first, first - lba < blocks else { return }
        let (end, overflow) = (lba &+ blocks).multipliedReportingOverflow(by: sector)
        guard !overflow, lba &+ blocks > lba else { return }
        let limit = request.offset + extent.byteCount
        extent.byteCount = min(end, limit) - request.offset
        extent.isAllocated = !(bytes.byte(at: 20) & 0x0f == 1 && geometry.unmappedReadsZero)
      }
    }
    entries[slots[slot].entry].extent = extent
  }

  /// Asks for the capacity anew; the answer changes the disk's `info`.
  func readCapacity() {
    wantsCapacity = true
    guard slots[ownSlot].state == .free, channel != nil else { return }
    wantsCapacity = false
    slots[ownSlot] = CommandSlot()
    slots[ownSlot].kind = .readCapacity
    slots[ownSlot].buffer = .page
    slots[ownSlot].guestAddress = memoryAddress + UInt64(ownSlot * pageByteCount)
    slots[ownSlot].byteCount = Capacity.byteCount16
    slots[ownSlot].state = .waiting
    toSend.append(ownSlot)
  }

  private func takeCapacity(_ slot: Int, byteCount: Int) {
    var found: Capacity?
    page(of: slot).slice(at: 0, count: Capacity.byteCount16).read { bytes in
      found = byteCount >= 12 ? try? Capacity(parsing16: bytes) : nil
    }
    slots[slot].state = .free
    if let found, Int(found.blockByteCount) == geometry.sectorByteCount,
      UInt64(found.byteCount) != disk.geometry.byteCount
    {
      disk.change { $0.byteCount = UInt64(found.byteCount) }
      reloadProfile()
      notify(.capacityChanged(disk))
    }
    if wantsCapacity { readCapacity() }
  }
}

extension MemorySlice {
  /// Calls `body` with a private copy of the bytes.
  func read<R>(_ body: (RawSpan) -> R) -> R {
    body(bytes().rawSpan)
  }
}
