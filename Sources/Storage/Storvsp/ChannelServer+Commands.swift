import Block
import SCSI
import SharedMemory
import StorvscProtocol
import WireBytes

/// The disk target: what each command of a guest does.
extension ChannelServer {
  mutating func execute(
    _ cdb: CommandDescriptorBlock, _ request: SCSIRequest, unit place: Int?, _ buffer: inout GuestBuffer,
    _ address: ReplyAddress
  ) {
    guard let place, let unit = units[place] else { return executeAbsent(cdb, request, &buffer, address) }
    let opcode = cdb.opcode
    // Linux's hv_storvsc takes a MODE SENSE(6) that failed for one that answered zeros, and the write cache for none.
    if unit.nexus.hasAttention, opcode != .inquiry, opcode != .reportLUNs, opcode != .requestSense,
      opcode != .modeSense6, let attention = unit.nexus.takeAttention()
    {
      return answer(address, .checkCondition(attention.sense))
    }
    let command: Command
    do throws(CommandError) { command = try Command(parsing: cdb) } catch {
      return answer(address, .checkCondition(error.senseData))
    }
    guard Self.agrees(request.direction, with: command, buffer.byteCount) else {
      return answer(address, .checkCondition(.invalidFieldInCDB))
    }
    let restrictions = unit.nexus.restrictions
    if !restrictions.isEmpty, !restrictions.isDisjoint(with: Self.access(of: command)) {
      return answer(address, .completion(.error, .reservationConflict))
    }
    switch command {
    case .read(let lba, let blocks, _, _):
      transfer(.read, lba, blocks, fua: false, place, unit, &buffer, address)
    case .write(let lba, let blocks, let fua, _):
      transfer(.write, lba, blocks, fua: fua, place, unit, &buffer, address)
    case .synchronizeCache(let lba, let blocks, _):
      guard unit.profile.contains(lba: lba, blocks: UInt64(blocks)) else {
        return answer(address, .checkCondition(.lbaOutOfRange))
      }
      flush(place, unit, address)
    case .startStop(let start, let loadEject, _, let powerCondition, _):
      guard !loadEject, powerCondition == 0 else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
      if start { return answer(address, .success(dataByteCount: 0)) }
      flush(place, unit, address)
    case .unmap(let length, let anchor):
      unmap(length, anchor, place, unit, &buffer, address)
    case .writeSame(let lba, let blocks, let unmap, let ndob, let anchor, _):
      writeSame(BlockExtent(lba: lba, blocks: blocks), unmap, ndob, anchor, place, unit, &buffer, address)
    case .getLBAStatus(let lba, let allocation):
      lbaStatus(lba, allocation, place, unit, &buffer, address)
    case .verify(let lba, let blocks, let byteCheck, _, let writing):
      verify(BlockExtent(lba: lba, blocks: blocks), byteCheck, writing, unit, address)
    default:
      executeControl(command, unit, &buffer, address)
    }
  }

  /// Whether the direction that the guest gives is the command's. Where no byte can move, it does not matter.
  private static func agrees(_ direction: DataDirection, with command: Command, _ byteCount: Int) -> Bool {
    if byteCount == 0 { return true }
    switch command.transferDirection {
    case .none: return true
    case .fromTarget: return direction == .read
    case .toTarget: return direction == .write
    }
  }

  /// What a command does with the medium, as far as reservations of others forbid it (T10 SPC-4, SBC-3: "conflict").
  private static func access(of command: Command) -> UnitNexus.Restrictions {
    switch command {
    case .read, .getLBAStatus: .read
    case .verify(_, _, _, _, let writing): writing ? .write : .read
    case .write, .synchronizeCache, .unmap, .writeSame, .modeSelect, .sendDiagnostic: .write
    case .startStop(let start, _, _, _, _): start ? [] : .write
    case .preventAllow(let prevent): prevent ? .write : []
    default: []
    }
  }

  // MARK: The medium

  @inline(__always)
  private mutating func transfer(
    _ work: IOSlot.Work, _ lba: UInt64, _ blocks: UInt32, fua: Bool, _ place: Int, _ unit: ChannelUnit,
    _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    let profile = unit.profile
    guard profile.sectorCount > 0 else { return answer(address, .checkCondition(.noMedium)) }
    guard profile.contains(lba: lba, blocks: UInt64(blocks)) else {
      return answer(address, .checkCondition(.lbaOutOfRange))
    }
    if work == .write, profile.isReadOnly { return answer(address, .checkCondition(.writeProtected)) }
    if blocks == 0 { return answer(address, .success(dataByteCount: 0)) }
    let count = UInt64(blocks) * profile.sectorByteCount
    guard count <= UInt64(buffer.byteCount) else { return answer(address, .overrun) }
    guard resolve(&buffer, byteCount: Int(count)) else {
      return answer(address, .checkCondition(.invalidFieldInCDB))
    }
    var slot = IOSlot(work: work, unit: Int16(place))
    slot.offset = lba * profile.sectorByteCount
    slot.remaining = count
    slot.result = UInt32(count)
    if fua, profile.hasWriteCache {
      if profile.supportsForceUnitAccess { slot.hasFlag = true } else { slot.work = .writeAndFlush }
    }
    enter(slot, unit, address)
  }

  /// Starts a command, unless its disk has nearly all slots of the channel and finishes nothing: the other disks of the
  /// channel must go on.
  private mutating func enter(_ slot: IOSlot, _ unit: ChannelUnit, _ address: ReplyAddress) {
    if unit.outstanding * 4 >= depth * 3, depth > 4, unit.isStalled() {
      clearSideTables(freeSlots[freeSlots.count - 1])
      return answer(address, .completion(.busy, .taskSetFull))
    }
    var slot = slot
    slot.transactionID = address.transactionID
    slot.replyByteCount = UInt8(address.byteCount)
    start(slot)
  }

  /// Everything that completed before is durable afterwards.
  private mutating func flush(_ place: Int, _ unit: ChannelUnit, _ address: ReplyAddress) {
    // Nothing can be volatile on a disk that is never written.
    if unit.profile.isReadOnly { return answer(address, .success(dataByteCount: 0)) }
    unit.hasWritten = false
    enter(IOSlot(work: .flush, unit: Int16(place)), unit, address)
  }

  private mutating func unmap(
    _ length: Int, _ anchor: Bool, _ place: Int, _ unit: ChannelUnit, _ buffer: inout GuestBuffer,
    _ address: ReplyAddress
  ) {
    let profile = unit.profile
    guard profile.supportsDiscard else { return answer(address, .checkCondition(.invalidOpcode)) }
    guard !anchor else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    if profile.isReadOnly { return answer(address, .checkCondition(.writeProtected)) }
    guard let bytes = parameterList(length, &buffer, address) else { return }
    var slot = IOSlot(work: .discard, unit: Int16(place))
    slot.result = UInt32(length)
    var ranges: [BlockExtent] = []
    do throws(ParameterDataError) {
      let list = try UnmapList(parsing: bytes.rawSpan)
      for index in 0..<list.count {
        let range = list[index]
        guard profile.contains(lba: range.lba, blocks: UInt64(range.blocks)) else {
          return answer(address, .checkCondition(.lbaOutOfRange))
        }
        if range.blocks > 0 { ranges.append(range) }
      }
    } catch {
      return answer(address, .checkCondition(error.senseData))
    }
    guard let first = ranges.first else { return answer(address, .success(dataByteCount: slot.result)) }
    slot.offset = first.lba * profile.sectorByteCount
    slot.remaining = UInt64(first.blocks) * profile.sectorByteCount
    slot.extentIndex = 1
    if ranges.count > 1 { extents[freeSlots[freeSlots.count - 1]] = ranges }
    enter(slot, unit, address)
  }

  private mutating func writeSame(
    _ extent: BlockExtent, _ unmap: Bool, _ ndob: Bool, _ anchor: Bool, _ place: Int, _ unit: ChannelUnit,
    _ buffer: inout GuestBuffer, _ address: ReplyAddress
  ) {
    let profile = unit.profile
    guard !anchor else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    guard profile.sectorCount > 0 else { return answer(address, .checkCondition(.noMedium)) }
    guard profile.contains(lba: extent.lba, blocks: UInt64(extent.blocks)) else {
      return answer(address, .checkCondition(.lbaOutOfRange))
    }
    let blocks = extent.blocks == 0 ? profile.sectorCount - extent.lba : UInt64(extent.blocks)
    // The LBA behind the last block is none, also for a range that "reaches to the end".
    guard blocks > 0 else { return answer(address, .checkCondition(.lbaOutOfRange)) }
    guard blocks <= DiskParameterData.maximumWriteSameByteCount / profile.sectorByteCount else {
      return answer(address, .checkCondition(.invalidFieldInCDB))
    }
    if profile.isReadOnly { return answer(address, .checkCondition(.writeProtected)) }
    let sector = Int(profile.sectorByteCount)
    var pattern = [UInt8](repeating: 0, count: sector)
    if !ndob {
      guard buffer.byteCount >= sector, resolve(&buffer, byteCount: sector) else {
        return answer(address, .checkCondition(.invalidFieldInCDB))
      }
      let memory = resolvedMemory
      pattern.withMutableBytes { memory.copyOut(into: &$0) }
    }
    var slot = IOSlot(work: .writeZeroes, hasFlag: unmap, unit: Int16(place))
    slot.offset = extent.lba * profile.sectorByteCount
    slot.remaining = blocks * profile.sectorByteCount
    slot.result = ndob ? 0 : UInt32(sector)
    if !profile.supportsWriteZeroes || pattern.contains(where: { $0 != 0 }) {
      slot.work = .writePattern
      slot.hasFlag = false
      guard let bounce = Self.bounce(pattern, Int(min(slot.remaining, profile.maximumTransferByteCount))) else {
        return answer(address, .completion(.busy, .busy))
      }
      bounces[freeSlots[freeSlots.count - 1]] = bounce
    }
    enter(slot, unit, address)
  }

  /// Memory full of `pattern`, whole pages, at most 64 KiB.
  private static func bounce(_ pattern: [UInt8], _ byteCount: Int) -> MemoryRegion? {
    guard let region = try? MemoryRegion(anonymous: min(byteCount, 65536)) else { return nil }
    for offset in stride(from: 0, to: region.byteCount, by: pattern.count) {
      region.slice.copyIn(pattern.rawSpan, at: offset)
    }
    return region
  }

  private mutating func lbaStatus(
    _ lba: UInt64, _ allocation: Int, _ place: Int, _ unit: ChannelUnit, _ buffer: inout GuestBuffer,
    _ address: ReplyAddress
  ) {
    let profile = unit.profile
    guard profile.sectorCount > 0 else { return answer(address, .checkCondition(.noMedium)) }
    guard lba < profile.sectorCount else { return answer(address, .checkCondition(.lbaOutOfRange)) }
    // One descriptor is given: 24 bytes.
    let count = min(allocation, buffer.byteCount, 24)
    guard resolve(&buffer, byteCount: count) else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    var slot = IOSlot(work: .extent, unit: Int16(place))
    slot.offset = lba * profile.sectorByteCount
    slot.remaining = (profile.sectorCount - lba) * profile.sectorByteCount
    slot.result = UInt32(count)
    enter(slot, unit, address)
  }

  private mutating func verify(
    _ extent: BlockExtent, _ byteCheck: UInt8, _ writing: Bool, _ unit: ChannelUnit, _ address: ReplyAddress
  ) {
    if writing { return answer(address, .checkCondition(.invalidOpcode)) }
    guard byteCheck == 0 else { return answer(address, .checkCondition(.invalidFieldInCDB)) }
    guard unit.profile.sectorCount > 0 else { return answer(address, .checkCondition(.noMedium)) }
    guard unit.profile.contains(lba: extent.lba, blocks: UInt64(extent.blocks)) else {
      return answer(address, .checkCondition(.lbaOutOfRange))
    }
    answer(address, .success(dataByteCount: 0))
  }

  // MARK: Data of control commands

  /// A private copy of the parameter list of a command; nil when it was answered already.
  mutating func parameterList(_ length: Int, _ buffer: inout GuestBuffer, _ address: ReplyAddress) -> [UInt8]? {
    guard length <= buffer.byteCount, length <= 65535 else {
      answer(address, .checkCondition(.parameterListLengthError))
      return nil
    }
    guard resolve(&buffer, byteCount: length) else {
      answer(address, .checkCondition(.invalidFieldInCDB))
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: length)
    let memory = resolvedMemory
    bytes.withMutableBytes { memory.copyOut(into: &$0) }
    return bytes
  }

  /// Gives `bytes` to the guest, as many as it has allocated and has room for.
  mutating func deliver(_ bytes: [UInt8], allocation: Int, _ buffer: inout GuestBuffer, _ address: ReplyAddress) {
    let count = min(bytes.count, allocation, buffer.byteCount)
    guard resolve(&buffer, byteCount: count) else {
      return answer(address, .checkCondition(.invalidFieldInCDB))
    }
    resolvedMemory.copyIn(bytes.rawSpan.extracting(first: count))
    answer(address, .success(dataByteCount: UInt32(count)))
  }
}

extension SCSIRequest {
  /// The guest's memory is too short for the data.
  static var overrun: SCSIRequest {
    .completion(.dataOverrun, .checkCondition, sense: .invalidFieldInCDB)
  }
}
