import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import WireBytes

/// Frames of the guest.
@Suite struct SendTests {
  @Test func waysToSend() throws {
    let guest = try TestGuest.make()
    guest.start()
    let frame = Frames.ip(payload: 1000)
    let message = TestGuest.message(frame)
    var ids = [guest.sendSection(message), guest.sendSection(TestGuest.message(frame, gap: 76), index: 20)]
    ids.append(guest.sendDirect([message]))
    ids.append(guest.sendDirect([Array(message[..<44]), Array(message[44..<98]), Array(message[98...])]))
    // Mixed: headers in the section, the rest in guest memory that runs over a page boundary.
    ids.append(guest.sendDirect([Array(message[98...])], section: Array(message[..<98]), offset: 32 * 4096 - 30))
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses() == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
    #expect(guest.queue.takeSent() == Array(repeating: TestFrame(bytes: frame), count: 5))
    #expect(guest.nic.session?.statistics.sent.frames == 5)
    #expect(guest.nic.session?.statistics.sent.bytes == UInt64(5 * frame.count))
  }

  @Test(arguments: 1...8) func batches(count: Int) throws {
    let guest = try TestGuest.make()
    guest.start()
    let frames = (0..<count).map { Frames.plain(61 + $0 * 90, to: "00155d010203") }
    let bytes = TestGuest.batch(frames)
    let id = guest.sendSection(bytes)
    // Padding behind the last message is legal too.
    let last = guest.sendSection(TestGuest.message(frames[0], padding: 7), index: 3)
    // A train of which the last one is partial.
    let partial = guest.sendDirect(
      [Array(bytes[(bytes.count - 20)...])], section: Array(bytes[..<(bytes.count - 20)]))
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses() == [id: 1, last: 1, partial: 1])
    #expect(guest.queue.takeSent().map(\.bytes) == frames + [frames[0]] + frames)
  }

  @Test(arguments: [false, true], [false, true]) func checksums(udp: Bool, v6: Bool) throws {
    let guest = try TestGuest.make()
    guest.start()
    let seeded = Frames.seeded(Frames.ip(payload: 500, udp: udp, v6: v6))
    var information = PacketInformation()
    information.checksum = TransmitChecksum(ipv6: v6, udp: udp, layer4Offset: v6 ? 54 : 34).rawValue
    guest.sendSection(TestGuest.message(seeded.bytes, information))
    // Old guests do not tell the offset; some leave the field as it was.
    information.checksum = information.checksum! & 0xffff
    var unseeded = seeded.bytes
    unseeded.replaceSubrange((v6 ? 54 : 34) + (udp ? 6 : 16)..<(v6 ? 54 : 34) + (udp ? 8 : 18), with: [0, 0])
    information.vlan = PacketVLAN(tagControl: 0x6064)
    information.flowHash = 3
    guest.sendSection(TestGuest.message(unseeded, information), index: 1)
    guest.primary.endpoint.run()
    var tagged = seeded
    tagged.offload.vlan = 0x6064
    #expect(guest.queue.takeSent() == [seeded, tagged])
  }

  @Test(arguments: [false, true]) func largeSends(v6: Bool) throws {
    let guest = try TestGuest.make()
    guest.start()
    let whole = Frames.seeded(Frames.ip(payload: 20_000, v6: v6), segment: 1440)
    // As Linux writes it: no length, no IPv4 checksum, a seed without the length.
    var wire = whole.bytes
    wire.replaceSubrange(v6 ? 18..<20 : 16..<18, with: [0, 0])
    if !v6 { wire.replaceSubrange(24..<26, with: [0, 0]) }
    wire.replaceSubrange((v6 ? 70 : 50)..<(v6 ? 72 : 52), with: [0x14, 0xa3])
    var information = PacketInformation()
    information.largeSend = LargeSendOffload(ipv6: v6, segmentByteCount: 1440, layer4Offset: v6 ? 54 : 34)
    let message = TestGuest.message(wire, information)
    let header = 44 + 16
    let id = guest.sendDirect([
      Array(message[..<header]), Array(message[header..<(header + (v6 ? 74 : 54))]),
      Array(message[(header + (v6 ? 74 : 54))...]),
    ])
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses() == [id: 1])
    #expect(guest.queue.takeSent() == [whole])
  }

  /// Malformed messages are answered with 2, and end nothing.
  @Test func malformed() throws {
    let guest = try TestGuest.make()
    guest.start()
    let good = TestGuest.message(Frames.arp)
    func changed(_ change: (inout MutableRawSpan) -> Void) -> [UInt8] {
      var bytes = good
      bytes.withMutableBytes { change(&$0) }
      return bytes
    }
    var largeSend = PacketInformation()
    largeSend.largeSend = LargeSendOffload(ipv6: false, segmentByteCount: 0, layer4Offset: 34)
    var notIP = PacketInformation()
    notIP.checksum = TransmitChecksum(ipv6: false, udp: false, layer4Offset: 34).rawValue
    var badList = TestGuest.message(Frames.arp, notIP)
    badList[44] = 0
    let messages: [[UInt8]] = [
      changed { $0.storeLE(UInt32(43), at: 4) }, changed { $0.storeLE(UInt32(2000), at: 4) },
      changed { $0.storeLE(UInt32(35), at: 8) }, changed { $0.storeLE(UInt32(0), at: 12) },
      changed { $0.storeLE(UInt32(13), at: 12) }, changed { $0.storeLE(UInt32.max, at: 12) },
      changed { $0.storeLE(UInt32(1), at: 24) }, changed { $0.storeLE(UInt32(1), at: 36) },
      TestGuest.message(Frames.ip(payload: 3000), largeSend), TestGuest.message(Frames.arp, notIP), badList,
      good + [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], TestGuest.message(Frames.plain(1523)),
    ]
    for (index, message) in messages.enumerated() {
      let id = guest.sendSection(message)
      guest.primary.endpoint.run()
      #expect(guest.sendStatuses() == [id: 2], "message \(index)")
      #expect(guest.primary.endpoint.fault == nil)
    }
    // Only the frame in front of the junk was sent.
    #expect(guest.queue.takeSent().count == 1)
    #expect(guest.nic.session?.statistics.sendErrors == UInt64(messages.count))
    // Headers that do not lie in the first range; memory that is not the guest's; too little of it.
    let split = guest.sendDirect([Array(good[..<30]), Array(good[30...])])
    let id = guest.id()
    guest.primary.send(
      type: 9, id: id, extra: TestGuest.range(at: 0x99_0000_0000, byteCount: 100), TestGuest.rndis(control: false))
    let short = guest.sendDirect([[1, 0, 0, 0]])
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses() == [split: 2, id: 2, short: 2])
    #expect(guest.queue.takeSent().isEmpty && guest.primary.endpoint.fault == nil)
  }

  @Test func fatal() throws {
    let cases: [(TestGuest) -> Void] = [
      { guest in
        guest.primary.send(type: 6, id: 1, TestGuest.rndis(control: false, section: 1 << 20, byteCount: 100))
      },
      { guest in guest.primary.send(type: 6, id: 1, TestGuest.rndis(control: false, section: 1, byteCount: 6145)) },
      { guest in guest.sendSection([7] + TestGuest.message(Frames.arp).dropFirst()) },
      { guest in guest.primary.send(type: 6, id: 1, [107, 0, 0, 0]) },
      { guest in guest.primary.send(type: 6, id: 1, [107, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]) },
      { guest in guest.primary.send(type: 11, id: 3, flags: 0, [108, 0, 0, 0, 1, 0, 0, 0]) },
      { guest in guest.primary.send(type: 11, id: 17, flags: 0, [108, 0, 0, 0, 1, 0, 0, 0]) },
      { guest in guest.primary.send(type: 11, id: 1 << 40, flags: 0, [108, 0, 0, 0, 1, 0, 0, 0]) },
      { guest in guest.sendControl(hex("06000000 0c000000 00000000")) },
      { guest in guest.sendControl(hex("07000000 14000000 0c000140 [8]")) },
      { guest in guest.sendControl(hex("09000000 10000000 [8]")) },
      { guest in guest.sendControl(Golden.initialize) },
    ]
    for (index, body) in cases.enumerated() {
      let guest = try TestGuest.make()
      guest.start()
      body(guest)
      guest.primary.endpoint.run()
      #expect(guest.primary.endpoint.fault != nil, "case \(index)")
      guest.end()
    }
  }

  /// The port is full: nothing is lost, nothing is taken from the ring, and the host waits for room.
  @Test func backPressure() throws {
    let guest = try TestGuest.make()
    guest.start()
    guest.queue.room = 3
    let frames = (0..<8).map { Frames.plain(100 + $0) }
    let first = guest.sendSection(TestGuest.batch(frames))
    let second = guest.sendSection(TestGuest.message(frames[0]), index: 2)
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses().isEmpty && guest.queue.sent.count == 3)
    #expect(guest.queue.roomWaits > 0)
    guest.queue.room = 2
    guest.primary.endpoint.run()
    #expect(guest.queue.sent.count == 5)
    guest.queue.room = .max
    guest.primary.endpoint.run()
    #expect(guest.sendStatuses() == [first: 1, second: 1])
    #expect(guest.queue.takeSent().map(\.bytes) == frames + [frames[0]])
  }

  /// The guest does not read its ring: completions wait, and none is lost.
  @Test func fullRing() throws {
    let guest = try TestGuest.make(ringByteCount: 8192)
    guest.start()
    let message = TestGuest.message(Frames.arp)
    var ids: Set<UInt64> = []
    var statuses: [UInt64: UInt32] = [:]
    for round in 0..<30 {
      for _ in 0..<20 { ids.insert(guest.sendSection(message)) }
      guest.primary.endpoint.run()
      if round % 3 == 2 {
        for _ in 0..<4 {
          statuses.merge(guest.sendStatuses()) { _, _ in 0 }
          guest.primary.endpoint.run()
        }
      }
    }
    statuses.merge(guest.sendStatuses()) { _, _ in 0 }
    #expect(Set(statuses.keys) == ids && statuses.values.allSatisfy { $0 == 1 })
    #expect(guest.queue.sent.count == ids.count)
  }
}
