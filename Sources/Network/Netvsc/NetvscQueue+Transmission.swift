import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// From slots to packets in the ring.
extension NetvscQueue {
  /// Puts the RNDIS header in front of the frame in `slot`, and the packet into the ring or in line for it.
  func emit(_ slot: Int, dataOffset: Int, byteCount: Int, _ information: PacketInformation) {
    let packet = RNDISPacket(
      informationByteCount: information.byteCount, dataByteCount: byteCount, dataOffset: dataOffset)
    let headCount = RNDISPacket.headerByteCount + information.byteCount
    let section = section(slot)
    sendMessageHead.withMutableBytes { bytes in
      packet.store(into: &bytes)
      information.store(into: &bytes)
      section.copyIn(bytes.bytes.extracting(first: headCount))
    }
    let inSection = min(packet.byteCount, section.byteCount)
    slots[slot].sectionByteCount = inSection
    slots[slot].overflowByteCount = packet.byteCount - inSection
    if packet.byteCount == inSection { releaseOverflow(slot) } else { counters.longFrames.add(1) }
    counters.sentFrames.add(1)
    counters.sentBytes.add(UInt64(byteCount))
    do throws(ChannelError) {
      if toSend.isEmpty, try write(slot) { return }
      ringIsFull()
      toSend.append(slot)
    } catch {
      end(error)
    }
  }

  /// Writes the packet of a slot to the ring; false when that has no room.
  func write(_ slot: Int) throws(ChannelError) -> Bool {
    let setup = setup!
    let entry = slots[slot]
    let generation = entry.generation &+ 1
    let id = UInt64(generation) << 32 | UInt64(slot + 1)
    let message = NVSPRNDISPacket(
      .data, sectionIndex: UInt32(setup.firstSection + slot), sectionByteCount: UInt32(entry.sectionByteCount))
    let isWritten = try packetPayload.withMutableBytes { bytes throws(ChannelError) in
      message.store(into: &bytes)
      guard entry.overflowByteCount > 0 else {
        return try channel.sendInBand(transactionID: id, requestsCompletion: true, payload: bytes.bytes)
      }
      return try channel.sendGPADirect(
        transactionID: id,
        guestAddress: setup.overflowAddress + UInt64(Int(entry.overflow) * QueueSetup.overflowByteCount),
        byteCount: entry.overflowByteCount, payload: bytes.bytes)
    }
    guard isWritten else { return false }
    slots[slot].generation = generation
    slots[slot].isSent = true
    outstandingCount += 1
    hasUnflushed = true
    return true
  }

  /// Writes the next control request, if there is one; false when the ring has no room.
  func writeControl() throws(ChannelError) -> Bool {
    guard let control else { return true }
    if controlMessage == nil, control.hasSomethingToSend { controlMessage = control.take() }
    guard let message = controlMessage else { return true }
    controlPage.copyIn(message.rawSpan)
    let payload = [UInt8](zeroed: NVSPRequest.byteCount) { NVSPRNDISPacket(.control).store(into: &$0) }
    guard
      try channel.sendGPADirect(
        transactionID: Self.rndisControlID, guestAddress: controlAddress, byteCount: message.count,
        payload: payload.rawSpan)
    else { return false }
    controlMessage = nil
    hasUnflushed = true
    return true
  }

  /// The longest packet that may wait for room in the ring, without trailer.
  var longestWaitingByteCount: Int {
    GPADirect.headerByteCount(rangeCount: 1, pageCount: QueueSetup.overflowByteCount / pageByteCount)
      + NVSPRequest.byteCount
  }
}
