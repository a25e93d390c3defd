import Block
import LinuxIO
import SharedMemory
import Synchronization
import URing

/// How a request goes through its range.
extension MappedQueue {
  /// Goes on with a request until it ends, or nothing more can be done now.
  func advance(_ tag: UInt32) {
    slots[Int(tag)].isHeld = true
    switch slots[Int(tag)].request.operation {
    case .read: if !advanceRead(tag) { return }
    case .write: if !advanceWrite(tag) { return }
    case .discard, .writeZeroes: if !advanceZero(tag) { return }
    case .flush: return startFlush(tag)
    case .extent: return tellExtent(tag)
    }
    slots[Int(tag)].isHeld = false
    if slots[Int(tag)].pieceCount == 0 { conclude(tag) }
  }

  /// What is left of a request; 0 when it has failed.
  private func left(_ tag: UInt32) -> UInt64 {
    let slot = slots[Int(tag)]
    return slot.error == nil ? slot.request.offset + slot.request.byteCount - slot.position : 0
  }

  private func fail(_ tag: UInt32, _ error: BlockError) { slots[Int(tag)].error = error }

  /// Where the chain has bytes, the leaf being asked first.
  func locate(_ offset: UInt64, _ byteCount: UInt64) -> (layer: Int, run: BlockRun) {
    var count = byteCount
    for (index, layer) in image.layers.enumerated() {
      let end = layer.map.layout.byteCount
      // A parent that is shorter than the child is followed by zeros.
      if offset >= end { return (index, .zero(byteCount: count)) }
      count = min(count, end - offset)
      let run = layer.map.locate(offset, count)
      guard case .parent(let shorter) = run else { return (index, run) }
      count = shorter
    }
    return (image.layers.count, .zero(byteCount: count))
  }

  private func advanceRead(_ tag: UInt32) -> Bool {
    while case let count = left(tag), count > 0 {
      let slot = slots[Int(tag)]
      let events = image.wakeEvents
      let (layer, run) = locate(slot.position, count)
      switch run {
      case .data(let fileOffset, let count):
        if !start(.read, tag, layer: layer, fileOffset: fileOffset, byteCount: count) {
          park(tag, after: events)
          return false
        }
      case .zero(let count), .parent(let count):
        slot.request.memory?.zero(from: Int(slot.position - slot.request.offset), count: Int(count))
        slots[Int(tag)].position += count
      case .failed(let error): fail(tag, error)
      }
    }
    return true
  }

  private func advanceWrite(_ tag: UInt32) -> Bool {
    let isDurable = slots[Int(tag)].request.flags.contains(.forceUnitAccess)
    while case let count = left(tag), count > 0 {
      let slot = slots[Int(tag)]
      let events = image.wakeEvents
      switch map.locateWrite(slot.position, count) {
      case .data(let fileOffset, let count, let isRecorded):
        if isDurable {
          if !start(.write, tag, fileOffset: fileOffset, byteCount: count, isRecorded: isRecorded) {
            if isRecorded { record(slot.position, count, succeeded: false) }
            park(tag, after: events)
            return false
          }
          continue
        }
        let error = writeAtOnce(slot, fileOffset, count)
        if isRecorded { record(slot.position, count, succeeded: error == nil) }
        if let error { fail(tag, error) }
        slots[Int(tag)].position += count
      case .afterCommit:
        startCommit()
        park(tag, after: events)
        return false
      case .failed(let error): fail(tag, error)
      }
    }
    return true
  }

  private func writeAtOnce(_ slot: Slot, _ fileOffset: UInt64, _ count: UInt64) -> BlockError? {
    guard let whole = slot.request.memory else { return nil }
    var memory = whole
    if count < slot.request.byteCount {
      let start = Int(slot.position - slot.request.offset)
      guard let part = scratch.cut(whole, from: start, count: Int(count)) else { return .failed }
      memory = part
    }
    let file = image.layers[0].file
    if let observer = file.observer,
      let error = observer.willChange(.write(offset: fileOffset, bytes: memory.bytes()))
    {
      return blockError(error)
    }
    do throws(Errno) {
      let moved = try transfer(.write, file: file.descriptor, memory: memory, offset: fileOffset)
      if moved < memory.byteCount {
        try transferRest(.write, file: file.descriptor, memory: memory, skip: moved, offset: fileOffset)
      }
      return nil
    } catch { return blockError(error) }
  }

  private func advanceZero(_ tag: UInt32) -> Bool {
    while case let count = left(tag), count > 0 {
      let slot = slots[Int(tag)]
      let events = image.wakeEvents
      let mayUnmap = slot.request.operation == .discard || slot.request.flags.contains(.mayUnmap)
      switch map.locateZero(slot.position, count, mayUnmap: mayUnmap) {
      case .done(let count): slots[Int(tag)].position += count
      case .data(let fileOffset, let count, let isRecorded):
        slots[Int(tag)].isVolatile = true
        let can = mayUnmap ? image.canPunch.load(ordering: .relaxed) : image.canZeroRange.load(ordering: .relaxed)
        if can, count >= Self.shortestHole {
          let work: Piece.Work = mayUnmap ? .punch : .zeroRange
          if start(work, tag, fileOffset: fileOffset, byteCount: count, isRecorded: isRecorded) { continue }
          if isRecorded { record(slot.position, count, succeeded: false) }
          park(tag, after: events)
          return false
        }
        let error = writeZeros(fileOffset, count)
        if isRecorded { record(slot.position, count, succeeded: error == nil) }
        if let error { fail(tag, error) }
        slots[Int(tag)].position += count
      case .afterCommit:
        startCommit()
        park(tag, after: events)
        return false
      case .failed(let error): fail(tag, error)
      }
    }
    return true
  }

  /// Shorter ranges are written; a call for a hole costs more.
  static let shortestHole: UInt64 = 64 << 10

  /// Writes zeros into the leaf, on this thread.
  func writeZeros(_ fileOffset: UInt64, _ byteCount: UInt64) -> BlockError? {
    let file = image.layers[0].file
    var done: UInt64 = 0
    do throws(Errno) {
      while done < byteCount {
        let count = Int(min(byteCount - done, UInt64(MappedImage.zeroByteCount)))
        zeroTable.removeAll()
        _ = zeroTable.append(image.zeros.slice.slice(at: 0, count: count))
        if let observer = file.observer,
          let error = observer.willChange(.zero(offset: fileOffset + done, byteCount: UInt64(count)))
        {
          throw error
        }
        try transferRest(
          .write, file: file.descriptor, memory: zeroTable.list, skip: 0, offset: fileOffset + done)
        done += UInt64(count)
      }
      return nil
    } catch { return blockError(error) }
  }

  /// All pieces of a request have ended.
  func conclude(_ tag: UInt32) {
    let slot = slots[Int(tag)]
    if let error = slot.error { return finish(tag, error) }
    if slot.request.operation == .read { return finish(tag) }
    let isDurable = slot.request.flags.contains(.forceUnitAccess)
    // Bytes in the page cache outlive this process, changed tables in its memory don't.
    if isDurable || image.keepsUnflushedWrites, map.needsCommit { return startFlush(tag) }
    if isDurable, slot.isVolatile { return startFlush(tag) }
    finish(tag)
  }

  /// Tells how far the bytes from the offset on are all stored or all a hole.
  private func tellExtent(_ tag: UInt32) {
    let request = slots[Int(tag)].request
    let limit = request.byteCount > 0 ? request.offset + request.byteCount : map.layout.byteCount
    var position = request.offset
    var isAllocated: Bool?
    // A run that goes on for long is cut; the next request tells the rest.
    for _ in 0..<4096 where position < limit {
      let (_, run) = locate(position, limit - position)
      let state: Bool
      let count: UInt64
      switch run {
      case .data(_, let byteCount): (state, count) = (true, byteCount)
      case .zero(let byteCount), .parent(let byteCount): (state, count) = (false, byteCount)
      case .failed(let error): return finish(tag, position > request.offset ? nil : error, extent: extent())
      }
      if let isAllocated, isAllocated != state { break }
      isAllocated = state
      position += count
    }
    func extent() -> BlockCompletion.Extent? {
      guard let isAllocated, position > request.offset else { return nil }
      return BlockCompletion.Extent(byteCount: position - request.offset, isAllocated: isAllocated)
    }
    finish(tag, extent: extent())
  }
}
