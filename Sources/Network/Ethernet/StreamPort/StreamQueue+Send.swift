import LinuxIO
import SharedMemory
import WireBytes

extension StreamQueue {
  func send(_ frame: LentFrame) -> Bool {
    adopt()
    guard socket == nil || makeRoom() else { return false }
    put(frame)
    return true
  }

  func reserve() -> FrameRoom? {
    adopt()
    guard socket == nil || makeRoom() else { return nil }
    return FrameRoom(bytes: lent.list(of: room.slice, slot: 1))
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    let slice = room.slice.slice(at: start, count: byteCount)
    put(LentFrame(bytes: lent.list(of: slice, slot: 1), headerByteCount: byteCount, offload: offload))
  }

  func flush() {
    while let socket, output.byteCount > 0 {
      switch socket.write(output.bytes) {
      case .moved(let count):
        output.removeFirst(count)
        stalledSince = nil
      case .wouldBlock:
        if stalledSince == nil { stalledSince = monotonicNanoseconds() }
        return
      case .ended(let errno):
        // What the peer has sent before it went is still read; `forward` then drops the socket.
        discardOutput()
        if errno != .EPIPE { drop(because: errno.map { "\($0)" } ?? StreamConnection.closed) }
        return
      }
    }
  }

  var hasRoom: Bool { output.capacity - output.byteCount >= StreamQueue.reserveByteCount }

  /// Whether a frame may be taken: there is room for it, or the peer has taken nothing for so long that it is dropped.
  private func makeRoom() -> Bool {
    if output.byteCount >= StreamQueue.writeByteCount, stalledSince == nil { flush() }
    if hasRoom { return true }
    flush()
    if hasRoom { return true }
    guard let stalledSince else { return true }
    return monotonicNanoseconds() - stalledSince >= UInt64(connection.options.stallMilliseconds) * 1_000_000
  }

  /// Puts what `frame` stands for into the output, or drops it.
  private func put(_ frame: LentFrame) {
    guard socket != nil, hasRoom else {
      counters.framesDropped.add(1)
      return
    }
    let result = finisher.finish(frame, insertsTag: true) { append($0) }
    if result == .malformed { counters.framesMalformed.add(1) }
  }

  private func append(_ frame: LentFrame) {
    let count = frame.byteCount
    guard StreamFraming.frameByteCounts.contains(count) else {
      counters.framesMalformed.add(1)
      return
    }
    guard output.makeRoom(for: StreamFraming.prefixByteCount + count) else {
      counters.framesDropped.add(1)
      return
    }
    output.append { free in
      free.storeBE(UInt32(count), at: 0)
      var target = free._mutatingExtracting(StreamFraming.prefixByteCount..<(StreamFraming.prefixByteCount + count))
      frame.bytes.copyOut(into: &target)
      return (StreamFraming.prefixByteCount + count, ())
    }
    counters.framesSent.add(1)
  }

  /// Forgets output that nobody will take.
  func discardOutput() {
    output.removeAll()
    stalledSince = nil
  }
}
