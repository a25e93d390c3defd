import Block
import LinuxIO
import SCSI
import SharedMemory
import Synchronization
import VMBusChannel
import WireBytes

/// From requests to SCSI commands.
extension StorvscQueue {
  /// Puts a request where it belongs: to be cut now, or to wait for the gate.
  func admit(_ index: Int) {
    let request = entries[index].request
    let isModifying = request.operation == .write || request.operation == .writeZeroes || request.operation == .discard
    guard isModifying, request.byteCount > 0 else {
      entries[index].stage = .ready
      ready.append(index)
      return
    }
    let sector = UInt64(geometry.sectorByteCount)
    if request.operation != .discard, request.offset % sector != 0 || request.byteCount % sector != 0 {
      entries[index].stage = .gated
      gated.append(index)
      advanceGate()
    } else if beginWrite() {
      entries[index].countsAsWrite = true
      entries[index].stage = .ready
      ready.append(index)
    } else {
      entries[index].stage = .deferred
      deferred.append(index)
    }
  }

  /// Counts a write as in flight, unless the gate is taken. While the count is above zero the gate's owner can't begin,
  /// so that only the first write needs the fence.
  private func beginWrite() -> Bool {
    if writesInFlight > 0 {
      if gate.isTaken { return deferWrite() }
    } else {
      member.writes.store(1, ordering: .sequentiallyConsistent)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      if gate.isTaken {
        member.writes.store(0, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        gate.wakeOwner()
        return deferWrite()
      }
    }
    writesInFlight += 1
    member.writes.store(UInt32(writesInFlight), ordering: .releasing)
    return true
  }

  private func deferWrite() -> Bool {
    if !gate.waitForOpening(port.index) { port.wake.signal() }
    return false
  }

  func endWrite() {
    writesInFlight -= 1
    member.writes.store(UInt32(writesInFlight), ordering: .releasing)
    guard writesInFlight == 0 else { return }
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    gate.wakeOwner()
  }

  /// Lets the next write that needs the gate begin, if it can.
  func advanceGate() {
    guard let index = gated.first else { return }
    if !entries[index].ownsGate {
      // An earlier one of this queue may still have it.
      guard gate.take(for: port.index) else { return }
      entries[index].ownsGate = true
    }
    guard gate.isQuiet else { return }
    _ = gated.removeFirst()
    entries[index].stage = .ready
    ready.append(index)
  }

  /// Cuts requests as long as there are slots; sends what was cut.
  func cutReady() {
    if !gated.isEmpty { advanceGate() }
    // Another may have taken the gate since this queue was woken: then it has to be woken again.
    if !deferred.isEmpty, !gate.isTaken || !gate.waitForOpening(port.index) {
      for _ in 0..<deferred.count {
        let index = deferred.removeFirst()
        guard beginWrite() else {
          deferred.prepend(index)
          break
        }
        entries[index].countsAsWrite = true
        entries[index].stage = .ready
        ready.append(index)
      }
    }
    while let index = ready.first {
      guard cut(index) else { return }
      _ = ready.removeFirst()
      entries[index].stage = .active
      if entries[index].outstanding == 0 { endEntry(index) }
    }
  }

  /// Makes commands of a request; false when it has to go on later.
  private func cut(_ index: Int) -> Bool {
    while !entries[index].isCut {
      let request = entries[index].request
      if entries[index].error != nil { break }
      let isRange = request.operation != .flush && request.operation != .extent
      if isRange, entries[index].cursor >= request.byteCount { break }
      guard channel != nil, !isReplaying, !ringIsFull, commandCount < commandLimit, let slot = freeSlots.first else {
        return false
      }
      guard fill(slot, index, request) else { return false }
      if slots[slot].state == .waiting {
        _ = freeSlots.removeFirst()
        commandCount += 1
        entries[index].outstanding += 1
        toSend.append(slot)
        sendWaiting()
      }
    }
    entries[index].isCut = true
    return true
  }

  /// Fills a free slot with the next command of a request; it stays free when there is nothing to send after all. False
  /// when a buffer is missing.
  private func fill(_ slot: Int, _ index: Int, _ request: BlockRequest) -> Bool {
    sequence &+= 1
    var command = CommandSlot()
    command.state = .waiting
    command.entry = index
    command.sequence = sequence
    command.generation = slots[slot].generation
    switch request.operation {
    case .flush:
      entries[index].isCut = true
    case .extent:
      fillExtent(slot, &command, request)
      entries[index].isCut = true
      if !geometry.usesLBAStatus {
        entries[index].extent = wholeExtent(request)
        return true
      }
    case .discard:
      guard fillUnmap(slot, index, &command, request) else { return true }
    case .read, .write, .writeZeroes:
      guard fillTransfer(slot, index, &command, request) else { return false }
    }
    slots[slot] = command
    return true
  }

  func wholeExtent(_ request: BlockRequest) -> BlockCompletion.Extent {
    let rest = geometry.byteCount - min(request.offset, geometry.byteCount)
    return BlockCompletion.Extent(
      byteCount: max(1, request.byteCount == 0 ? rest : min(request.byteCount, rest)), isAllocated: true)
  }

  private func fillExtent(_ slot: Int, _ command: inout CommandSlot, _ request: BlockRequest) {
    command.kind = .lbaStatus
    command.lba = request.offset / UInt64(geometry.sectorByteCount)
    usePage(of: slot, &command, byteCount: 24)
  }

  /// A discard only tells: sectors that are covered partly are left out.
  private func fillUnmap(
    _ slot: Int, _ index: Int, _ command: inout CommandSlot, _ request: BlockRequest
  ) -> Bool {
    let sector = UInt64(geometry.sectorByteCount)
    let start = (request.offset + entries[index].cursor + sector - 1) / sector * sector
    let end = (request.offset + request.byteCount) / sector * sector
    guard start < end, geometry.usesUnmap else {
      entries[index].isCut = true
      if !geometry.usesUnmap { entries[index].error = .notSupported }
      return false
    }
    let count = min(end - start, geometry.unmapByteCount)
    command.kind = .unmap
    command.lba = start / sector
    command.blocks = UInt32(count / sector)
    usePage(of: slot, &command, byteCount: 24)
    let extent = BlockExtent(lba: command.lba, blocks: command.blocks)
    payload.withMutableBytes { bytes in
      UnmapList.encode(extent, into: &bytes)
      page(of: slot).copyIn(bytes.bytes.extracting(first: 24))
    }
    entries[index].cursor = start + count - request.offset
    return true
  }

  private func fillTransfer(
    _ slot: Int, _ index: Int, _ command: inout CommandSlot, _ request: BlockRequest
  ) -> Bool {
    let sector = geometry.sectorByteCount
    let done = Int(entries[index].cursor)
    let position = request.offset + entries[index].cursor
    let remaining = Int(clamping: request.byteCount - entries[index].cursor)
    let skip = Int(position % UInt64(sector))
    command.lba = position / UInt64(sector)
    command.memoryOffset = done
    let isRead = request.operation == .read
    let isZero = request.operation == .writeZeroes
    command.isZero = isZero
    if skip != 0 || remaining < sector {
      // All that is left in one page if it fits, else the sector that is covered partly.
      let span = (skip + remaining + sector - 1) / sector * sector
      let fits = span <= pageByteCount
      command.kind = isRead ? .read : .modifyRead
      command.skip = skip
      command.wanted = fits ? remaining : min(sector - skip, remaining)
      usePage(of: slot, &command, byteCount: fits ? span : sector)
      counters.bounces.add(1)
    } else if isZero {
      fillZeroes(&command, remaining, mayUnmap: request.flags.contains(.mayUnmap))
    } else {
      guard fillWhole(&command, remaining, request) else { return false }
      command.kind = isRead ? .read : .write
    }
    if command.kind != .writeSame { command.blocks = UInt32(command.byteCount / sector) }
    if command.wanted == 0 { command.wanted = Int(command.blocks) * sector }
    if !isRead, request.flags.contains(.forceUnitAccess) {
      command.isForced = geometry.usesForceUnitAccess && command.kind != .writeSame
      if !command.isForced { entries[index].needsFlush = true }
    }
    entries[index].cursor += UInt64(command.wanted)
    return true
  }

  private func fillZeroes(_ command: inout CommandSlot, _ remaining: Int, mayUnmap: Bool) {
    let sector = geometry.sectorByteCount
    command.guestAddress = zeroAddress
    if geometry.usesWriteSame {
      let count = min(remaining / sector, Int(clamping: geometry.writeSameByteCount) / sector)
      command.kind = .writeSame
      command.blocks = UInt32(count)
      // One block of zeros goes along: not every host knows NDOB.
      command.byteCount = sector
      command.skip = mayUnmap && geometry.writeSameUnmaps ? 1 : 0
    } else {
      command.kind = .write
      command.byteCount = min(remaining, options.bounceByteCount, geometry.maximumTransferByteCount) / sector * sector
    }
  }

  /// Whole sectors out of the request's memory, or through a bounce buffer where it is not in one run of guest memory.
  private func fillWhole(_ command: inout CommandSlot, _ remaining: Int, _ request: BlockRequest) -> Bool {
    guard let list = request.memory else { return true }
    let sector = geometry.sectorByteCount
    let (index, position) = list.locate(command.memoryOffset)
    let piece = list[index]
    let limit = min(remaining, geometry.maximumTransferByteCount)
    let run = min(limit, piece.byteCount - position) / sector * sector
    if run > 0, let address = pinned.guestAddress(of: piece.address + UInt(position), count: run) {
      command.guestAddress = address
      command.byteCount = run
      return true
    }
    guard !freeBounces.isEmpty else { return false }
    let bounce = freeBounces.removeFirst()
    command.buffer = .bounce(bounce)
    command.guestAddress = bounceAddress(bounce)
    command.byteCount = min(limit, options.bounceByteCount) / sector * sector
    counters.bounces.add(1)
    if request.operation == .write {
      list.copy(
        from: command.memoryOffset, to: self.bounce(bounce).slice(at: 0, count: command.byteCount))
    }
    return true
  }

  // MARK: Memory of the queue

  private func usePage(of slot: Int, _ command: inout CommandSlot, byteCount: Int) {
    command.buffer = .page
    command.guestAddress = memoryAddress + UInt64(slot * pageByteCount)
    command.byteCount = byteCount
  }

  func page(of slot: Int) -> MemorySlice {
    memory.slice(at: slot * pageByteCount, count: pageByteCount)
  }

  private var bouncesOffset: Int { slots.count * pageByteCount }

  func bounce(_ index: Int) -> MemorySlice {
    memory.slice(at: bouncesOffset + index * options.bounceByteCount, count: options.bounceByteCount)
  }

  private func bounceAddress(_ index: Int) -> UInt64 {
    memoryAddress + UInt64(bouncesOffset + index * options.bounceByteCount)
  }

  /// The buffer behind the bounce buffers is never written.
  var zeroAddress: UInt64 { bounceAddress(options.bounceCount) }
}
