import Block
import LinuxIO
import NBDConnection
import SharedMemory
import Synchronization

/// How requests become commands.
extension NBDQueue {
  func refusal(of request: BlockRequest) -> BlockError? {
    switch request.operation {
    case .flush: return nil
    case .write, .discard, .writeZeroes: if geometry.isReadOnly { return .readOnly }
    case .read, .extent: break
    }
    let byteCount = geometry.byteCount
    guard request.offset <= byteCount, request.byteCount <= byteCount - request.offset else { return .outOfRange }
    switch request.operation {
    case .read, .write:
      if (request.offset | request.byteCount) & (geometry.alignment - 1) != 0 { return .misaligned }
      guard let memory = request.memory, UInt64(memory.byteCount) == request.byteCount else {
        return request.byteCount == 0 && request.memory == nil ? nil : .misaligned
      }
    case .writeZeroes: if (request.offset | request.byteCount) & (geometry.alignment - 1) != 0 { return .misaligned }
    case .extent: if request.offset == byteCount { return .outOfRange }
    case .discard: if !geometry.canTrim { return .notSupported }
    case .flush: break
    }
    return nil
  }

  /// Starts with a request that was accepted.
  func begin(_ index: Int) {
    let request = slots[index].request
    switch request.operation {
    case .read, .write: break
    case .writeZeroes: slots[index].sendsZeros = !image.canZero.load(ordering: .relaxed)
    case .flush:
      if geometry.isReadOnly || geometry.isWriteThrough { return finish(index) }
      slots[index].isFlushing = true
      slots[index].mark = image.durability.beginFlush()
    case .discard:
      // Only whole blocks can be given up, and nothing has to be.
      let mask = geometry.alignment - 1
      let start = (request.offset + mask) & ~mask
      let end = (request.offset + request.byteCount) & ~mask
      if start >= end { return finish(index) }
      slots[index].position = start
      slots[index].request.offset = start
      slots[index].request.byteCount = end - start
    case .extent:
      if !geometry.canBlockStatus {
        let count = request.byteCount > 0 ? request.byteCount : geometry.byteCount - request.offset
        return finish(index, extent: BlockCompletion.Extent(byteCount: count, isAllocated: true))
      }
    }
    advance(index)
  }

  /// Sends as many commands of a request as there are free ones, and ends it if none is needed.
  func advance(_ index: Int) {
    while hasMore(index) {
      guard let command = freeCommands.popLast() else { return waiting.append(UInt32(index)) }
      guard let next = nextCommand(of: index, in: command) else {
        freeCommands.append(command)
        slots[index].error = .noMemory
        break
      }
      commands[command] = next
      commands[command].state = .unsent
      commands[command].slot = index
      commands[command].number = nextNumber
      nextNumber &+= 1
      slots[index].commandCount += 1
      send(command)
      // A connection that was lost meanwhile may have failed everything.
      if !slots[index].isBusy { return }
    }
    if slots[index].commandCount == 0 { conclude(index) }
  }

  private func hasMore(_ index: Int) -> Bool {
    let slot = slots[index]
    if slot.error != nil { return false }
    if slot.isFlushing || slot.request.operation == .extent { return slot.commandCount == 0 && slot.extent == nil }
    return slot.position < slot.request.offset + slot.request.byteCount
  }

  /// The command for the next part of a request; nil when there is no memory for it.
  private func nextCommand(of index: Int, in place: Int) -> Command? {
    let slot = slots[index]
    let request = slot.request
    let left = request.offset + request.byteCount - slot.position
    var command = Command(offset: slot.position)
    let isDurable = geometry.isWriteThrough || request.flags.contains(.forceUnitAccess)
    let flags: NBDConnection.Flags = isDurable && geometry.canForceUnitAccess ? .forceUnitAccess : []
    if slot.isFlushing {
      command.operation = .flush
      command.offset = 0
      return command
    }
    switch request.operation {
    case .read, .write:
      command.operation = request.operation == .read ? .read : .write
      if request.operation == .write { command.flags = flags }
      guard cutMemory(&command, index, left, place) else { return nil }
    case .writeZeroes where slot.sendsZeros:
      command.operation = .write
      command.flags = flags
      command.byteCount = min(left, UInt64(NBDImage.zeroByteCount), geometry.payloadByteCount)
      command.memory = image.zeros.slice.slice(at: 0, count: Int(command.byteCount))
    case .writeZeroes:
      command.operation = .zero
      command.flags = request.flags.contains(.mayUnmap) ? flags : flags.union(.keepStorage)
      command.byteCount = min(left, NBDGeometry.rangeByteCount)
    case .discard:
      command.operation = .trim
      command.byteCount = min(left, NBDGeometry.rangeByteCount)
    case .extent:
      command.operation = .blockStatus
      let mask = geometry.alignment - 1
      let start = request.offset & ~mask
      let limit = request.byteCount > 0 ? request.offset + request.byteCount : geometry.byteCount
      command.offset = start
      command.byteCount = min(((limit + mask) & ~mask) - start, NBDGeometry.rangeByteCount)
    case .flush: break
    }
    slots[index].position += command.byteCount
    return command
  }

  /// Gives a command the next part of the memory of its request, directly or by way of its bounce buffer.
  private func cutMemory(_ command: inout Command, _ index: Int, _ left: UInt64, _ place: Int) -> Bool {
    guard let list = slots[index].request.memory else { return false }
    let longest = min(left, geometry.payloadByteCount)
    let entry = slots[index].entry
    let entryOffset = slots[index].entryOffset
    let part = list[entry].dropFirst(entryOffset)
    let direct = min(UInt64(part.byteCount), longest) & ~(geometry.alignment - 1)
    if direct > 0, direct == longest || direct >= Self.shortestPart {
      command.byteCount = direct
      command.memory = part.slice(at: 0, count: Int(direct))
      moveCursor(index, list, Int(direct))
      return true
    }
    let count = Int(min(longest, UInt64(Self.bounceByteCount)))
    guard let target = bounceBuffer(place)?.slice(at: 0, count: count) else { return false }
    command.byteCount = UInt64(count)
    command.memory = target
    if command.operation == .read { command.bounced = (entry, entryOffset) }
    if command.operation == .write {
      gather(list, entry, entryOffset, count) { part, done in target.copyIn(part, at: done) }
    }
    moveCursor(index, list, count)
    return true
  }

  private func bounceBuffer(_ place: Int) -> MemorySlice? {
    if bounce == nil { bounce = try? MemoryRegion(anonymous: Self.bounceByteCount * commands.count) }
    return bounce?.slice.slice(at: place * Self.bounceByteCount, count: Self.bounceByteCount)
  }

  private func moveCursor(_ index: Int, _ list: ScatterList, _ count: Int) {
    var entry = slots[index].entry
    var offset = slots[index].entryOffset + count
    while entry < list.count, offset >= list[entry].byteCount {
      offset -= list[entry].byteCount
      entry += 1
    }
    slots[index].entry = entry
    slots[index].entryOffset = offset
  }

  /// Goes through `count` bytes of a list, from a byte of an entry on.
  func gather(
    _ list: ScatterList, _ entry: Int, _ offset: Int, _ count: Int, _ body: (MemorySlice, Int) -> Void
  ) {
    var entry = entry
    var offset = offset
    var done = 0
    while done < count, entry < list.count {
      let rest = list[entry].dropFirst(offset)
      let part = rest.slice(at: 0, count: min(rest.byteCount, count - done))
      body(part, done)
      done += part.byteCount
      entry += 1
      offset = 0
    }
  }

  /// Sends a command, if there is a connection; else it waits for the next.
  func send(_ index: Int) {
    guard connection != nil else { return }
    let command = commands[index]
    do throws(Errno) {
      try connection?.submit(
        command.operation, tag: index, memory: command.memory, offset: command.offset, byteCount: command.byteCount,
        flags: command.flags)
    } catch {
      // The next look finds out that the connection has ended, and sends it again.
      if error != .ENOTCONN { endCommand(index, nbdError(error)) }
      return
    }
    commands[index].state = .sent
    sentCount += 1
    if sentCount == 1 {
      lastAnswer = monotonicNanoseconds()
      if timerDue == 0 { setTimer(at: answerEnd) }
    }
  }
}
