import Ethernet
@testable import Netvsc
import NetvscProtocol
import Testing
import VMBusProtocol
import WireBytes

/// Random and half-right input: nothing may crash, every piece of memory comes back, and good frames still pass.
@Suite struct HostileHostTests {
  private func check(_ rig: Rig, _ queue: any EthernetQueue, _ sink: CollectingSink) {
    sink.frames = []
    let frame = [UInt8](repeating: 0x5a, count: 99)
    rig.host.deliver([receiveMessage(frame)])
    #expect(queue.turn(sink) { sink.frames.last == frame })
    queue.flush()
    #expect(rig.host.get { $0.onTheirWay.isEmpty })
    #expect(queue.turn { queue.put(frame) })
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func mutatedMessages(_ seed: UInt64) throws {
    let rig = try Rig()
    let queue = try rig.adapter.makeQueue()
    let sink = CollectingSink()
    var random = Random(state: seed &* 0x9e37_79b9_7f4a_7c15)
    for round in 0..<600 {
      let (frame, _) = tcp4(payload: random.below(6000), random: &random)
      var messages = ReceivingTests.fragments(frame, of: 1 + random.below(1400) + 100)
      if random.below(3) == 0 { messages.shuffle() }
      for index in messages.indices where random.below(2) == 0 {
        for _ in 0..<random.below(4) {
          messages[index][random.below(min(messages[index].count, 140))] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      let type = NVSPRNDISPacket.ChannelType(rawValue: random.below(8) == 0 ? 1 : 0)
      var delivery = Delivery(ranges: messages.map { ($0, nil) }, type: type)
      if random.below(4) == 0 {
        delivery.rawRanges = [
          TransferPageRange(
            byteCount: UInt32(truncatingIfNeeded: random.next()), byteOffset: UInt32(truncatingIfNeeded: random.next()))
        ]
      }
      let final = delivery
      rig.host.set { $0.deliveries.append(final) }
      sink.room = random.below(40)
      _ = queue.forward(to: sink, limit: 64)
      queue.flush()
      if round % 100 == 99 {
        sink.room = .max
        #expect(queue.turn(sink) { rig.host.get { $0.onTheirWay.isEmpty && $0.deliveries.isEmpty } })
        check(rig, queue, sink)
      }
    }
    queue.close()
  }

  @Test(arguments: [UInt64(1), 2, 3]) func mutatedPackets(_ seed: UInt64) throws {
    let rig = try Rig()
    let queue = try rig.adapter.makeQueue()
    let sink = CollectingSink()
    var random = Random(state: seed &* 0x9e37_79b9_7f4a_7c15)
    for _ in 0..<3000 {
      var packet = random.below(2) == 0 ? Golden.g18 : random.bytes(24 + 8 * random.below(100))
      let total = packet.count
      packet.withMutableBytes { bytes in
        bytes.storeLE([UInt16(6), 7, 7, 7, 11][random.below(5)], at: 0)
        bytes.storeLE(UInt16(2 + random.below(total / 8 - 1)), at: 2)
        bytes.storeLE(UInt16(total / 8), at: 4)
        bytes.storeLE(UInt16(random.below(2)), at: 6)
        bytes.storeLE(UInt64(1) << 61 | random.next() >> 4, at: 8)
        if random.below(2) == 0 { bytes.storeLE(UInt16(0xcafe), at: 16) }
        if random.below(2) == 0 { bytes.storeLE(UInt32(random.below(8)), at: 20) }
        if random.below(3) == 0 { bytes.storeLE(UInt32(134), at: min(total - 4, 16)) }
      }
      let final = packet
      rig.host.set { $0.deliveries.append(Delivery(packet: final)) }
      if random.below(16) == 0 {
        _ = queue.forward(to: sink, limit: 64)
        queue.flush()
      }
    }
    #expect(queue.turn(sink) { rig.host.get { $0.deliveries.isEmpty } })
    // A payload that starts inside the descriptor ends the channel; anything else does not.
    #expect(!queue.isEnded)
    check(rig, queue, sink)
    queue.close()
  }

  @Test func aCorruptRingEndsTheQueue() throws {
    let rig = try Rig()
    let queue = try rig.adapter.makeQueue()
    var packet = Golden.g18
    packet.withMutableBytes { $0.storeLE(UInt16(9), at: 0) }
    let final = packet
    rig.host.set { $0.deliveries.append(Delivery(packet: final)) }
    #expect(queue.turn { queue.isEnded })
    #expect(rig.adapter.isLost && rig.adapter.faultDescription?.contains("bad packet") == true)
    queue.close()
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func randomControlMessages(_ seed: UInt64) throws {
    let rig = try Rig { $0.stepMilliseconds = 2_000 }
    let queue = try rig.adapter.makeQueue()
    let sink = CollectingSink()
    var random = Random(state: seed &* 0x9e37_79b9_7f4a_7c15)
    for _ in 0..<500 {
      var bytes = random.bytes(8 + random.below(120))
      let types: [UInt32] = [7, 8, 0x8000_0002, 0x8000_0004, 0x8000_0005, 0x8000_0006, 1]
      let count = bytes.count
      bytes.withMutableBytes { bytes in
        if random.below(4) > 0 { bytes.storeLE(types[random.below(types.count)], at: 0) }
        if random.below(4) > 0 { bytes.storeLE(UInt32(count), at: 4) }
        if count > 20, random.below(2) == 0 { bytes.storeLE(UInt32(random.below(40)), at: 12) }
        if count > 20, random.below(2) == 0 { bytes.storeLE(UInt32(random.below(40)), at: 16) }
      }
      let final = bytes
      rig.host.deliver([final], type: .control)
      if random.below(8) == 0 {
        _ = queue.forward(to: sink, limit: 64)
        queue.flush()
      }
    }
    #expect(queue.turn(sink) { rig.host.get { $0.deliveries.isEmpty } })
    check(rig, queue, sink)
    queue.close()
    try rig.adapter.setAddress(MACAddress("02:00:00:00:00:07")!)
  }
}
