import LinuxIO
import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// From frames to packets.
extension NetvscQueue {
  // MARK: The sink

  func reserve() -> FrameRoom? {
    if reserved < 0 {
      guard let slot = takeSlot(isLong: true) else { return nil }
      reserved = slot
      roomTable.removeAll()
      _ = roomTable.append(section(slot).dropFirst(Self.roomOffset))
      _ = roomTable.append(overflow(slot))
    }
    return FrameRoom(bytes: roomTable.list)
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    precondition(reserved >= 0 && start >= 0 && byteCount >= 0 && start + byteCount <= roomTable.list.byteCount)
    let slot = reserved
    reserved = -1
    guard byteCount >= FrameHeaders.networkOffset, fault == nil else {
      drop(slot)
      return
    }
    let dataOffset = Self.roomOffset + start
    guard offload.needsChecksum || offload.segmentation != .none else {
      var information = PacketInformation()
      information.vlan = offload.vlan.map { PacketVLAN(tagControl: $0) }
      return emit(slot, dataOffset: dataOffset, byteCount: byteCount, information)
    }
    let count = min(byteCount, Self.sendHeaderByteCount)
    sendHeaders.withMutableBytes { bytes in
      var headers = bytes._mutatingExtracting(first: count)
      copyOut(slot, from: dataOffset, into: &headers)
    }
    let plan = plan(offload, headerByteCount: count, frameByteCount: byteCount)
    if offload.segmentation != .none, case .send = plan {
      copyHeadersIn(count, slot, at: dataOffset)
    }
    carryOut(plan, slot, dataOffset: dataOffset, byteCount: byteCount, offload)
  }

  func send(_ frame: LentFrame) -> Bool {
    let byteCount = frame.byteCount
    guard fault == nil, let setup else { return false }
    guard byteCount >= FrameHeaders.networkOffset,
      byteCount <= setup.sectionByteCount - Self.roomOffset + QueueSetup.overflowByteCount
    else {
      counters.sentDrops.add(1)
      return true
    }
    guard let slot = takeSlot(isLong: byteCount > setup.sectionByteCount - Self.roomOffset) else { return false }
    guard frame.offload.needsChecksum || frame.offload.segmentation != .none else {
      var information = PacketInformation()
      information.vlan = frame.offload.vlan.map { PacketVLAN(tagControl: $0) }
      let dataOffset = RNDISPacket.headerByteCount + information.byteCount
      copyIn(frame.bytes, slot, at: dataOffset)
      emit(slot, dataOffset: dataOffset, byteCount: byteCount, information)
      return true
    }
    let count = min(byteCount, Self.sendHeaderByteCount)
    sendHeaders.withMutableBytes { bytes in
      var headers = bytes._mutatingExtracting(first: count)
      frame.bytes.copyOut(into: &headers)
    }
    let plan = plan(frame.offload, headerByteCount: count, frameByteCount: byteCount)
    let dataOffset =
      switch plan {
      case .send(let information), .complete(let information):
        RNDISPacket.headerByteCount + information.byteCount
      case .segment: Self.roomOffset
      }
    copyIn(frame.bytes, slot, at: dataOffset)
    // What was planned with is what is sent, whatever became of the original since.
    copyHeadersIn(count, slot, at: dataOffset)
    carryOut(plan, slot, dataOffset: dataOffset, byteCount: byteCount, frame.offload)
    return true
  }

  /// Whether a frame of any length could be taken now.
  var hasRoom: Bool {
    reserved >= 0 || cut == nil && toSend.isEmpty && !isRingFull && !freeSlots.isEmpty && !freeOverflows.isEmpty
  }

  private func takeSlot(isLong: Bool) -> Int? {
    guard fault == nil, setup != nil else { return nil }
    if !isAdmitting(isLong) {
      // What keeps frames from being taken may have ended: the ring has room, the host has sent completions.
      takePackets()
      if isRingFull || !toSend.isEmpty { writeWaiting() }
      continueCutting()
      guard isAdmitting(isLong) else {
        counters.noRoom.add(1)
        return nil
      }
    }
    let slot = freeSlots.pop()
    if isLong { slots[slot].overflow = Int32(freeOverflows.pop()) }
    return slot
  }

  private func isAdmitting(_ isLong: Bool) -> Bool {
    cut == nil && toSend.isEmpty && !isRingFull && !freeSlots.isEmpty && !(isLong && freeOverflows.isEmpty)
  }

  func release(_ slot: Int) {
    releaseOverflow(slot)
    freeSlots.push(slot)
  }

  func releaseOverflow(_ slot: Int) {
    if slots[slot].overflow >= 0 {
      freeOverflows.push(Int(slots[slot].overflow))
      slots[slot].overflow = -1
    }
  }

  func drop(_ slot: Int) {
    counters.sentDrops.add(1)
    release(slot)
  }

  /// A slot for a piece of a frame that is cut; nil when there is none now.
  func takeCuttingSlot(isLong: Bool) -> Int? {
    guard !freeSlots.isEmpty, !(isLong && freeOverflows.isEmpty), toSend.isEmpty else { return nil }
    let slot = freeSlots.pop()
    if isLong { slots[slot].overflow = Int32(freeOverflows.pop()) }
    return slot
  }
}
