import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import VMBusChannel
import WireBytes

/// Hostile guests: nothing traps, a fault ends the channel only, and everything is let go at the end.
@Suite struct FuzzTests {
  func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<random.number(0...3) where !bytes.isEmpty {
      let index = random.number(0...(bytes.count - 1))
      bytes[index] = [0, 1, 4, 0x7f, 0x80, 0xff, UInt8(random.number(0...255))].randomElement(using: &random)!
    }
    if random.number(0...9) == 0, bytes.count > 4 { bytes.removeLast(random.number(0...(bytes.count - 4))) }
    return bytes
  }

  func information(_ random: inout SeededGenerator) -> PacketInformation {
    var result = PacketInformation()
    if random.number(0...1) == 0 { result.checksum = UInt32(truncatingIfNeeded: random.next()) & 0x03ff_001f }
    if random.number(0...2) == 0 {
      result.largeSend = LargeSendOffload(rawValue: UInt32(truncatingIfNeeded: random.next()))
    }
    if random.number(0...2) == 0 { result.vlan = PacketVLAN(tagControl: UInt16(truncatingIfNeeded: random.next())) }
    return result
  }

  @Test(arguments: 0..<16) func actions(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let guest = try TestGuest.make(receiveByteCount: 1 << 20, ringByteCount: 32 << 10)
    var faults = 0
    var sent = 0
    guest.start(coalesces: seed % 2 == 0)
    for _ in 0..<400 {
      if guest.primary.endpoint.fault != nil {
        faults += 1
        guest.primary.endpoint.close()
        #expect(guest.lists.live(TestGuest.receiveList) == 0 && guest.lists.live(TestGuest.sendList) == 0)
        guest.kept = []
        guest.primary = try TestChannel(guest.session, index: 0, ringByteCount: 32 << 10)
        guest.start(coalesces: random.number(0...1) == 0)
      }
      let queue = guest.queue
      let frame = [
        Frames.arp,
        Frames.ip(payload: random.number(0...3000), udp: random.number(0...1) == 0, v6: random.number(0...1) == 0),
      ].randomElement(using: &random)!
      var packet: [UInt8] = []
      let id = UInt64(random.number(0...300))
      switch random.number(0...13) {
      case 0...3:
        let message = mutated(TestGuest.message(frame, information(&random)), &random)
        if message.count <= 6144 { guest.sendSection(message, index: random.number(0...5)) }
      case 4: guest.sendDirect([mutated(TestGuest.message(frame, information(&random)), &random)])
      case 5:
        let extra = TestGuest.range(
          at: TestGuest.base + UInt64(random.number(0...0x800000)), byteCount: random.number(1...9000))
        packet = TestChannel.packet(type: 9, id: id, extra: extra, TestGuest.rndis(control: random.number(0...5) == 0))
      case 6:
        let oid = ChannelServer.supportedOIDs.randomElement(using: &random)!
        let input = (0..<random.number(0...60)).map { _ in UInt8(random.number(0...255)) }
        let message =
          random.number(0...1) == 0
          ? RNDISMessage.set(RNDISRequest(requestID: 1, oid: oid, informationByteCount: input.count))
          : RNDISMessage.query(RNDISRequest(requestID: 1, oid: oid, informationByteCount: input.count))
        let bytes = [UInt8](zeroed: message.byteCount) { message.store(into: &$0, information: input.rawSpan) }
        guest.sendControl(random.number(0...7) == 0 ? mutated(bytes, &random) : bytes)
      case 7:
        packet = TestChannel.packet(type: 11, id: id, flags: 0, [108, 0, 0, 0, 1, 0, 0, 0])
        if random.number(0...7) != 0 { packet = [] }
      case 8:
        if random.number(0...5) == 0 {
          packet = TestChannel.packet(type: 6, id: id, mutated(hex("85000000 01000000 01000000 [28]"), &random))
        }
      case 9: queue.room = random.number(0...1) == 0 ? .max : random.number(0...3)
      case 10:
        queue.lends.toggle()
        var test = Frames.seeded(frame, segment: random.number(0...1) == 0 && frame[12] != 8 ? nil : 700)
        let isTCP = frame[12] == 0x86 ? frame[20] == 6 : frame[23] == 6
        if frame == Frames.arp || !isTCP { test = TestFrame(bytes: frame) }
        if !queue.lends, test.bytes.count > 1400 { test = TestFrame(bytes: Frames.arp) }
        queue.arriving = Array(repeating: test, count: random.number(1...8))
      case 11: if random.number(0...9) == 0 { guest.lists.revoke(TestGuest.receiveList) }
      case 12: guest.nic.setMediaConnected(random.number(0...1) == 0)
      default:
        while let packet = guest.primary.receive() {
          if packet[0] == 7, random.number(0...9) != 0 { guest.complete(packet) }
        }
      }
      if !packet.isEmpty { guest.primary.sendRaw(packet) }
      guest.primary.endpoint.run()
      if random.number(0...2) == 0 {
        while let packet = guest.primary.receive() { if packet[0] == 7 { guest.complete(packet) } }
      }
      sent += queue.takeSent().count
    }
    #expect(sent > 0)
    guest.end()
    #expect(guest.lists.live(TestGuest.receiveList) == 0 && guest.lists.live(TestGuest.sendList) == 0)
    #expect(guest.nic.session == nil)
  }
}
