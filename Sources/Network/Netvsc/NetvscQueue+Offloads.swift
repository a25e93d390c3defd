import Ethernet
import NetvscProtocol
import VMBusChannel
import WireBytes

/// What is done about the checksums and the length of a frame before it goes to the host.
extension NetvscQueue {
  /// Plans with the copy of the headers in `sendHeaders`, and rewrites it where the host wants that.
  func plan(_ offload: FrameOffload, headerByteCount: Int, frameByteCount: Int) -> TransmitOffloads.Plan {
    let offloads = setup!.offloads
    return sendHeaders.withMutableBytes { bytes in
      var headers = bytes._mutatingExtracting(first: headerByteCount)
      return offloads.plan(offload, headers: &headers, frameByteCount: frameByteCount)
    }
  }

  func carryOut(
    _ plan: TransmitOffloads.Plan, _ slot: Int, dataOffset: Int, byteCount: Int, _ offload: FrameOffload
  ) {
    switch plan {
    case .send(let information):
      if information.largeSend != nil { counters.largeSends.add(1) }
      if information.checksum != nil { counters.checksumRequests.add(1) }
      emit(slot, dataOffset: dataOffset, byteCount: byteCount, information)
    case .complete(let information):
      guard case .partial(let start, let offset) = offload.checksum,
        Int(start) + Int(offset) + 2 <= byteCount
      else { return drop(slot) }
      complete(slot, dataOffset: dataOffset, byteCount: byteCount, start: Int(start), offset: Int(offset))
      emit(slot, dataOffset: dataOffset, byteCount: byteCount, information)
    case .segment:
      beginCutting(slot, dataOffset: dataOffset, byteCount: byteCount, offload)
    }
  }

  /// Computes a checksum over the frame in `slot`.
  private func complete(_ slot: Int, dataOffset: Int, byteCount: Int, start: Int, offset: Int) {
    counters.softwareChecksums.add(1)
    var sum: UInt16 = 0
    var position = start
    while position < byteCount {
      let count = min(sumBuffer.count, byteCount - position)
      sum = sumBuffer.withMutableBytes { bytes in
        var part = bytes._mutatingExtracting(first: count)
        copyOut(slot, from: dataOffset + position, into: &part)
        return InternetChecksum.sum(part.bytes, 0..<count, seed: sum)
      }
      position += count
    }
    var checksum = ~sum
    // Zero says "no checksum" in UDP.
    if checksum == 0, offset == FrameHeaders.udpChecksumOffset { checksum = 0xffff }
    sumBuffer.withMutableBytes { bytes in
      bytes.storeBE(checksum, at: 0)
      copyIn(bytes.bytes.extracting(first: 2), slot, at: dataOffset + start + offset)
    }
  }
}
