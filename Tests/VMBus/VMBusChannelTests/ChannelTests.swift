import LinuxIO
import SharedMemory
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// Two ends of a channel over the same memory, in one thread.
@Suite struct ChannelTests {
  let region: MemoryRegion
  let guest: Channel
  let host: Channel
  let guestRings: EventFD
  let hostRings: EventFD

  init() throws {
    region = try MemoryRegion(anonymous: 32768)
    let up = region.slice.slice(at: 0, count: 16384)
    let down = region.slice.dropFirst(16384)
    OutgoingRing.initialize(up)
    OutgoingRing.initialize(down)
    guestRings = try EventFD()
    hostRings = try EventFD()
    guest = try Channel(
      relid: 1, outgoing: up, incoming: down, acceptedTypes: .fromHost, doorbell: EventDoorbell(guestRings),
      waitDescriptor: hostRings.descriptor, listener: EventListener(hostRings))
    host = try Channel(
      relid: 1, outgoing: down, incoming: up, acceptedTypes: .fromGuest, doorbell: EventDoorbell(hostRings),
      waitDescriptor: guestRings.descriptor, listener: EventListener(guestRings))
  }

  /// The next packet at `end`: descriptor and all bytes.
  func next(_ end: Channel) throws -> (PacketDescriptor, [UInt8])? {
    try end.receive { descriptor, packet in (descriptor, packet.array()) }
  }

  @Test func pipeFraming() throws {
    // V40 and V41: "ab", and the end of the stream.
    let data = [UInt8](zeroed: 10) { bytes in
      PipeHeader.data(byteCount: 2).store(into: &bytes)
      bytes.storeLE(UInt8(0x61), at: 8)
      bytes.storeLE(UInt8(0x62), at: 9)
    }
    #expect(try guest.sendInBand(transactionID: 0, requestsCompletion: false, payload: data.rawSpan))
    let end = [UInt8](zeroed: 8) { PipeHeader.endOfStream.store(into: &$0) }
    #expect(try guest.sendInBand(transactionID: 0, requestsCompletion: false, payload: end.rawSpan))
    #expect(try next(host) == nil)
    try guest.flush()
    #expect(guestRings.drain())
    #expect(
      region.slice.slice(at: 4096, count: 40).bytes()
        == [
          6, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x61, 0x62, 0, 0, 0, 0, 0, 0,
          0, 0, 0, 0, 0, 0, 0, 0,
        ])
    let (descriptor, packet) = try #require(try next(host))
    let payload = Array(packet[descriptor.payloadOffset...])
    let header = try PipeHeader(parsing: payload.rawSpan)
    #expect(header == .data(byteCount: 2) && payload[8..<10].elementsEqual([0x61, 0x62]))
    let (last, bytes) = try #require(try next(host))
    let rest = Array(bytes[last.payloadOffset...])
    #expect(try PipeHeader(parsing: rest.rawSpan).isEndOfStream)
  }

  @Test func gpaDirectWithSeveralRanges() throws {
    // V38: one page, and 0x1400 bytes over three pages.
    let packet = [UInt8](zeroed: 88) { bytes in
      GPADirect.storeDescriptor(into: &bytes, rangeCount: 2, pageCount: 4, payloadByteCount: 16, transactionID: 7)
      let second = GPADirect.storeContiguousRange(
        into: &bytes, at: GPADirect.rangesOffset, byteCount: 0x1000, byteOffset: 0, firstPage: 0x500)
      let pages = GPADirect.storeRange(into: &bytes, at: second, byteCount: 0x1400, byteOffset: 0xe00)
      for (index, page) in [0x501, 0x502, 0x600].enumerated() { bytes.storeLE(UInt64(page), at: pages + index * 8) }
      for index in 0..<16 { bytes.storeLE(UInt8(index), at: 72 + index) }
    }
    #expect(try guest.send(packet: packet.rawSpan))
    try guest.flush()
    let (descriptor, received) = try #require(try next(host))
    #expect(received == packet && descriptor.isCompletionRequested)
    var ranges = try GPADirectRanges(parsing: received.rawSpan, descriptor: descriptor)
    let total = ranges.totalByteCount
    #expect(total == 0x2400)
    let candidate = ranges.next()
    let first = try #require(candidate)
    let firstPage = ranges.page(at: 0, of: first)
    let another = ranges.next()
    let second = try #require(another)
    let lastPage = ranges.page(at: 2, of: second)
    #expect(firstPage == 0x500 && lastPage == 0x600 && second.byteOffset == 0xe00)
  }

  @Test func gpaDirectOfContiguousMemory() throws {
    #expect(
      try guest.sendGPADirect(transactionID: 3, guestAddress: 0x12e00, byteCount: 0x1400, payload: [1, 2, 3].rawSpan))
    try guest.flush()
    let (descriptor, received) = try #require(try next(host))
    var ranges = try GPADirectRanges(parsing: received.rawSpan, descriptor: descriptor)
    let candidate = ranges.next()
    let range = try #require(candidate)
    var pages: [UInt64] = []
    for index in 0..<range.pageCount { pages.append(ranges.page(at: index, of: range)) }
    #expect(pages == [0x12, 0x13, 0x14] && range.byteOffset == 0xe00 && range.byteCount == 0x1400)
    #expect(received[descriptor.payloadOffset...].elementsEqual([1, 2, 3, 0, 0, 0, 0, 0]))
  }

  @Test func transferPages() throws {
    // V39: two ranges of page set 0xcafe, eight bytes of payload.
    let packet = [UInt8](zeroed: 48) { bytes in
      TransferPages.storeDescriptor(
        into: &bytes, pageSetID: 0xcafe, rangeCount: 2, payloadByteCount: 8, transactionID: 9)
      TransferPages.storeRange(into: &bytes, index: 0, TransferPageRange(byteCount: 60, byteOffset: 0))
      TransferPages.storeRange(into: &bytes, index: 1, TransferPageRange(byteCount: 1514, byteOffset: 0x700))
      for index in 0..<8 { bytes.storeLE(UInt8(index + 1), at: 40 + index) }
    }
    #expect(try host.send(packet: packet.rawSpan))
    try host.flush()
    let (descriptor, received) = try #require(try next(guest))
    let ranges = try TransferPageRanges(parsing: received.rawSpan, descriptor: descriptor)
    let (count, set, second) = (ranges.count, ranges.pageSetID, ranges[1])
    #expect(count == 2 && set == 0xcafe && second == TransferPageRange(byteCount: 1514, byteOffset: 0x700))
    // A guest may send none.
    #expect(try guest.send(packet: packet.rawSpan))
    try guest.flush()
    #expect(throws: ChannelError.self) { _ = try next(host) }
  }

  @Test func fullRingsAndSpace() throws {
    let payload = [UInt8](repeating: 7, count: 1000)
    var sent = 0
    while try guest.sendInBand(transactionID: 1, requestsCompletion: false, payload: payload.rawSpan) { sent += 1 }
    #expect(sent == (12288 - 8) / 1024)
    try guest.flush()
    #expect(try !guest.requestSpace(forPacketOf: 1016))
    _ = try next(host)
    try host.flush()
    #expect(hostRings.drain())
    #expect(try guest.sendInBand(transactionID: 1, requestsCompletion: false, payload: payload.rawSpan))
    // Nobody waits now: room is given back silently.
    _ = try next(host)
    try host.flush()
    #expect(!hostRings.drain())
  }

  @Test func lossEndsSending() throws {
    guest.counters.markLost()
    #expect(guest.isLost)
    #expect(throws: ChannelError.self) {
      _ = try guest.sendInBand(transactionID: 1, requestsCompletion: false, payload: [1].rawSpan)
    }
    #expect(throws: ChannelError.self) { _ = try guest.send(packet: [UInt8](repeating: 0, count: 16).rawSpan) }
  }

  @Test func masksKeepPeersQuiet() throws {
    host.maskInterrupts()
    for _ in 0..<3 { _ = try guest.sendCompletion(transactionID: 1, payload: [1].rawSpan) }
    try guest.flush()
    #expect(!guestRings.drain())
    #expect(try host.unmaskInterrupts())
    while try next(host) != nil {}
    try host.flush()
    #expect(try !host.unmaskInterrupts())
    _ = try guest.sendCompletion(transactionID: 1, payload: [1].rawSpan)
    try guest.flush()
    #expect(guestRings.drain())
    #expect(guest.counters.doorbellsRung.value == 1)
  }

  @Test func monitorBits() throws {
    let page = region.slice.slice(at: 0, count: 4096)
    for id in [2, 37, 127] as [UInt8] {
      MonitorDoorbell(
        pending: page.word32(at: MonitorPage.pendingOffset(of: id)), bit: Int(id) % MonitorPage.idsPerGroup
      ).ring()
    }
    #expect(page.word32(at: 0x08).loadAcquiring() == 4)
    #expect(page.word32(at: 0x10).loadAcquiring() == 0x20)
    #expect(page.word32(at: 0x20).loadAcquiring() == 0x8000_0000)
  }

  @Test func transportFrames() {
    #expect(
      TransportFrame.hello.encoded() == [1, 0, 0, 0, 1, 0, 0, 0, 0x53, 0x79, 0x6e, 0x74, 0x68, 0x42, 0x75, 0x73])
    let memory = TransportFrame.memory(guestAddress: 0x1_0000_0000, byteCount: 0x2000)
    let range = memory.memoryRange
    #expect(range?.guestAddress == 0x1_0000_0000 && range?.byteCount == 0x2000)
    #expect(TransportFrame.goodbye(String(repeating: "x", count: 500)).payload.count == 240)
    for count in [0, 7, 249] {
      let bytes = [UInt8](repeating: 1, count: count)
      #expect(TransportFrame(parsing: bytes.rawSpan) == nil)
    }
    let bytes = memory.encoded()
    #expect(TransportFrame(parsing: bytes.rawSpan) == memory)
  }
}
