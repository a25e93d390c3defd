import LinuxIO
import SCSI
import StorvscProtocol
import VMBusChannel
import VMBusProtocol
import WireBytes

/// From SCSI commands to packets.
extension StorvscQueue {
  /// Writes the commands that wait to the ring, in order, as far as it has room. Nothing is visible until the flush.
  func sendWaiting() {
    guard let channel else { return }
    do throws(ChannelError) {
      while let slot = toSend.first {
        let entry = slots[slot].entry
        if entry >= 0, entries[entry].isReported {
          // The owner may have reused the memory.
          _ = toSend.removeFirst()
          dropCommand(slot)
          continue
        }
        guard try send(slot, on: channel) else {
          counters.fullRings.add(1)
          ringIsFull = true
          // The host must see what is in the ring, or it will never make room.
          hasUnflushed = true
          if try channel.requestSpace(forPacketOf: packetByteCount(of: slot)) { continue }
          return
        }
        _ = toSend.removeFirst()
      }
      if ringIsFull {
        ringIsFull = false
        channel.cancelSpaceRequest()
      }
    } catch {
      loseChannel()
    }
  }

  /// What of the command is sent now: all of it, or the next step.
  private func currentPart(of command: CommandSlot) -> (lba: UInt64, blocks: UInt32, address: UInt64, byteCount: Int) {
    guard command.step > 0 else { return (command.lba, command.blocks, command.guestAddress, command.byteCount) }
    let blocks = min(command.step, command.blocks - command.stepsDone)
    let skipped = command.isZero ? 0 : UInt64(command.stepsDone) * UInt64(geometry.sectorByteCount)
    return (
      command.lba + UInt64(command.stepsDone), blocks, command.guestAddress + skipped,
      Int(blocks) * geometry.sectorByteCount
    )
  }

  /// The bytes that the host has to move for what was sent last; nil where the length says nothing.
  func expectedByteCount(of slot: Int) -> Int? {
    switch slots[slot].kind {
    case .read, .write, .modifyRead, .modifyWrite: currentPart(of: slots[slot]).byteCount
    default: nil
    }
  }

  private func packetByteCount(of slot: Int) -> Int {
    let part = currentPart(of: slots[slot])
    if part.byteCount == 0 { return PacketDescriptor.byteCount + StorvscPacket.byteCount }
    let pages = GPADLRange.pageCount(
      byteCount: UInt32(part.byteCount), byteOffset: UInt32(truncatingIfNeeded: part.address & 4095))
    return GPADirect.headerByteCount(rangeCount: 1, pageCount: pages) + StorvscPacket.byteCount
  }

  private func send(_ slot: Int, on channel: Channel) throws(ChannelError) -> Bool {
    let command = slots[slot]
    let part = currentPart(of: command)
    let isWriting =
      command.kind != .read && command.kind != .modifyRead && command.kind != .lbaStatus
      && command.kind != .readCapacity
    let direction: DataDirection = part.byteCount == 0 ? .none : isWriting ? .write : .read
    var request = SCSIRequest(
      block(for: command, part.lba, part.blocks), lun: disk.lun, direction: direction,
      dataByteCount: UInt32(part.byteCount))
    request.targetID = disk.target
    if command.kind == .control, let asked = controlCommand {
      request = SCSIRequest(
        asked.cdb, lun: asked.lun, direction: asked.direction, dataByteCount: UInt32(asked.byteCount))
      request.targetID = asked.target
    }
    generation &+= 1
    let id = UInt64(generation) << 32 | UInt64(slot + 1)
    let isSent = try payload.withMutableBytes { bytes throws(ChannelError) in
      StorvscPacket.request(.executeSRB).store(into: &bytes)
      request.store(into: &bytes, version: .v6_2)
      if part.byteCount == 0 {
        return try channel.sendInBand(transactionID: id, requestsCompletion: true, payload: bytes.bytes)
      }
      return try channel.sendGPADirect(
        transactionID: id, guestAddress: part.address, byteCount: part.byteCount, payload: bytes.bytes)
    }
    guard isSent else { return false }
    slots[slot].generation = generation
    slots[slot].state = .sent
    hasUnflushed = true
    counters.commands.add(1)
    return true
  }

  private func block(for command: CommandSlot, _ lba: UInt64, _ blocks: UInt32) -> CommandDescriptorBlock {
    switch command.kind {
    case .read, .modifyRead: .read16(lba: lba, blocks: blocks)
    case .write, .modifyWrite: .write16(lba: lba, blocks: blocks, fua: command.isForced)
    case .flush: .synchronizeCache16()
    case .unmap: .unmap(listLength: UInt16(command.byteCount))
    case .writeSame: .writeSame16(lba: lba, blocks: blocks, unmap: command.skip != 0)
    case .lbaStatus: .getLBAStatus(lba: lba, allocation: UInt32(command.byteCount))
    case .readCapacity: .readCapacity16(allocation: UInt32(command.byteCount))
    case .control: .testUnitReady
    }
  }

  /// Puts a command back in line.
  func resend(_ slot: Int) {
    counters.retries.add(1)
    slots[slot].state = .waiting
    toSend.append(slot)
  }

  /// Sends a command again at a later time.
  func delay(_ slot: Int, until time: UInt64) {
    slots[slot].state = .delayed
    slots[slot].retryAt = time
    delayedCount += 1
    setTimer(time)
  }

  // MARK: Time

  /// How often requests are looked at for their time limit.
  var tickNanoseconds: UInt64 {
    min(
      1_000_000_000, UInt64(options.requestMilliseconds) * 250_000, UInt64(max(4, options.outageMilliseconds)) * 250_000
    )
  }

  func setTimer(_ time: UInt64) {
    if timerDue == 0 || time < timerDue {
      timerDue = time
      timer.set(at: time)
    }
  }

  /// Looks after what waits for a time.
  func tick(_ now: UInt64) {
    timerDue = 0
    var isBusy = false
    for slot in 0..<slots.count where slots[slot].state == .delayed {
      if slots[slot].retryAt <= now, outageSince == 0 {
        delayedCount -= 1
        resend(slot)
      } else {
        setTimer(max(slots[slot].retryAt, now + 1_000_000))
      }
    }
    let limit = UInt64(options.requestMilliseconds) * 1_000_000
    for index in 0..<entries.count where entries[index].stage != .free {
      isBusy = true
      if entries[index].deadline == 0 {
        entries[index].deadline = now + limit
      } else if now >= entries[index].deadline, !entries[index].isReported, !entries[index].isStalled {
        expire(index)
      }
    }
    if outageSince != 0 {
      isBusy = true
      if disk.controller.isHostGone { channelsAreClosed() }
      if now - outageSince >= UInt64(options.outageMilliseconds) * 1_000_000 { failOutage() }
    }
    if isBusy { setTimer(now + tickNanoseconds) }
    if !toSend.isEmpty { sendWaiting() }
  }
}
