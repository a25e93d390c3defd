import Ethernet
import LinuxIO
@testable import Netvsc
import NetvscProtocol
import Testing
import VMBusChannel
import WireBytes

@Suite struct OutageTests {
  @Test(arguments: Threading.allCases) func aRestartIsAPause(_ threading: Threading) throws {
    let host = ScriptedHost()
    let rig = try Rig(host, threading)
    try rig.adapter.setAddress(MACAddress("02:00:00:00:00:05")!)
    rig.adapter.setFilter(EthernetFilter(acceptsBroadcast: true))
    for round in 0..<3 {
      let queue = try rig.adapter.makeQueue()
      #expect(queue.put([UInt8](repeating: UInt8(round), count: 60)))
      #expect(queue.turn { host.sent.count == round + 1 })
      host.deliver([receiveMessage([UInt8](repeating: 1, count: 60))])
      rig.device.kill()
      #expect(queue.turn { queue.isEnded } && rig.adapter.isLost && !rig.adapter.info.hasCarrier)
      #expect(queue.prepareToWait(forRoom: false))
      _ = queue.put([UInt8](repeating: 1, count: 60))
      queue.flush()
      #expect(queue.forward(to: LosingSink(), limit: 10).frameCount <= 1)
      #expect(throws: EthernetError.lost) { try rig.adapter.makeQueue() }
      queue.close()
      rig.restart()
      host.set { $0.filter = nil }
      try rig.adapter.reopen(device: rig.device)
      #expect(!rig.adapter.isLost && rig.adapter.info.hasCarrier)
      #expect(rig.adapter.info.address == MACAddress("02:00:00:00:00:05") && host.get { $0.filter } == 8)
    }
    // The same memory every time.
    #expect(rig.pool.freed.load(ordering: .relaxed) == 0)
  }

  @Test func aHostThatIsGoneDuringBringUp() throws {
    let host = ScriptedHost()
    let rig = try Rig(host)
    rig.adapter.close()
    rig.restart()
    host.set { $0.isDead = true }
    #expect(throws: ChannelError.self) { try rig.adapter.reopen(device: rig.device) }
    #expect(rig.adapter.isLost)
    rig.restart()
    try rig.adapter.reopen(device: rig.device)
    #expect(!rig.adapter.isLost)
  }

  @Test(arguments: Threading.allCases) func closingInOrder(_ threading: Threading) throws {
    let host = ScriptedHost()
    host.set { $0.queueCount = 2 }
    let rig = try Rig(host, threading) { $0.queueCount = 2 }
    let queue = try rig.adapter.makeQueue()
    #expect(queue.put([UInt8](repeating: 1, count: 60)))
    host.deliver([receiveMessage([UInt8](repeating: 1, count: 60))], channel: 1)
    queue.close()
    host.set { $0.log = [] }
    rig.adapter.close()
    // The close of the channels may overtake the last messages in the ring.
    let order = ["SET 1010e", "HALT", "NVSP message 103", "NVSP message 106", "close", "close"]
    #expect(threading == .threaded || host.log == order)
    #expect(host.log == order.filter { host.log.contains($0) } && host.log.contains("HALT"))
    #expect(host.get { $0.filter == 0 && $0.gpadls.isEmpty && $0.sent.count == 1 })
    #expect(threading == .threaded || host.get { $0.onTheirWay.isEmpty })
    #expect(threading == .threaded || host.get { $0.raw.contains(Golden.g14) })
    let count = host.log.count
    rig.adapter.close()
    #expect(host.log.count == count)
    try rig.adapter.reopen(device: rig.device, mtu: 9000)
    #expect(rig.adapter.info.mtu == 9000 && rig.adapter.maximumQueueCount == 2)
  }

  @Test func anOwnerThatKeepsItsQueue() throws {
    let rig = try Rig { $0.stepMilliseconds = 100 }
    let queue = try rig.adapter.makeQueue()
    #expect(throws: ChannelError.self) { try rig.adapter.reopen(device: rig.device) }
    #expect(queue.isEnded)
    queue.close()
    rig.restart()
    try rig.adapter.reopen(device: rig.device)
    let new = try rig.adapter.makeQueue()
    #expect(new.put([UInt8](repeating: 1, count: 60)))
    new.close()
  }

  @Test func memoryThatTheHostKeeps() throws {
    let host = ScriptedHost()
    let rig = try Rig(host)
    host.set { $0.confirmsTeardown = false }
    rig.adapter.close()
    rig.restart()
    let old = host.get { $0.receive?.address }
    try rig.adapter.reopen(device: rig.device)
    #expect(host.get { $0.receive?.address } != old && rig.pool.freed.load(ordering: .relaxed) == 0)
  }

  @Test(arguments: Threading.allCases) func controlWhileAQueueRuns(_ threading: Threading) throws {
    let host = ScriptedHost()
    let rig = try Rig(host, threading)
    let adapter = rig.adapter
    let results = Monitor<[String]>([])
    final class Stop: Sendable { let value = Monitor(false) }
    let stop = Stop()
    let owner = try WorkerThread(name: "owner") {
      let queue = try! adapter.makeQueue()
      let sleep = try! Epoll()
      try! sleep.add(queue.readinessDescriptor, token: 0)
      while !stop.value.withLock({ $0 }) {
        _ = queue.put([UInt8](repeating: 1, count: 60))
        let moved = queue.forward(to: LosingSink(), limit: 64).frameCount
        queue.flush()
        if moved == 0, !queue.prepareToWait(forRoom: false) { _ = sleep.wait(milliseconds: 20) }
      }
      queue.close()
    }
    for round in 0..<20 {
      do {
        try adapter.setAddress(MACAddress(value: 0x0200_0000_0000 + UInt64(round)))
        adapter.setFilter(EthernetFilter(isPromiscuous: round % 2 == 0, address: adapter.info.address))
      } catch {
        results.withLock { $0.append("\(error)") }
      }
    }
    #expect(results.withLock { $0 } == [])
    #expect(adapter.info.address.value == 0x0200_0000_0013)
    for _ in 0..<5000 where host.get({ $0.filter }) != 0 { sleepThread(nanoseconds: 1_000_000) }
    #expect(host.get { $0.filter } == 0)
    // What the other end cannot take is not coalesced.
    adapter.setOffloads(.checksum)
    for _ in 0..<5000 where host.get({ $0.parameters.count }) < 2 { sleepThread(nanoseconds: 1_000_000) }
    #expect(host.get { $0.parameters.last?[22] } == 1 && !adapter.isCoalescing)
    // Silence ends in an error, and the next request works.
    host.set { $0.silentOIDs = [.rndisConfigurationParameter] }
    stop.value.withLock { $0 = true }
    owner.join()
  }

  @Test func aControlRequestWithoutReply() throws {
    let host = ScriptedHost()
    let rig = try Rig(host) { $0.stepMilliseconds = 300 }
    host.set { $0.silentOIDs = [.rndisConfigurationParameter] }
    #expect(throws: ChannelError.self) { try rig.adapter.setAddress(MACAddress("02:00:00:00:00:05")!) }
    host.set { $0.silentOIDs = [] }
    try rig.adapter.setAddress(MACAddress("02:00:00:00:00:05")!)
    host.set { $0.refusedOIDs = [.rndisConfigurationParameter] }
    #expect(throws: ChannelError.self) { try rig.adapter.setAddress(MACAddress("02:00:00:00:00:06")!) }
    #expect(rig.adapter.info.address == MACAddress("02:00:00:00:00:05"))
    #expect(throws: ChannelError.self) { try rig.adapter.setAddress(.broadcast) }
  }

  @Test func filtersOfStations() {
    let own = MACAddress("00:15:5d:0a:0b:0c")!
    func bits(_ filter: EthernetFilter) -> UInt32 { PacketFilter(filter, own: own).rawValue }
    #expect(bits(EthernetFilter()) == 0)
    #expect(bits(EthernetFilter(isPromiscuous: true)) == 0x20)
    let up = EthernetFilter(acceptsDirected: true, acceptsAllMulticast: true, acceptsBroadcast: true, address: own)
    #expect(bits(up) == 0x0d)
    #expect(bits(EthernetFilter(acceptsDirected: true, acceptsBroadcast: true, address: own)) == 9)
    #expect(bits(EthernetFilter(acceptsDirected: true, address: MACAddress("02:00:00:00:00:01")!)) == 0x20)
    #expect(bits(EthernetFilter(groups: [MACAddress("01:00:5e:00:00:01")!])) == 4)
  }
}
