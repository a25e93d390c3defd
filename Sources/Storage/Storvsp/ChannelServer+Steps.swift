import LinuxIO
import Block
import SCSI
import SharedMemory
import StorvscProtocol
import VMBusChannel
import WireBytes

/// Carrying out commands that need the device: in one step nearly always, in slices where a command is larger than what
/// the device takes, or than what one guest may occupy it with.
extension ChannelServer {
  /// The longest step of a discard or of writing zeros, in bytes.
  private static let zeroSliceByteCount: UInt64 = 1 << 30

  /// Puts a command into the free slot whose table `resolve` has filled, and starts its first step.
  mutating func start(_ slot: IOSlot) {
    guard let tag = freeSlots.popLast(), let unit = units[Int(slot.unit)] else { return }
    slots[tag] = slot
    unit.outstanding += 1
    issue(tag, unit)
  }

  /// Submits the next step of a slot.
  private mutating func issue(_ tag: Int, _ unit: ChannelUnit) {
    let queue: any BlockQueue
    do throws(BlockError) { queue = try self.queue(of: unit) } catch {
      return complete(tag, unit, error.completion(isRead: slots[tag].work == .read))
    }
    let slot = slots[tag]
    let longest: UInt64
    switch slot.work {
    case .read, .write, .writeAndFlush: longest = unit.profile.maximumTransferByteCount
    case .writePattern: longest = UInt64(bounces[tag]?.byteCount ?? 0)
    default: longest = Self.zeroSliceByteCount
    }
    let count = slot.work == .extent ? slot.remaining : min(slot.remaining, longest)
    slots[tag].current = count
    var request = BlockRequest(.flush, tag: UInt32(tag), offset: slot.offset, byteCount: count)
    switch slot.work {
    case .read:
      request.operation = .read
      request.memory = memory(tag, slot, count)
    case .write, .writeAndFlush, .writePattern:
      request.operation = .write
      request.memory = memory(tag, slot, count)
      if slot.hasFlag { request.flags = .forceUnitAccess }
      unit.hasWritten = true
    case .writeZeroes:
      request.operation = .writeZeroes
      if slot.hasFlag { request.flags = .mayUnmap }
      unit.hasWritten = true
    case .discard:
      request.operation = .discard
      unit.hasWritten = true
    case .extent:
      request.operation = .extent
    case .flush, .idle:
      request.offset = 0
      request.byteCount = 0
    }
    queue.submit(request)
    unit.hasSubmissions = true
  }

  /// The memory of the next `count` bytes of a transfer.
  private mutating func memory(_ tag: Int, _ slot: IOSlot, _ count: UInt64) -> ScatterList {
    if slot.work == .writePattern, let bounce = bounces[tag] {
      parts[tag].removeAll()
      _ = parts[tag].append(bounce.slice.slice(at: 0, count: Int(count)))
      return parts[tag].list
    }
    if slot.done == 0, slot.remaining == count { return tables[tag].list }
    parts[tag].removeAll()
    let whole = tables[tag].list
    var skip = Int(slot.done)
    var left = Int(count)
    var index = 0
    while left > 0, index < whole.count {
      let piece = whole[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let length = min(left, piece.byteCount - skip)
      // There are never more pieces than in the whole.
      _ = parts[tag].append(piece.slice(at: skip, count: length))
      left -= length
      skip = 0
    }
    return parts[tag].list
  }

  /// A step has ended: the next one, or the answer.
  mutating func finishStep(_ completion: BlockCompletion) {
    let tag = Int(completion.tag)
    precondition(tag < depth && slots[tag].work != .idle, "a device completed what was not submitted")
    let slot = slots[tag]
    guard let unit = units[Int(slot.unit)] else { return }
    if isSilent { return release(tag, unit) }
    if slot.work == .extent { return finishExtent(tag, unit, completion) }
    if let error = completion.error { return complete(tag, unit, error.completion(isRead: slot.work == .read)) }
    slots[tag].offset += slot.current
    slots[tag].done += slot.current
    slots[tag].remaining -= slot.current
    if slots[tag].remaining > 0 { return issue(tag, unit) }
    switch slot.work {
    case .read:
      counters.reads.add(1)
      counters.readBytes.add(UInt64(slot.result))
    case .write:
      counters.writes.add(1)
      counters.writtenBytes.add(UInt64(slot.result))
    case .writeAndFlush:
      slots[tag].work = .flush
      return issue(tag, unit)
    case .discard where nextExtent(tag, unit):
      return issue(tag, unit)
    default: break
    }
    complete(tag, unit, .success(dataByteCount: slot.result))
  }

  /// Makes the next extent of the list the range of the slot; false after the last.
  private mutating func nextExtent(_ tag: Int, _ unit: ChannelUnit) -> Bool {
    let index = Int(slots[tag].extentIndex)
    guard index < extents[tag].count else { return false }
    slots[tag].offset = extents[tag][index].lba * unit.profile.sectorByteCount
    slots[tag].remaining = UInt64(extents[tag][index].blocks) * unit.profile.sectorByteCount
    slots[tag].extentIndex += 1
    return true
  }

  /// GET LBA STATUS: the state of the run at the asked block.
  private mutating func finishExtent(_ tag: Int, _ unit: ChannelUnit, _ completion: BlockCompletion) {
    let slot = slots[tag]
    if let error = completion.error, error != .notSupported {
      return complete(tag, unit, error.completion(isRead: true))
    }
    // A device that can't tell has stored everything.
    let found = completion.extent ?? BlockCompletion.Extent(byteCount: slot.remaining, isAllocated: true)
    let sector = unit.profile.sectorByteCount
    let blocks = max(1, min(found.byteCount, slot.remaining) / sector)
    let list = LBAStatusList([
      LBAStatusList.Descriptor(
        BlockExtent(lba: slot.offset / sector, blocks: UInt32(clamping: blocks)),
        found.isAllocated ? .mapped : .deallocated)
    ])
    let bytes = [UInt8](zeroed: list.byteCount) { list.encode(into: &$0) }
    let count = min(bytes.count, Int(slot.result))
    tables[tag].list.copyIn(bytes.rawSpan.extracting(first: count))
    complete(tag, unit, .success(dataByteCount: UInt32(count)))
  }

  private mutating func complete(_ tag: Int, _ unit: ChannelUnit, _ completion: SCSIRequest) {
    let slot = slots[tag]
    release(tag, unit)
    // A flush of this end itself, when the channel closes.
    if slot.replyByteCount == 0 { return }
    answer(ReplyAddress(transactionID: slot.transactionID, byteCount: Int(slot.replyByteCount)), completion)
  }

  private mutating func release(_ tag: Int, _ unit: ChannelUnit) {
    clearSideTables(tag)
    slots[tag].work = .idle
    freeSlots.append(tag)
    unit.finish()
  }

  /// Frees what a command has beside its slot: the next command in it must not find that.
  mutating func clearSideTables(_ tag: Int) {
    if !extents[tag].isEmpty { extents[tag] = [] }
    if bounces[tag] != nil { bounces[tag] = nil }
  }
}
