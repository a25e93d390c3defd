import Block
import LinuxIO
import NBDConnection
import SharedMemory
import Synchronization

/// What comes back.
extension NBDQueue {
  /// Takes what has happened: answers, the end of the connection or a new one, and time that is over.
  func look() {
    if hasSignalledItself {
      hasSignalledItself = false
      event.drain()
    }
    if connection != nil {
      connection?.progress()
      takeCompletions()
      loseIfEnded()
    }
    if ticket != nil { lookAtTicket() }
    if timerDue != 0, monotonicNanoseconds() >= timerDue { timeIsOver() }
    resumeWaiting()
  }

  private func takeCompletions() {
    var count = 0
    var isShuttingDown = false
    while let completion = connection?.takeCompletion() {
      guard commands[completion.tag].state == .sent else { continue }
      // Of the connection: it is sent again on the next one.
      if completion.error == .ENOTCONN { continue }
      if completion.error == .ESHUTDOWN {
        isShuttingDown = true
        continue
      }
      count += 1
      sentCount -= 1
      complete(completion)
    }
    if count > 0 {
      lastAnswer = monotonicNanoseconds()
      waitingSince = lastAnswer
      hasAnswered = true
    }
    if isShuttingDown { lose("it is shutting down") }
  }

  private func complete(_ completion: NBDConnection.Completion) {
    let index = completion.tag
    let command = commands[index]
    let slot = command.slot
    if let errno = completion.error {
      // A server that can't zero is sent zeros, this time and from now on; one that can't here, this time.
      if command.operation == .zero, errno == .EOPNOTSUPP || errno == .EINVAL {
        if errno == .EOPNOTSUPP { image.canZero.store(false, ordering: .relaxed) }
        return sendZeros(instead: index)
      }
      return endCommand(index, nbdError(errno))
    }
    switch command.operation {
    case .read:
      if let (entry, offset) = command.bounced, let source = command.memory, let list = slots[slot].request.memory {
        gather(list, entry, offset, source.byteCount) { part, done in
          part.copyIn(source.slice(at: done, count: part.byteCount))
        }
      }
    case .write, .zero:
      if !command.flags.contains(.forceUnitAccess) { lastAcknowledged = image.durability.acknowledge() }
    case .flush:
      if !image.durability.endFlush(slots[slot].mark) { return endCommand(index, .medium) }
    case .blockStatus: slots[slot].extent = extent(completion, command, slots[slot].request)
    case .trim: break
    }
    endCommand(index, nil)
  }

  /// The whole range of the request is written with zeros that are sent; commands that zero other parts of it may go on.
  private func sendZeros(instead index: Int) {
    let slot = commands[index].slot
    let isFirst = !slots[slot].sendsZeros
    if isFirst {
      slots[slot].sendsZeros = true
      slots[slot].position = slots[slot].request.offset
    }
    endCommand(index, nil)
  }

  /// What a block status says of the bytes from the request's offset on. What the server tells is not trusted: a run ends
  /// with what was asked for, and has a byte at least.
  private func extent(
    _ completion: NBDConnection.Completion, _ command: Command, _ request: BlockRequest
  ) -> BlockCompletion.Extent {
    let end = request.byteCount > 0 ? request.offset + request.byteCount : geometry.byteCount
    let limit = min(end - request.offset, NBDGeometry.rangeByteCount)
    let skipped = request.offset - command.offset
    guard completion.extentByteCount > skipped else {
      return BlockCompletion.Extent(byteCount: limit, isAllocated: true)
    }
    // A hole that does not read as zeros is of no use: it counts as stored.
    return BlockCompletion.Extent(
      byteCount: min(completion.extentByteCount - skipped, limit), isAllocated: !completion.isZero)
  }

  /// A command has ended; its request goes on, or ends with its last command.
  func endCommand(_ index: Int, _ error: BlockError?) {
    let slot = commands[index].slot
    commands[index].state = .free
    commands[index].memory = nil
    freeCommands.append(index)
    slots[slot].commandCount -= 1
    if let error, slots[slot].error == nil { slots[slot].error = error }
    guard slots[slot].commandCount == 0 else { return }
    let end = slots[slot].request.offset + slots[slot].request.byteCount
    let isRange = !slots[slot].isFlushing && slots[slot].request.operation != .extent
    // What waits for a free command goes on when its turn comes.
    if isRange, slots[slot].error == nil, slots[slot].position < end {
      if slots[slot].sendsZeros, !waiting.contains(UInt32(slot)) { advance(slot) }
      return
    }
    if waiting.contains(UInt32(slot)) { return }
    conclude(slot)
  }

  /// All commands of a request have ended.
  func conclude(_ index: Int) {
    let slot = slots[index]
    if let error = slot.error { return finish(index, error) }
    let isChange = slot.request.operation == .write || slot.request.operation == .writeZeroes
    let mustFlush =
      isChange && slot.request.flags.contains(.forceUnitAccess) && !geometry.canForceUnitAccess && !slot.isFlushing
    if mustFlush {
      slots[index].isFlushing = true
      slots[index].mark = image.durability.beginFlush()
      return advance(index)
    }
    finish(index, extent: slot.extent)
  }

  /// Gives free commands to requests that wait for them.
  private func resumeWaiting() {
    while !waiting.isEmpty, !freeCommands.isEmpty {
      advance(Int(waiting.removeFirst()))
    }
  }
}

extension Errno {
  /// The server is about to end.
  static let ESHUTDOWN = Errno(rawValue: 108)
}
