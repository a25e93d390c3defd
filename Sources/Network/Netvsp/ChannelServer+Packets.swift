import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

extension ChannelServer {
  /// The longest control message, in bytes.
  private static let maximumControlByteCount = 8192

  /// Takes one packet: a private copy, whose descriptor fits it.
  mutating func handle(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    if descriptor.type == .completion { return receiveCompleted(descriptor.transactionID) }
    let payload = packet.extracting(descriptor.payloadOffset..<packet.byteCount)
    guard payload.byteCount >= 4 else {
      return fail(.protocolFault("an NVSP message of \(payload.byteCount) bytes"))
    }
    if payload.le32(at: 0) == NVSPMessageType.sendRNDISPacket.rawValue {
      takeRNDIS(descriptor, packet, payload)
    } else {
      guard isPrimary, descriptor.type == .inBand else {
        return fail(.protocolFault("NVSP message \(payload.le32(at: 0)) on a sub-channel, or with memory"))
      }
      negotiate(descriptor, payload)
    }
  }

  /// The guest gives sub-allocations back.
  private mutating func receiveCompleted(_ transactionID: UInt64) {
    if isPrimary, transactionID < UInt64(ChannelPlan.controlCount) {
      guard control.complete(transactionID) else {
        return fail(.protocolFault("a completion of control message \(transactionID), which is not outstanding"))
      }
      return
    }
    // A buffer that was taken back has nothing outstanding; what comes late is of no use.
    guard plan.receive != nil else { return counters.strayCompletions.add(1) }
    if sink.complete(transactionID) { return }
    let count = UInt64(plan.receive?.section.subAllocationCount ?? 0)
    guard !sink.owns(transactionID), transactionID < count else {
      return fail(.protocolFault("a completion of packet \(transactionID), which is not outstanding"))
    }
    counters.strayCompletions.add(1)
  }

  /// RNDIS, data or control, in a section, in guest memory, or both.
  private mutating func takeRNDIS(_ descriptor: PacketDescriptor, _ packet: RawSpan, _ payload: RawSpan) {
    guard let message = try? NVSPRNDISPacket(parsing: payload) else {
      return fail(.protocolFault("a short SEND_RNDIS_PKT"))
    }
    guard !isPrimary || negotiation.beginRNDIS() else {
      return fail(.protocolFault("RNDIS before the receive buffer"))
    }
    var section: MemorySlice?
    if message.sectionIndex != nil {
      guard let send = plan.send else {
        // A section of a buffer that the guest has taken back names nothing any more.
        if negotiation.step == .revoked || !isPrimary { return refuse(descriptor) }
        return fail(.protocolFault("a section of a send buffer that is not there"))
      }
      guard
        let range = message.sectionRange(
          sectionByteCount: send.sectionByteCount, bufferByteCount: send.mapping.slice.byteCount)
      else { return fail(.protocolFault("a section outside the send buffer")) }
      section = send.mapping.slice.slice(at: range.lowerBound, count: range.count)
    }
    let first = transmit.gather(section: section, descriptor, packet, in: session.guest.memory)
    switch message.channelType {
    case .control:
      guard isPrimary else { return fail(.protocolFault("RNDIS control on a sub-channel")) }
      guard first != nil, transmit.byteCount >= 8, transmit.byteCount <= Self.maximumControlByteCount else {
        return fail(.protocolFault("an RNDIS control message without memory, or too long"))
      }
      if descriptor.isCompletionRequested { complete(descriptor.transactionID, .success) }
      takeControl(transmit.bytes())
    case .data:
      guard let first, transmit.byteCount >= 8 else {
        counters.sendErrors.add(1)
        return refuse(descriptor)
      }
      guard plan.isInitialized else {
        counters.sendDiscards.add(1)
        return refuse(descriptor)
      }
      transmit.begin(
        TransmitPath.Transfer(
          transactionID: descriptor.transactionID, wantsCompletion: descriptor.isCompletionRequested,
          firstByteCount: first))
      sendFrames()
    default:
      fail(.protocolFault("RNDIS of channel type \(message.channelType.rawValue)"))
    }
  }

  private mutating func refuse(_ descriptor: PacketDescriptor) {
    if descriptor.isCompletionRequested { complete(descriptor.transactionID, .failure) }
  }

  // MARK: Answers

  /// Answers an RNDIS packet.
  mutating func complete(_ transactionID: UInt64, _ status: NVSPStatus) {
    answer(transactionID, .rndisPacket(status), byteCount: plan.version.hostMessageByteCount)
  }

  /// Answers a packet; what the ring has no room for waits.
  mutating func answer(_ transactionID: UInt64, _ completion: NVSPCompletion, byteCount: Int) {
    let owed = OwedCompletion(transactionID: transactionID, completion: completion, byteCount: byteCount)
    guard self.owed.isEmpty, send(owed) else {
      if !isSilent { self.owed.append(owed) }
      return
    }
  }

  /// Sends what had no room; whether any of it has gone.
  mutating func sendOwed() -> Bool {
    guard !owed.isEmpty else { return false }
    var count = 0
    while count < owed.count, send(owed[count]) { count += 1 }
    owed.removeFirst(count)
    return count > 0
  }

  private mutating func send(_ owed: OwedCompletion) -> Bool {
    if isSilent { return false }
    do throws(ChannelError) {
      let channel = channel
      return try reply.withMutableBytes { bytes throws(ChannelError) in
        let count = owed.completion.store(into: &bytes, byteCount: owed.byteCount)
        let payload = bytes.bytes.extracting(first: count)
        if try channel.sendCompletion(transactionID: owed.transactionID, payload: payload) { return true }
        guard try channel.requestSpace(forPacketOf: 16 + (count + 7) & ~7) else { return false }
        return try channel.sendCompletion(transactionID: owed.transactionID, payload: payload)
      }
    } catch {
      fail(error)
      return false
    }
  }
}
