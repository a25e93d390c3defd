import LinuxIO
import SharedMemory
import WireBytes

extension StreamQueue {
  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    adopt()
    var result = ForwardResult(frameCount: 0, isBlocked: false)
    while result.frameCount < limit {
      guard waiting != nil || findFrame() else { break }
      guard let frame = waiting else { break }
      guard sink.send(frame) else {
        result.isBlocked = true
        break
      }
      waiting = nil
      input.removeFirst(waitingByteCount)
      result.frameCount += 1
      counters.framesReceived.add(1)
    }
    return result
  }

  /// Makes the next frame the waiting one, reading as needed; false when there is none.
  private func findFrame() -> Bool {
    while true {
      switch StreamFraming.head(of: input.bytes) {
      case .frame(let byteCount):
        takeFrame(byteCount)
        return true
      case .incomplete(let needed):
        guard read(needed) else { return false }
      case .nonsense(let byteCount):
        drop(because: "the peer announced a frame of \(byteCount) bytes")
        return false
      }
    }
  }

  /// Reads what is there, with room for `needed` bytes in all; false when there is nothing.
  private func read(_ needed: Int) -> Bool {
    guard let socket else { return false }
    // The longest frame is smaller than the buffer.
    precondition(input.makeRoom(for: needed - input.byteCount))
    let outcome = input.append { free in
      let outcome = socket.read(into: &free)
      if case .moved(let count) = outcome { return (count, outcome) }
      return (0, outcome)
    }
    switch outcome {
    case .moved: return true
    case .wouldBlock: return false
    case .ended(let errno):
      drop(because: errno.map { "\($0)" } ?? StreamConnection.closed)
      return false
    }
  }

  /// Prepares the frame of `byteCount` bytes at the start of the input.
  private func takeFrame(_ byteCount: Int) {
    waitingByteCount = StreamFraming.prefixByteCount + byteCount
    var frame = input.slice(at: StreamFraming.prefixByteCount, count: byteCount)
    var offload = FrameOffload()
    if byteCount >= 18, let tag = StreamFraming.tag(input.bytes) {
      offload.vlan = tag
      // The addresses move over the tag.
      frame.copyIn(frame.slice(at: 0, count: 12), at: 4)
      frame = frame.dropFirst(4)
    }
    waiting = LentFrame(bytes: lent.list(of: frame, slot: 0), headerByteCount: frame.byteCount, offload: offload)
  }
}
