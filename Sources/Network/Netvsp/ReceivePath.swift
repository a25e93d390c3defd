import Ethernet
import LinuxIO
import NetvscProtocol
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The way of frames to the guest, on one channel: room in the receive buffer, RNDIS headers in front of it, and the
/// packets that tell the guest about them.
struct ReceivePath: ~Copyable {
  /// The most sub-allocations of one frame: one of 64 KiB where they are smallest.
  static let maximumPieceCount = 64
  /// Room for the longest frame, wherever it starts.
  static let longestRoomByteCount = FrameRoom.maximumFrameByteCount + 64

  let channel: Channel
  let counters: NetvspCounters

  var fault: ChannelError?
  /// The ring had no room for the packet that was gathered.
  var isStuck = false

  var pool = ReceivePool(0..<0)
  var buffer: MemorySlice?
  var bufferID = NVSPBuffer.receiveBufferID
  var subAllocationByteCount = 0
  /// The bytes of a frame that one sub-allocation holds.
  var capacity = 0
  var isReceiving = false
  var coalesces4 = false
  var coalesces6 = false
  var frameByteCount = 1514
  var hashTypes: RSSHashTypes?
  var maximumRangeCount = 375
  /// The ranges of a packet that the ring takes.
  let ringRangeCount: Int
  /// The size of an NVSP message, in bytes.
  var messageByteCount = NVSPVersion.v1.hostMessageByteCount

  /// The room for the next frame: the sub-allocations that the pool gives away next. A frame takes the first ones, the
  /// others stay.
  var room = ScatterTable(capacity: 2 * maximumPieceCount)
  /// How many sub-allocations it has; 0 if there is none.
  var roomPieceCount = 0
  /// Room for frames that nobody wants.
  let scratch: MemoryRegion
  var isScratch = false

  var packet = [UInt8](repeating: 0, count: Channel.maximumPacketByteCount)
  var rangeCount = 0
  var header = [UInt8](repeating: 0, count: 192)
  var headers = [UInt8](repeating: 0, count: LentFrame.copiedHeaderByteCount)
  var sumBytes: [UInt8] = [0, 0]
  var nextFrameID: UInt16 = 0
  var hasRoomNotice = false

  init(_ channel: Channel, counters: NetvspCounters) throws(Errno) {
    self.channel = channel
    self.counters = counters
    scratch = try MemoryRegion(anonymous: Self.longestRoomByteCount)
    ringRangeCount = max(1, (channel.maximumOutgoingByteCount - 8 - 24 - NVSPRequest.byteCount) / 8)
  }

  /// Takes up a plan. What is reserved or gathered is given up when the guest wants no frames any more.
  mutating func apply(_ plan: ChannelPlan, index: Int) {
    frameByteCount = plan.frameByteCount
    coalesces4 = plan.coalesces4
    coalesces6 = plan.coalesces6
    hashTypes = plan.hashTypes
    messageByteCount = plan.version.hostMessageByteCount
    maximumRangeCount = min(plan.maximumRangeCount, ringRangeCount)
    isReceiving = plan.isReceiving
    let partition = plan.partition(index)
    if pool.range != partition || buffer != plan.receive?.mapping.slice {
      abandonPacket()
      pool = ReceivePool(partition)
      buffer = plan.receive?.mapping.slice
      bufferID = plan.receive?.id ?? NVSPBuffer.receiveBufferID
      subAllocationByteCount = Int(plan.receive?.section.subAllocationByteCount ?? 0)
      capacity = subAllocationByteCount - ChannelPlan.headerByteCount - ChannelPlan.tailByteCount
    } else if !isReceiving {
      abandonPacket()
    }
    roomPieceCount = 0
    hasRoomNotice = true
  }

  var isIdle: Bool { pool.lentPacketCount == 0 && rangeCount == 0 }

  mutating func takeRoomNotice() -> Bool {
    defer { hasRoomNotice = false }
    return hasRoomNotice
  }

  /// Whether the packet, if there is such a one, is of this channel.
  func owns(_ transactionID: UInt64) -> Bool { pool.range.contains(Int(clamping: transactionID)) }

  /// The guest gives a packet back; false when it did not have it.
  mutating func complete(_ transactionID: UInt64) -> Bool {
    guard pool.complete(transactionID) else { return false }
    // The room that was reserved names the next free ones, and these are now the next.
    roomPieceCount = 0
    hasRoomNotice = true
    return true
  }

  // MARK: Room

  mutating func reserve() -> FrameRoom? {
    guard isReceiving else {
      isScratch = true
      roomPieceCount = 0
      room.removeAll()
      _ = room.append(scratch.slice)
      return FrameRoom(bytes: room.list)
    }
    let isLong = coalesces4 || coalesces6
    let longest = isLong ? Self.longestRoomByteCount : 1
    guard prepareRoom(pieceCount: (longest + capacity - 1) / capacity) else { return nil }
    return FrameRoom(bytes: room.list)
  }

  /// Makes `room` name `count` free sub-allocations that fit the packet that is being gathered; false when there are not
  /// as many.
  mutating func prepareRoom(pieceCount count: Int) -> Bool {
    isScratch = false
    guard let buffer, capacity > 0 else { return false }
    guard pool.freeCount >= count else {
      counters.receiveNoBuffer.add(1)
      return false
    }
    if rangeCount + count > maximumRangeCount, !sendPacket() { return false }
    if roomPieceCount == 0 { room.removeAll() }
    while roomPieceCount < count {
      let start = pool.candidate(roomPieceCount) * subAllocationByteCount + ChannelPlan.headerByteCount
      guard room.append(buffer.slice(at: start, count: capacity)) else { return false }
      roomPieceCount += 1
    }
    return true
  }

  // MARK: Frames

  mutating func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    // The guest may have taken its buffer back since.
    if isScratch || !isReceiving || roomPieceCount == 0 { return counters.receiveDiscards.add(1) }
    let list = room.list
    precondition(start >= 0 && start < 64 && byteCount >= 0 && start + byteCount <= list.byteCount)
    guard byteCount >= 14 else { return counters.receiveErrors.add(1) }
    let headerCount = min(byteCount, headers.count)
    headers.withMutableBytes { bytes in
      var window = bytes._mutatingExtracting(0..<headerCount)
      list.copyOut(from: start, into: &window)
    }
    if takes(offload.segmentation) {
      deliver(start: start, byteCount: byteCount, offload: offload, headerCount: headerCount)
    } else {
      counters.receiveErrors.add(1)
    }
  }

  /// Takes a frame that lies elsewhere: copies it into the receive buffer.
  mutating func send(_ frame: LentFrame) -> Bool {
    guard isReceiving else {
      counters.receiveDiscards.add(1)
      return true
    }
    let byteCount = frame.byteCount
    guard byteCount >= 14, byteCount <= FrameRoom.maximumFrameByteCount, capacity > 0, takes(frame.offload.segmentation)
    else {
      counters.receiveErrors.add(1)
      return true
    }
    let count = (byteCount + capacity - 1) / capacity
    guard count <= min(pool.range.count, maximumRangeCount, Self.maximumPieceCount) else {
      counters.receiveErrors.add(1)
      return true
    }
    guard prepareRoom(pieceCount: count) else { return false }
    let headerCount = min(byteCount, headers.count, frame.bytes[0].byteCount)
    headers.withMutableBytes { bytes in
      var window = bytes._mutatingExtracting(0..<headerCount)
      frame.bytes.copyOut(into: &window)
    }
    room.list.copyIn(frame.bytes)
    deliver(start: 0, byteCount: byteCount, offload: frame.offload, headerCount: headerCount)
    return true
  }

  /// Whether a frame is to be cut before the guest can take it.
  func mustCut(_ offload: FrameOffload) -> Bool { isReceiving && !takes(offload.segmentation) }

  /// Whether there is room for all segments of a frame; also if there never is, since it is dropped then.
  mutating func hasRoom(forSegmentsOf frame: LentFrame) -> Bool {
    let segment: UInt16
    switch frame.offload.segmentation {
    case .none: return true
    case .tcp4(let count, _), .tcp6(let count, _): segment = max(count, 1)
    }
    let count = frame.byteCount / Int(segment) + 1
    if count > pool.range.count { return true }
    if count <= pool.freeCount {
      // Where the packet that is gathered may fill up meanwhile, the ring must take it.
      return rangeCount + count <= maximumRangeCount || sendPacket()
    }
    counters.receiveNoBuffer.add(1)
    return false
  }

  /// A private copy of the frame in the room, which is free again; nil for what is none.
  mutating func takeOut(start: Int, byteCount: Int) -> MemorySlice? {
    let list = room.list
    guard roomPieceCount > 0, start >= 0, byteCount >= 14, start + byteCount <= list.byteCount else { return nil }
    let copy = scratch.slice.slice(at: 0, count: byteCount)
    var done = 0
    var skip = start
    var index = 0
    while done < byteCount {
      let piece = list[index]
      let part = min(piece.byteCount - skip, byteCount - done)
      copy.copyIn(piece.slice(at: skip, count: part), at: done)
      done += part
      skip = 0
      index += 1
    }
    return copy
  }

  /// Whether a frame of that form goes to the guest whole.
  private func takes(_ segmentation: FrameOffload.Segmentation) -> Bool {
    switch segmentation {
    case .none: true
    case .tcp4: coalesces4
    case .tcp6: coalesces6
    }
  }

  /// Completes the frame in the room, puts headers in front of its pieces, and adds them to the packet.
  private mutating func deliver(start: Int, byteCount: Int, offload: FrameOffload, headerCount: Int) {
    // The tag that was taken out does not count.
    guard offload.segmentation != .none || byteCount <= frameByteCount + 4 else { return counters.receiveErrors.add(1) }
    var told = offload
    if offload.needsChecksum { told.checksum = .verified }
    var information = PacketInformation(
      receiving: told, headers: headers.rawSpan.extracting(first: headerCount),
      hashInfo: hashInfo(offload, headerCount: headerCount))
    if case .partial(let sumStart, let field) = offload.checksum {
      let word = ReceiveChecksum(rawValue: information.checksum ?? 0)
      if offload.segmentation != .none, byteCount > frameByteCount, word.contains(.tcpSucceeded) {
        // A frame longer than the MTU reaches no medium as it is: the guest is told that the checksum is good, and that
        // the field does not hold it. So nobody has to read the whole frame.
        information.checksum = word.union(.tcpValueInvalid).rawValue
      } else if !completeChecksum(start: start, byteCount: byteCount, Int(sumStart), Int(field)) {
        return counters.receiveErrors.add(1)
      }
    }
    let destination = headers.rawSpan.be64(at: 0) >> 16
    counters.received.count(destination, byteCount: byteCount)
    let pieceCount = (start + byteCount + capacity - 1) / capacity
    if pieceCount > 1 { nextFrameID &+= 1 }
    var skip = start
    var left = byteCount
    for index in 0..<pieceCount {
      if pieceCount > 1 {
        information.packetID = PacketID(id: nextFrameID, isFirst: index == 0, isLast: index == pieceCount - 1)
      }
      let part = min(capacity - skip, left)
      addPiece(information, skip: skip, byteCount: part)
      left -= part
      skip = 0
      // Of the later pieces only the place counts.
      information = PacketInformation()
    }
    room.removeFirst(pieceCount)
    roomPieceCount -= pieceCount
  }

  /// Sums a partial frame in place: the guest can only harm itself by changing it meanwhile.
  private mutating func completeChecksum(start: Int, byteCount: Int, _ sumStart: Int, _ field: Int) -> Bool {
    guard sumStart + field + 2 <= byteCount else { return false }
    let list = room.list
    var checksum = ~InternetChecksum.sum(list, from: start + sumStart, count: byteCount - sumStart)
    // Zero says "no checksum" in UDP.
    if checksum == 0, field == FrameHeaders.udpChecksumOffset { checksum = 0xffff }
    sumBytes.withMutableBytes { $0.storeBE(checksum, at: 0) }
    list.copyIn(sumBytes.rawSpan, at: start + sumStart + field)
    return true
  }

  private func hashInfo(_ offload: FrameOffload, headerCount: Int) -> RSSHashTypes? {
    guard offload.flowHash != nil, let hashTypes else { return nil }
    return ToeplitzHash.info(of: headers.rawSpan.extracting(first: headerCount), types: hashTypes)
  }

  /// Takes the next sub-allocation of the room, with `byteCount` bytes of a frame `skip` bytes into its room.
  private mutating func addPiece(_ information: PacketInformation, skip: Int, byteCount: Int) {
    guard let buffer else { return }
    let offset = pool.take() * subAllocationByteCount
    let message = RNDISPacket(
      informationByteCount: information.byteCount, dataByteCount: byteCount,
      dataOffset: ChannelPlan.headerByteCount + skip)
    header.withMutableBytes { bytes in
      message.store(into: &bytes)
      let count = RNDISPacket.headerByteCount + information.store(into: &bytes)
      buffer.copyIn(bytes.bytes.extracting(first: count), at: offset)
    }
    let range = TransferPageRange(byteCount: UInt32(message.byteCount), byteOffset: UInt32(offset))
    let index = rangeCount
    packet.withMutableBytes { TransferPages.storeRange(into: &$0, index: index, range) }
    rangeCount += 1
  }
}
