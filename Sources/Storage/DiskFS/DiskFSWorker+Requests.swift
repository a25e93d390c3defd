import Block
import FUSEBridge
import LinuxIO
import SharedMemory

extension DiskFSWorker {
  /// Answers a request, or parks its reply in `slot` (which is the last of `free`) and submits it to the device.
  mutating func dispatch(_ operation: FUSEOperation, _ reply: consuming FUSEReply, _ slot: Int) {
    switch operation {
    case .read(let node, let offset, let byteCount):
      read(node, offset, byteCount, reply, slot)
    case .write(let node, let offset, let payload, let flags):
      write(node, offset, payload.byteCount, flags, reply, slot)
    case .synchronize(let node):
      counters.flushes &+= 1
      guard range(of: node) != nil else { return refuse(reply, node == DiskTree.infoNode ? .EINVAL : .ENODEV) }
      guard info.hasWriteCache, !tree.isReadOnly else { return reply.succeed() }
      begin(.simple, reply, slot)
      submit(BlockRequest(.flush, tag: UInt32(slot)))
    case .allocate(let node, let mode, let offset, let byteCount):
      allocate(node, mode, offset, byteCount, reply, slot)
    case .seek(let node, let offset, let whence):
      seek(node, offset, whence, reply, slot)
    default:
      counters.others &+= 1
      answer(operation, reply)
    }
  }

  /// The range of a disk file; nil for other nodes.
  @inline(__always)
  func range(of node: UInt64) -> NodeRange? {
    guard node < UInt64(ranges.count), ranges[Int(node)].isPresent else { return nil }
    return ranges[Int(node)]
  }

  mutating func refuse(_ reply: consuming FUSEReply, _ errno: Errno) {
    counters.errors &+= 1
    reply.fail(errno)
  }

  /// Takes the slot for the request.
  private mutating func begin(_ work: Slot.Work, _ reply: consuming FUSEReply, _ slot: Int) {
    free.removeLast()
    channel.park(reply, in: slot)
    slots[slot].work = work
    slots[slot].flags = []
    slots[slot].doneByteCount = 0
    counters.inFlightHighWater = max(counters.inFlightHighWater, UInt64(inFlight))
  }

  mutating func submit(_ request: BlockRequest) {
    queue.submit(request)
    submittedSinceFlush += 1
  }

  private mutating func read(
    _ node: UInt64, _ offset: UInt64, _ byteCount: Int, _ reply: consuming FUSEReply, _ slot: Int
  ) {
    guard let range = range(of: node) else {
      counters.others &+= 1
      if node == DiskTree.infoNode { return readInfo(offset, byteCount, reply) }
      return refuse(reply, .ENODEV)
    }
    counters.reads &+= 1
    guard offset < range.byteCount, byteCount > 0 else {
      return reply.succeed(data: slots[slot].payload(at: 0, count: 0))
    }
    let count = min(UInt64(min(byteCount, channel.transferByteCount)), range.byteCount - offset)
    let start = range.offset + offset
    // The device sees whole sectors; the answer is the middle of them.
    let alignedStart = start / alignment * alignment
    let alignedEnd = min((start + count + alignment - 1) / alignment * alignment, info.byteCount)
    begin(.read, reply, slot)
    slots[slot].offset = alignedStart
    slots[slot].byteCount = Int(max(alignedEnd, start + count) - alignedStart)
    slots[slot].replyOffset = Int(start - alignedStart)
    slots[slot].replyByteCount = Int(count)
    submitPiece(slot, .read)
  }

  private func readInfo(_ offset: UInt64, _ byteCount: Int, _ reply: consuming FUSEReply) {
    let bytes = tree.infoBytes
    let start = min(bytes.count, Int(clamping: offset))
    let end = min(bytes.count, start + max(0, byteCount))
    reply.succeed(bytes: bytes[start..<end])
  }

  private mutating func write(
    _ node: UInt64, _ offset: UInt64, _ byteCount: Int, _ flags: Int32, _ reply: consuming FUSEReply, _ slot: Int
  ) {
    guard let range = range(of: node) else { return refuse(reply, node == DiskTree.infoNode ? .EROFS : .ENODEV) }
    counters.writes &+= 1
    if tree.isReadOnly { return refuse(reply, .EROFS) }
    if byteCount == 0 { return reply.succeed(writtenByteCount: 0) }
    // As on a block device: what lies behind the end is cut off, and nothing is written there.
    guard offset < range.byteCount else { return refuse(reply, .ENOSPC) }
    let count = min(UInt64(byteCount), range.byteCount - offset)
    begin(.write, reply, slot)
    slots[slot].offset = range.offset + offset
    slots[slot].byteCount = Int(count)
    slots[slot].replyByteCount = Int(count)
    if flags & Self.durable != 0, info.hasWriteCache { slots[slot].flags = .forceUnitAccess }
    submitPiece(slot, .write)
  }

  /// O_DSYNC, which O_SYNC contains: each write is durable when it is answered.
  private static let durable: Int32 = 0o10000

  /// Submits as much of a slot's transfer as the device takes at once.
  mutating func submitPiece(_ slot: Int, _ operation: BlockOperation) {
    let done = slots[slot].doneByteCount
    let count = min(slots[slot].byteCount - done, pieceByteCount)
    slots[slot].pieceByteCount = count
    let memory = tables.list(of: slots[slot].payload(at: done, count: count), slot: slot)
    let flags = info.supportsForceUnitAccess ? slots[slot].flags : []
    submit(
      BlockRequest(
        operation, tag: UInt32(slot), offset: slots[slot].offset + UInt64(done), byteCount: UInt64(count),
        memory: memory, flags: flags))
  }

  private mutating func allocate(
    _ node: UInt64, _ mode: FUSEAllocationMode, _ offset: UInt64, _ byteCount: UInt64, _ reply: consuming FUSEReply,
    _ slot: Int
  ) {
    counters.discards &+= 1
    guard let range = range(of: node) else { return refuse(reply, node == DiskTree.infoNode ? .EROFS : .ENODEV) }
    if tree.isReadOnly { return refuse(reply, .EROFS) }
    let releases = mode.contains(.punchHole)
    guard mode.subtracting([.keepSize]) == (releases ? .punchHole : .zeroRange) else {
      return refuse(reply, .EOPNOTSUPP)
    }
    guard offset < range.byteCount else { return releases ? reply.succeed() : refuse(reply, .ENOSPC) }
    if !releases, byteCount > range.byteCount - offset { return refuse(reply, .ENOSPC) }
    let count = min(byteCount, range.byteCount - offset)
    let discards = releases && info.supportsDiscard && info.discardReadsZero
    guard discards || info.supportsWriteZeroes else { return refuse(reply, .EOPNOTSUPP) }
    begin(.simple, reply, slot)
    submit(
      BlockRequest(
        discards ? .discard : .writeZeroes, tag: UInt32(slot), offset: range.offset + offset, byteCount: count,
        flags: releases ? .mayUnmap : []))
  }

  private mutating func seek(
    _ node: UInt64, _ offset: UInt64, _ whence: SeekTarget, _ reply: consuming FUSEReply, _ slot: Int
  ) {
    counters.others &+= 1
    guard whence == .data || whence == .hole else { return refuse(reply, .EINVAL) }
    guard let range = range(of: node) else {
      guard node == DiskTree.infoNode else { return refuse(reply, .ENODEV) }
      let count = UInt64(tree.infoBytes.count)
      if offset >= count { return refuse(reply, .ENXIO) }
      return reply.succeed(position: whence == .data ? offset : count)
    }
    guard offset < range.byteCount else { return refuse(reply, .ENXIO) }
    begin(whence == .data ? .seekData : .seekHole, reply, slot)
    slots[slot].fileOffset = range.offset
    slots[slot].offset = range.offset + offset
    slots[slot].byteCount = Int(range.byteCount - offset)
    submitSearch(slot)
  }

  /// Asks for the state of the bytes that a search has come to.
  mutating func submitSearch(_ slot: Int) {
    let done = slots[slot].doneByteCount
    submit(
      BlockRequest(
        .extent, tag: UInt32(slot), offset: slots[slot].offset + UInt64(done),
        byteCount: UInt64(slots[slot].byteCount - done)))
  }
}
