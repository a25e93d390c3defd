import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import WireBytes

/// Frames to the guest.
@Suite struct ReceiveTests {
  @Test(arguments: [true, false]) func frames(lends: Bool) throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.lends = lends
    guest.queue.start = lends ? 0 : 10
    let frames = [Frames.arp, Frames.plain(1514), Frames.plain(14), Frames.plain(60, to: "01005e000001")]
    guest.queue.arriving = frames.map { TestFrame(bytes: $0) }
    guest.primary.endpoint.run()
    let packet = try #require(guest.primary.receive())
    // One packet for the batch, named by its first sub-allocation; frames 256 bytes into theirs.
    #expect(packet.le32(at: 20) == 4 && packet.le64(at: 8) == 16)
    #expect(guest.ranges(packet)[0].le32(at: 8) == UInt32(248 + guest.queue.start))
    guest.kept = [packet]
    #expect(guest.receive().map(\.bytes) == frames)
    let statistics = try #require(guest.nic.session?.statistics)
    #expect(statistics.received.frames == 4 && statistics.received.broadcastFrames == 1)
    #expect(statistics.received.multicastFrames == 1 && statistics.received.directedFrames == 2)
  }

  @Test(arguments: [true, false], [0, 1, 2, 3]) func checksums(lends: Bool, kind: Int) throws {
    let (udp, v6) = (kind & 1 != 0, kind & 2 != 0)
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.lends = lends
    // Odd starts and lengths, too.
    guest.queue.start = lends ? 0 : 3
    let frame = Frames.ip(payload: 777, udp: udp, v6: v6)
    var verified = TestFrame(bytes: frame)
    verified.offload.checksum = .verified
    verified.offload.vlan = 0x6064
    guest.queue.arriving = [TestFrame(bytes: frame), Frames.seeded(frame), verified]
    let received = guest.receive()
    #expect(received.map(\.bytes) == [frame, frame, frame])
    #expect(received[0].information == PacketInformation())
    let good: UInt32 = (udp ? 0x10 : 8) | (v6 ? 0 : 0x20)
    #expect(received[1].information.checksum == good)
    #expect(received[2].information.checksum == good)
    #expect(received[2].information.vlan?.tagControl == 0x6064)
  }

  /// A frame over several sub-allocations, whole. Up to the MTU with a complete checksum; longer ones keep the seed, and the
  /// guest is told that the field is not the checksum.
  @Test(arguments: [true, false], [false, true]) func coalesced(lends: Bool, v6: Bool) throws {
    let guest = try TestGuest.make()
    guest.start(coalesces: true)
    #expect(guest.port.offloads == .all)
    guest.queue.lends = lends
    guest.queue.start = lends ? 0 : 6
    let payloads = [1000, 3804 - 54, 3805, 20_001, 65_535 - 40 - (v6 ? 0 : 0)]
    let frames = payloads.map { Frames.ip(payload: $0, v6: v6) }.filter { $0.count <= 65_535 + 14 }
    let arriving = frames.map { Frames.seeded($0, segment: 1400) }
    guest.queue.arriving = arriving
    let received = guest.receive()
    #expect(received.map(\.bytes) == zip(frames, arriving).map { $0.count > 1514 ? $1.bytes : $0 })
    for (index, frame) in received.enumerated() {
      #expect(frame.information.checksum == (v6 ? 8 : 0x28) | (frame.bytes.count > 1514 ? 0x80 : 0))
      #expect(frame.pieceCount == (frames[index].count + guest.queue.start + 3803) / 3804)
    }
  }

  /// A guest that takes no long frames gets segments.
  @Test(arguments: [true, false], [false, true]) func cut(lends: Bool, v6: Bool) throws {
    let guest = try TestGuest.make()
    guest.start()
    #expect(guest.port.offloads == .checksum)
    guest.queue.lends = lends
    let whole = Frames.ip(payload: lends ? 10_000 : 3000, v6: v6)
    guest.queue.arriving = [Frames.seeded(whole, segment: 1400)]
    let received = guest.receive()
    #expect(received.count == (lends ? 8 : 3))
    let header = v6 ? 74 : 54
    #expect(received.flatMap { $0.bytes.dropFirst(header) } == Array(whole[header...]))
    for frame in received {
      #expect(frame.bytes.count <= 1514)
      let start = v6 ? 54 : 34
      let addresses = v6 ? Array(frame.bytes[22..<54]) : Array(frame.bytes[26..<34])
      let total = Frames.sum(addresses + [0, 6] + Frames.be(frame.bytes.count - start) + frame.bytes[start...])
      #expect(total == 0xffff)
      if !v6 { #expect(Frames.sum(Array(frame.bytes[14..<34])) == 0xffff) }
    }
    #expect(guest.nic.session?.statistics.receiveErrors == 0)
  }

  @Test func coalescingAtRunTime() throws {
    let guest = try TestGuest.make()
    guest.start(coalesces: true)
    guest.coalesce(.off, .noChange)
    #expect(guest.port.offloads == [.checksum, .tcp6])
    guest.coalesce(.noChange, .off)
    #expect(guest.port.offloads == .checksum)
    // Each change is told with the configuration in force.
    #expect(guest.indications.count == 3)
    #expect(guest.indications[0].le32(at: 8) == 0x4002_0006 && guest.indications[0].count == 20 + 156)
    #expect(guest.indications[0][20 + 144] == 1 && guest.indications[2][20 + 144] == 0)
    // Not offered without the bit of the configuration, nor at older versions.
    for (version, capabilities) in [(NVSPVersion.v6_1, UInt64(0x0c)), (.v6, 0xac)] {
      let guest = try TestGuest.make()
      guest.negotiate(version, capabilities: capabilities)
      guest.initialize()
      guest.coalesce()
      #expect(guest.port.offloads == .checksum)
    }
  }

  /// The pool is empty: the host stops, and goes on when packets come back. Control still gets through.
  @Test(arguments: [true, false]) func exhaustion(lends: Bool) throws {
    let guest = try TestGuest.make(receiveByteCount: 40 * 1856)
    guest.start()
    let queue = guest.queue
    queue.lends = lends
    let frames = (0..<100).map { Frames.plain(60 + $0, fill: UInt8($0)) }
    queue.arriving = frames.map { TestFrame(bytes: $0) }
    var received = guest.receive(holds: true)
    #expect(received.count == 24 && queue.arriving.count == 76)
    #expect(guest.query(.currentPacketFilter).bytes == [13, 0, 0, 0])
    #expect(guest.nic.session!.statistics.receiveNoBuffer > 0)
    while received.count < 100 {
      let before = received.count
      guest.releaseHeld()
      received += guest.receive(holds: true)
      guard received.count > before else { break }
    }
    #expect(received.map(\.bytes) == frames)
    guest.releaseHeld()
  }

  /// The guest's ring is full: nothing is lost.
  @Test func fullRing() throws {
    let guest = try TestGuest.make(ringByteCount: 8192)
    guest.start()
    let queue = guest.queue
    let frames = (0..<600).map { Frames.plain(60 + $0 % 50, fill: UInt8(truncatingIfNeeded: $0)) }
    var received: [TestGuest.Received] = []
    for frame in frames {
      queue.arriving.append(TestFrame(bytes: frame))
      guest.primary.endpoint.run()
    }
    #expect(!queue.arriving.isEmpty)
    for _ in 0..<40 { received += guest.receive() }
    #expect(received.map(\.bytes) == frames)
  }

  /// The same where frames are cut, and the packet in which the segments are told is full, too.
  @Test func fullRingWhileCutting() throws {
    let guest = try TestGuest.make(receiveByteCount: 3 << 20, ringByteCount: 8192)
    guest.start()
    let frame = Frames.seeded(Frames.ip(payload: 20_000, udp: false, v6: false), segment: 490)
    guest.queue.arriving = Array(repeating: frame, count: 40)
    guest.primary.endpoint.run()
    #expect(!guest.queue.arriving.isEmpty)
    var count = 0
    for _ in 0..<40 { count += guest.receive().count }
    #expect(count == 40 * 41 && guest.queue.arriving.isEmpty)
    #expect(guest.nic.session?.statistics.receiveDiscards == 0)
  }

  @Test func filterAndHalt() throws {
    let guest = try TestGuest.make()
    guest.negotiate()
    guest.initialize()
    let queue = guest.queue
    let frame = TestFrame(bytes: Frames.plain(100))
    func arrive() -> Int {
      queue.arriving = [frame, frame]
      return guest.receive().count
    }
    #expect(arrive() == 0)
    guest.setFilter(.up)
    #expect(arrive() == 2)
    guest.setFilter([])
    #expect(guest.port.filter.isClosed)
    queue.lends = false
    #expect(arrive() == 0)
    guest.setFilter(.promiscuous)
    #expect(guest.port.filter.isPromiscuous)
    #expect(arrive() == 2)
    // HALT stops data whatever the filter says.
    guest.halt()
    #expect(arrive() == 0 && guest.port.filter.isClosed)
    #expect(guest.nic.session?.statistics.receiveDiscards == 6)
    #expect(guest.primary.endpoint.fault == nil)
  }

  /// Too long, too short.
  @Test func impossibleFrames() throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.arriving = [
      TestFrame(bytes: Frames.plain(1519)), TestFrame(bytes: Array(Frames.arp[..<13])),
      TestFrame(bytes: Frames.plain(100), offload: FrameOffload(checksum: .partial(start: 90, offset: 16))),
      TestFrame(bytes: Frames.plain(1518)),
    ]
    #expect(guest.receive().map(\.bytes.count) == [1518])
    #expect(guest.nic.session?.statistics.receiveErrors == 3)
  }

  /// A status of 2 gives the sub-allocations back all the same.
  @Test func refusedPackets() throws {
    let guest = try TestGuest.make(receiveByteCount: 20 * 1856)
    guest.start()
    for _ in 0..<20 {
      guest.queue.arriving = [TestFrame(bytes: Frames.arp)]
      guest.primary.endpoint.run()
      let packet = try #require(guest.primary.receive())
      guest.complete(packet, status: 2)
    }
    guest.primary.endpoint.run()
    // Twice is a fault.
    guest.primary.send(type: 11, id: 16, flags: 0, [108, 0, 0, 0, 1, 0, 0, 0])
    guest.primary.endpoint.run()
    #expect(guest.primary.endpoint.fault != nil)
  }
}
