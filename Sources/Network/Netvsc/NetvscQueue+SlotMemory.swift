import NetvscProtocol
import SharedMemory
import WireBytes

/// The memory of a slot: its section, and behind that its overflow buffer, as one row of bytes.
extension NetvscQueue {
  /// The section of a slot.
  func section(_ slot: Int) -> MemorySlice {
    let size = setup!.sectionByteCount
    return setup!.sendSections.slice(at: slot * size, count: size)
  }

  /// The overflow buffer of a slot that has one.
  func overflow(_ slot: Int) -> MemorySlice {
    setup!.overflow.slice(
      at: Int(slots[slot].overflow) * QueueSetup.overflowByteCount, count: QueueSetup.overflowByteCount)
  }

  /// The rest of the piece of memory in which byte `offset` of a slot lies.
  func memory(_ slot: Int, from offset: Int) -> MemorySlice {
    let size = setup!.sectionByteCount
    return offset < size ? section(slot).dropFirst(offset) : overflow(slot).dropFirst(offset - size)
  }

  func copyOut(_ slot: Int, from offset: Int, into target: inout MutableRawSpan) {
    var done = 0
    while done < target.byteCount {
      let piece = memory(slot, from: offset + done)
      let count = min(piece.byteCount, target.byteCount - done)
      var part = target._mutatingExtracting(done..<(done + count))
      piece.copyOut(into: &part)
      done += count
    }
  }

  func copyIn(_ source: RawSpan, _ slot: Int, at offset: Int) {
    var done = 0
    while done < source.byteCount {
      let piece = memory(slot, from: offset + done)
      let count = min(piece.byteCount, source.byteCount - done)
      piece.copyIn(source.extracting(done..<(done + count)))
      done += count
    }
  }

  /// Copies the first `count` bytes of `sendHeaders` in.
  func copyHeadersIn(_ count: Int, _ slot: Int, at offset: Int) {
    sendHeaders.withMutableBytes { copyIn($0.bytes.extracting(first: count), slot, at: offset) }
  }

  func copyIn(_ source: MemorySlice, _ slot: Int, at offset: Int) {
    var done = 0
    while done < source.byteCount {
      let piece = memory(slot, from: offset + done)
      let count = min(piece.byteCount, source.byteCount - done)
      piece.copyIn(source.slice(at: done, count: count))
      done += count
    }
  }

  func copyIn(_ source: ScatterList, _ slot: Int, at offset: Int) {
    var position = offset
    for index in 0..<source.count {
      let piece = source[index]
      copyIn(piece, slot, at: position)
      position += piece.byteCount
    }
  }
}
