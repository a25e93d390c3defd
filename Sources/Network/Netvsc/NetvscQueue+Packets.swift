import Ethernet
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// What the host sends, from private copies of its packets.
extension NetvscQueue {
  func take(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    switch descriptor.type {
    case .completion:
      takeCompletion(descriptor.transactionID, packet.extracting(droppingFirst: descriptor.payloadOffset))
    case .transferPages: takeTransfer(descriptor, packet)
    default: takeNotice(descriptor, packet.extracting(droppingFirst: descriptor.payloadOffset))
    }
  }

  // MARK: Completions

  private func takeCompletion(_ id: UInt64, _ payload: RawSpan) {
    let low = id & 0xffff_ffff
    guard low >= 1, low <= UInt64(slots.count) else {
      if id == controlID, controlReply == nil {
        controlReply = payload.array(count: min(payload.byteCount, 64))
      } else if id == Self.rndisControlID, let control {
        control.pageIsFree()
      } else {
        counters.strayCompletions.add(1)
      }
      return
    }
    let slot = Int(low) - 1
    guard slots[slot].isSent, UInt64(slots[slot].generation) == id >> 32 else {
      counters.strayCompletions.add(1)
      return
    }
    slots[slot].isSent = false
    outstandingCount -= 1
    release(slot)
    do throws(NetvscError) {
      if try NVSPCompletion.packetStatus(parsing: payload) != .success { counters.sendErrors.add(1) }
    } catch {
      counters.protocolFaults.add(1)
    }
  }

  // MARK: Notices

  /// Notices have no answer of their own; whoever asks for one gets an empty one.
  private func takeNotice(_ descriptor: PacketDescriptor, _ payload: RawSpan) {
    if descriptor.isCompletionRequested { replies.append(descriptor.transactionID, .empty) }
    guard payload.byteCount >= 4 else {
      counters.protocolFaults.add(1)
      return
    }
    // Virtual functions (128, 129) were never asked for; other types mean nothing to a guest.
    guard NVSPMessageType(rawValue: payload.le32(at: 0)) == .sendIndirectionTable else { return }
    do throws(NetvscError) {
      link.indirectionTable = try NVSPIndirectionTable(parsing: payload, version: port.version)
    } catch {
      counters.protocolFaults.add(1)
    }
  }

  // MARK: Transfer pages

  private func takeTransfer(_ descriptor: PacketDescriptor, _ packet: RawSpan) {
    counters.receivedPackets.add(1)
    let id = descriptor.transactionID
    do {
      let ranges = try TransferPageRanges(parsing: packet, descriptor: descriptor)
      let message = try NVSPRNDISPacket(parsing: packet.extracting(droppingFirst: descriptor.payloadOffset))
      guard ranges.pageSetID == NVSPBuffer.receiveBufferID else { return refuse(id) }
      switch message.channelType {
      case .control: takeControl(id, ranges)
      case .data:
        guard setup != nil else { return refuse(id) }
        guard ranges.count > 0 else {
          replies.append(id, .success)
          return
        }
        arrivals.append(id)
        arrivals.append(UInt64(ranges.count))
        for index in 0..<ranges.count {
          let range = ranges[index]
          arrivals.append(UInt64(range.byteCount) | UInt64(range.byteOffset) << 32)
        }
        arrivedPacketCount += 1
      default: refuse(id)
      }
    } catch {
      refuse(id)
    }
  }

  private func refuse(_ id: UInt64) {
    counters.protocolFaults.add(1)
    replies.append(id, .failure)
  }

  /// RNDIS control is rare: it is copied out and handled at once.
  private func takeControl(_ id: UInt64, _ ranges: TransferPageRanges) {
    guard let control else { return refuse(id) }
    var isGood = ranges.count > 0
    for index in 0..<ranges.count {
      let range = ranges[index]
      let count = min(Int(range.byteCount), RNDISMessage.maximumReplyByteCount)
      guard range.fits(in: port.receiveBuffer.byteCount), count >= RNDISMessage.headerByteCount else {
        isGood = false
        continue
      }
      let message = [UInt8](zeroed: count) { port.receiveBuffer.copyOut(from: Int(range.byteOffset), into: &$0) }
      if !control.deliver(message) { isGood = false }
    }
    if !isGood { counters.protocolFaults.add(1) }
    replies.append(id, isGood ? .success : .failure)
  }
}
