import LinuxIO
import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel
import WireBytes

/// From ranges of the receive buffer to frames.
extension NetvscQueue {
  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    beginTurn()
    var mayHaveMore = takePackets()
    if cut != nil { continueCutting() }
    var count = 0
    isSinkFull = false
    while count < limit {
      if !isFrameReady, !makeFrame() {
        guard mayHaveMore else { break }
        mayHaveMore = takePackets()
        continue
      }
      let list = frameTable.list
      guard sink.send(LentFrame(bytes: list, headerByteCount: frameHeaderByteCount, offload: frameOffload)) else {
        isSinkFull = true
        break
      }
      isFrameReady = false
      count += 1
      counters.receivedFrames.add(1)
      counters.receivedBytes.add(UInt64(list.byteCount))
    }
    // The memory of the last frame goes back as soon as it is not needed any more.
    if isPacketOpen, rangesLeft == 0, !isFrameReady { finishPacket() }
    // Where nothing is sent the other way, nobody else may flush for a long time.
    if replies.count >= 64 { flush() }
    return ForwardResult(frameCount: count, isBlocked: isSinkFull)
  }

  /// Puts the next frame together; false when there is none.
  private func makeFrame() -> Bool {
    while true {
      if rangesLeft == 0 {
        if isPacketOpen { finishPacket() }
        guard !arrivals.isEmpty else { return false }
        openPacket = arrivals.removeFirst()
        rangesLeft = Int(arrivals.removeFirst())
        isPacketOpen = true
        hasPacketFailed = false
        coalesced = CoalescedFrame()
      }
      rangesLeft -= 1
      let range = arrivals.removeFirst()
      do throws(NetvscError) {
        if try take(byteOffset: Int(range >> 32), byteCount: Int(range & 0xffff_ffff)) { return true }
      } catch {
        drop()
      }
    }
  }

  private func finishPacket() {
    isPacketOpen = false
    arrivedPacketCount -= 1
    replies.append(openPacket, hasPacketFailed || !coalesced.isComplete ? .failure : .success)
  }

  private func drop() {
    counters.receivedDrops.add(1)
    hasPacketFailed = true
  }

  /// Takes one range: a PACKET message with a frame or a fragment of one. Answers whether a frame is complete.
  private func take(byteOffset: Int, byteCount: Int) throws(NetvscError) -> Bool {
    let buffer = setup!.receiveBuffer
    guard byteOffset <= buffer.byteCount, byteCount <= buffer.byteCount - byteOffset,
      byteCount <= setup!.subAllocationByteCount
    else { throw .part(offset: 0, byteCount: 0, minimum: 0, available: buffer.byteCount) }
    let headCount = min(byteCount, Self.messageHeadByteCount)
    let (packet, information) = try messageHead.withMutableBytes { bytes throws(NetvscError) in
      var head = bytes._mutatingExtracting(first: headCount)
      buffer.copyOut(from: byteOffset, into: &head)
      let packet = try RNDISPacket(parsing: head.bytes, available: byteCount)
      guard packet.information.upperBound > headCount else {
        return (packet, try PacketInformation(parsing: head.bytes.extracting(packet.information)))
      }
      return (packet, try farInformation(packet.information, at: byteOffset))
    }
    let frame = buffer.slice(at: byteOffset + packet.data.lowerBound, count: packet.data.count)
    switch coalesced.take(information.packetID, byteCount: frame.byteCount) {
    case .whole:
      try begin(frame, information)
      finishFrame()
      return true
    case .first:
      try begin(frame, information)
      return false
    case .middle:
      guard frameTable.append(frame) else { throw .count(UInt32(CoalescedFrame.maximumFragmentCount)) }
      return false
    case .last:
      guard frameTable.append(frame) else { throw .count(UInt32(CoalescedFrame.maximumFragmentCount)) }
      counters.coalescedFrames.add(1)
      finishFrame()
      return true
    case .drop:
      drop()
      return false
    }
  }

  /// Per-packet information that does not lie where every known host puts it.
  private func farInformation(_ range: Range<Int>, at byteOffset: Int) throws(NetvscError) -> PacketInformation {
    guard range.count <= Self.maximumInformationByteCount else { throw .count(UInt32(clamping: range.count)) }
    let buffer = setup!.receiveBuffer
    return try informationList.withMutableBytes { bytes throws(NetvscError) in
      var list = bytes._mutatingExtracting(first: range.count)
      buffer.copyOut(from: byteOffset + range.lowerBound, into: &list)
      return try PacketInformation(parsing: list.bytes)
    }
  }

  /// Starts a frame with its first piece: its headers are copied, and only the copy is looked at.
  private func begin(_ piece: MemorySlice, _ information: PacketInformation) throws(NetvscError) {
    guard piece.byteCount >= FrameHeaders.networkOffset else {
      // Whatever follows of a coalesced frame has no start any more.
      coalesced.abandonFrame()
      throw .count(UInt32(piece.byteCount))
    }
    let count = min(piece.byteCount, LentFrame.copiedHeaderByteCount)
    frameHeaders.withMutableBytes { bytes in
      var headers = bytes._mutatingExtracting(first: count)
      piece.copyOut(into: &headers)
    }
    frameHeaderByteCount = count
    frameInformation = information
    frameTable.removeAll()
    _ = frameTable.append(headerPiece.slice(at: 0, count: count))
    _ = frameTable.append(piece.dropFirst(count))
  }

  private func finishFrame() {
    let byteCount = frameTable.list.byteCount
    let count = frameHeaderByteCount
    let mtu = setup!.mtu
    let information = frameInformation
    frameOffload = frameHeaders.withMutableBytes { bytes in
      var headers = bytes._mutatingExtracting(first: count)
      let offload = information.receiveOffload(headers: &headers, frameByteCount: byteCount, mtu: mtu)
      headerPiece.copyIn(headers.bytes)
      return offload
    }
    isFrameReady = true
  }
}

extension CoalescedFrame {
  /// Forgets the open frame: what follows of it is dropped.
  fileprivate mutating func abandonFrame() {
    // A fragment without a first one is what makes the packet fail.
    self = CoalescedFrame()
    _ = take(PacketID(id: 0, isFirst: false, isLast: false), byteCount: 0)
  }
}
