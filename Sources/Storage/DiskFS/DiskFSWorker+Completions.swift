import Block
import FUSEBridge
import LinuxIO

extension DiskFSWorker {
  /// Goes on with the request that the device has finished, or answers it and frees its slot.
  mutating func finish(_ completion: BlockCompletion) {
    let slot = Int(completion.tag)
    switch slots[slot].work {
    case .seekData, .seekHole: return finishSearch(completion, slot)
    default: break
    }
    if let error = completion.error {
      free.append(slot)
      return refuse(channel.take(from: slot), error.errno)
    }
    switch slots[slot].work {
    case .read:
      slots[slot].doneByteCount += slots[slot].pieceByteCount
      if slots[slot].doneByteCount < slots[slot].byteCount { return submitPiece(slot, .read) }
      let count = slots[slot].replyByteCount
      counters.readBytes &+= UInt64(count)
      channel.take(from: slot).succeed(data: slots[slot].payload(at: slots[slot].replyOffset, count: count))
    case .write:
      slots[slot].doneByteCount += slots[slot].pieceByteCount
      if slots[slot].doneByteCount < slots[slot].byteCount { return submitPiece(slot, .write) }
      if slots[slot].flags.contains(.forceUnitAccess), !info.supportsForceUnitAccess {
        slots[slot].work = .flushAfterWrite
        return submit(BlockRequest(.flush, tag: completion.tag))
      }
      answerWrite(slot)
    case .flushAfterWrite:
      answerWrite(slot)
    case .simple, .seekData, .seekHole:
      channel.take(from: slot).succeed()
    }
    free.append(slot)
  }

  private mutating func answerWrite(_ slot: Int) {
    let count = slots[slot].replyByteCount
    counters.writtenBytes &+= UInt64(count)
    channel.take(from: slot).succeed(writtenByteCount: count)
  }

  /// A search goes from run to run until one has the wanted state or the file ends. A device that can't tell has no holes.
  private mutating func finishSearch(_ completion: BlockCompletion, _ slot: Int) {
    let wantsData = slots[slot].work == .seekData
    let left = slots[slot].byteCount - slots[slot].doneByteCount
    var run = completion.extent ?? BlockCompletion.Extent(byteCount: UInt64(left), isAllocated: true)
    if let error = completion.error {
      guard error == .notSupported else {
        free.append(slot)
        return refuse(channel.take(from: slot), error.errno)
      }
      run.isAllocated = true
    }
    if run.isAllocated != wantsData {
      slots[slot].doneByteCount += min(left, max(1, Int(clamping: run.byteCount)))
      if slots[slot].doneByteCount < slots[slot].byteCount { return submitSearch(slot) }
    }
    let position = slots[slot].offset - slots[slot].fileOffset + UInt64(slots[slot].doneByteCount)
    let isAtEnd = slots[slot].doneByteCount == slots[slot].byteCount
    free.append(slot)
    if wantsData && isAtEnd { return refuse(channel.take(from: slot), .ENXIO) }
    channel.take(from: slot).succeed(position: position)
  }
}
