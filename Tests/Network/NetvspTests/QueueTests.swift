import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import VMBusChannel
import WireBytes

/// Several channels, and how flows are spread over them.
@Suite struct QueueTests {
  func parameters(_ table: [UInt32], flags: RSSParameters.Flags = []) -> [UInt8] {
    let value = RSSParameters(flags: flags, table: table, key: ToeplitzHash.linuxKey)
    return [UInt8](zeroed: value.byteCount) { value.store(into: &$0) }
  }

  @Test func subChannels() throws {
    let guest = try TestGuest.make(queues: 3)
    guest.negotiate()
    guest.initialize()
    func ask(_ count: UInt32, _ operation: UInt32 = 1) -> NVSPCompletion? {
      guest.completion(guest.nvsp(.subChannels(NVSPSubChannelRequest(operation: operation, count: count))))
    }
    #expect(ask(3) == .subChannels(.failure, count: 0))
    #expect(ask(0) == .subChannels(.failure, count: 0))
    #expect(ask(1, 2) == .subChannels(.failure, count: 0))
    #expect(guest.lists.offered.withLock { $0 }.isEmpty)
    #expect(ask(2) == .subChannels(.success, count: 2))
    #expect(guest.lists.offered.withLock { $0 } == [2])
    #expect(ask(1) == .subChannels(.failure, count: 0))
    let second = try TestChannel(guest.session, index: 2, ringByteCount: 65536)
    guest.primary.endpoint.run()
    #expect(guest.primary.receive() == nil)
    #expect(throws: ChannelError.self) { try TestChannel(guest.session, index: 3, ringByteCount: 65536) }
    let first = try TestChannel(guest.session, index: 1, ringByteCount: 65536)
    // The table comes when all are open.
    guest.primary.endpoint.run()
    let table = try #require(guest.primary.receive())
    #expect(table.count == 96 && Array(table[16..<28]) == hex("86000000 10000000 0c000000"))
    #expect(table[28] == 0 && table[32] == 1 && table[36] == 2 && table[40] == 0)
    guest.setFilter(.up)
    for (channel, queue) in [(first, guest.port.queues[2]), (second, guest.port.queues[1])] {
      queue.arriving = [TestFrame(bytes: Frames.arp)]
      #expect(guest.receive(on: channel).map(\.bytes) == [Frames.arp])
      guest.sendSection(TestGuest.message(Frames.arp), on: channel)
      channel.endpoint.run()
      #expect(guest.sendStatuses(on: channel).count == 1 && queue.sent.count == 1)
    }
    // Control has no place there.
    first.send(type: 6, id: 1, [1, 0, 0, 0, 1, 0, 6, 0, 1, 0, 6, 0])
    first.endpoint.run()
    #expect(first.endpoint.fault != nil && second.endpoint.fault == nil)
    // HALT on the primary stops all.
    guest.halt()
    guest.port.queues[1].arriving = [TestFrame(bytes: Frames.arp)]
    #expect(guest.receive(on: second).isEmpty)
    first.endpoint.close()
    second.endpoint.close()
    guest.end()
    #expect(guest.lists.live(TestGuest.receiveList) == 0)
  }

  @Test func scaling() throws {
    let guest = try TestGuest.make(queues: 2)
    guest.negotiate()
    guest.initialize()
    #expect(guest.query(.receiveScaleCapabilities).bytes[12] == 2)
    guest.nvsp(.subChannels(NVSPSubChannelRequest(count: 1)))
    let second = try TestChannel(guest.session, index: 1, ringByteCount: 65536)
    _ = guest.sendStatuses()
    #expect(guest.port.steer(Frames.arp) == nil)
    #expect(guest.set(.receiveScaleParameters, parameters((0..<128).map { $0 % 2 }, flags: .disable)) == .success)
    #expect(guest.port.steer(Frames.ip(payload: 4)) == 0)
    #expect(guest.set(.receiveScaleParameters, parameters((0..<128).map { $0 % 2 })) == .success)
    let hash = ToeplitzHash(key: ToeplitzHash.linuxKey)!
    for port in 40_000..<40_100 {
      let frame = Frames.ip(payload: 4, port: port)
      let expected = hash.hash(
        source: 0x0a4d_0002 as UInt32, destination: 0x0a4d_0001, ports: (UInt16(port), 5201))
      #expect(guest.port.steer(frame) == Int(expected & 1))
    }
    #expect(guest.port.steer(Frames.arp) == 0)
    // A hash that the port knows is told with its kind.
    guest.setFilter(.up)
    guest.queue.arriving = [TestFrame(bytes: Frames.ip(payload: 4), offload: FrameOffload(flowHash: 0x5285_a943))]
    let received = guest.receive(on: second)
    #expect(received.map(\.information.flowHash) == [0x5285_a943])
    #expect(received.map(\.information.hashInfo) == [[.tcp4, .toeplitz]])
    for bad in [parameters([2]), parameters([]), Array(parameters([0])[..<60]), [1, 2]] {
      #expect(guest.set(.receiveScaleParameters, bad) == .invalidData)
    }
    // The table stays, the key too.
    #expect(guest.set(.receiveScaleParameters, parameters([], flags: .tableUnchanged)) == .success)
    second.endpoint.close()
    guest.end()
    #expect(guest.port.steer(Frames.arp) == nil)
  }

  @Test func oneQueue() throws {
    let guest = try TestGuest.make(queues: 8) { $0.offersScaling = false }
    guest.negotiate()
    guest.initialize()
    #expect(guest.query(.receiveScaleCapabilities).bytes[12] == 1)
    #expect(
      guest.completion(guest.nvsp(.subChannels(NVSPSubChannelRequest(count: 1)))) == .subChannels(.failure, count: 0))
    let old = try TestGuest.make()
    old.start(.v4)
    #expect(old.query(.receiveScaleCapabilities).status == .notSupported)
  }

  /// Lists of sub-allocations: taken once, given back once.
  @Test(arguments: 0..<8) func pool(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var pool = ReceivePool(16..<80)
    var lent: [UInt64: Int] = [:]
    var free = 64
    for _ in 0..<4000 {
      switch random.number(0...5) {
      case 0...2:
        let count = random.number(1...8)
        guard pool.freeCount >= count else { continue }
        for _ in 0..<count { _ = pool.take() }
        free -= count
        if random.number(0...7) == 0 {
          pool.abandon()
          free += count
        } else {
          lent[pool.gatheredID!] = count
          pool.lend()
        }
      case 3, 4:
        if let (id, count) = lent.randomElement(using: &random) {
          let isTaken = pool.complete(id)
          #expect(isTaken)
          lent[id] = nil
          free += count
        }
      default:
        let id = UInt64(random.number(0...200))
        guard lent[id] == nil else { continue }
        let isTaken = pool.complete(id)
        #expect(!isTaken)
      }
      #expect(pool.freeCount == free && pool.lentPacketCount == lent.count)
    }
  }
}
