public import Ethernet
import LinuxIO
import SharedMemory
import WireBytes

extension TapQueue {
  /// Reads frames into room of `sink` until none waits.
  public func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    let header = head.slice(at: 0, count: VirtioNetHeader.byteCount)
    var count = 0
    while count < limit {
      guard let room = sink.reserve() else { return ForwardResult(frameCount: count, isBlocked: true) }
      let received = room.bytes.readOnce(from: device.descriptor, head: header)
      if received < 0 {
        // Anything but "none waits" means that the link is gone.
        if received != -Int(Errno.EAGAIN.rawValue) { isEnded = true }
        break
      }
      count += 1
      pass(room, byteCount: received - VirtioNetHeader.byteCount, to: sink)
    }
    return ForwardResult(frameCount: count, isBlocked: false)
  }

  /// Gives `sink` the frame that was read into its room.
  private func pass(_ room: FrameRoom, byteCount: Int, to sink: any EthernetSink) {
    guard byteCount <= room.bytes.byteCount else { return counters.truncatedFrames.add(1) }
    let header = VirtioNetHeader(
      low: head.loadLE64(at: 0), high: UInt16(truncatingIfNeeded: head.loadLE64(at: 8)))
    guard byteCount >= FrameHeaders.networkOffset,
      var offload = FrameOffload(header, frameByteCount: byteCount)
    else { return counters.malformedFrames.add(1) }
    counters.framesRead.add(1)
    counters.bytesRead.add(UInt64(byteCount))

    // The room may be shared with a peer: what decides is read once. Type, tag information, and the type behind them.
    let first = room.bytes[0]
    head.copyIn(first.slice(at: 12, count: 8), at: 16)
    let word = head.loadLE64(at: 16)
    let type = UInt16(truncatingIfNeeded: word).byteSwapped
    var start = 0
    if type == EtherType.tag || type == EtherType.serviceTag {
      let inner = UInt16(truncatingIfNeeded: word >> 32).byteSwapped
      if type == EtherType.tag, byteCount >= 18, inner != EtherType.tag, inner != EtherType.serviceTag {
        first.copyIn(first.slice(at: 0, count: 12), at: 4)
        offload = offload.removingTag(UInt16(truncatingIfNeeded: word >> 16).byteSwapped)
        start = 4
      } else if offload.needsChecksum, offload.segmentation == .none {
        offload = finish(room, byteCount: byteCount, offload)
      }
    }
    sink.commit(start: start, byteCount: byteCount - start, offload: offload)
  }

  /// Computes the checksum of a frame that keeps its tags inside, where no device behind us could find it. Rare.
  private func finish(_ room: FrameRoom, byteCount: Int, _ offload: FrameOffload) -> FrameOffload {
    guard case .partial(let start, let offset) = offload.checksum else { return offload }
    let field = Int(start) + Int(offset)
    var result = offload
    let frame = [UInt8](zeroed: byteCount) { bytes in
      room.bytes.copyOut(into: &bytes)
      result = InternetChecksum.complete(&bytes, offload)
    }
    room.bytes.copyIn(frame.rawSpan.extracting(field..<(field + 2)), at: field)
    counters.finishedChecksums.add(1)
    return result
  }
}

/// Types of frames that are tagged.
private enum EtherType {
  /// IEEE 802.1Q.
  static let tag: UInt16 = 0x8100
  /// IEEE 802.1ad.
  static let serviceTag: UInt16 = 0x88a8
}
