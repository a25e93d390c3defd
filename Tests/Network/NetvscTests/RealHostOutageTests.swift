import Ethernet
import LinuxIO
@testable import Netvsc
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
@testable import VMBusClient

/// The driver against the project's own host end while either of them goes away and comes back, or is changed.
@Suite(.serialized) struct RealHostOutageTests {
  typealias Traffic = RealHostTests.Traffic

  /// Runs `disturb` while frames pass, in which some may be lost; afterwards all come.
  private func run(
    _ setup: RealBusSetup, rounds: Int, _ disturb: (RealBus, Int) throws -> Void
  ) throws {
    let bus = try RealBus(setup)
    defer { bus.stop() }
    try bus.connect()
    let traffic = try Traffic(bus, count: nil, longest: 60_000, hasShort: false)
    var freePageCount = 0
    for round in 0..<rounds {
      #expect(traffic.progress(200))
      try disturb(bus, round)
      if round == 0 { freePageCount = bus.freePageCount }
    }
    #expect(bus.freePageCount == freePageCount)
    traffic.pause()
    sleepThread(nanoseconds: 20_000_000)
    traffic.finish(60)
    traffic.join()
    #expect(settled { bus.watched.isWhole }, "\(bus.watched.description)")
    #expect(bus.watched.faults.withLock { $0 } == [])
  }

  private func setup(_ isEmbedded: Bool) -> RealBusSetup {
    RealBusSetup(isEmbedded: isEmbedded, queueCount: 2, receiveByteCount: 2 << 20)
  }

  @Test(arguments: [true, false]) func aHostThatTakesTheNICBack(_ isEmbedded: Bool) throws {
    try run(setup(isEmbedded), rounds: 8) { bus, _ in try bus.replug() }
  }

  @Test(arguments: [true, false]) func closedAndOpenedAgain(_ isEmbedded: Bool) throws {
    try run(setup(isEmbedded), rounds: 8) { bus, _ in try bus.closeAndReopen() }
  }

  @Test(arguments: [true, false]) func anotherMTU(_ isEmbedded: Bool) throws {
    try run(setup(isEmbedded), rounds: 8) { bus, round in try bus.change(mtu: [9000, 1500, 4000, 1500][round % 4]) }
  }

  /// The guest wants its buffers back in any order, before and after the channels are closed.
  @Test(arguments: [true, false]) func buffersTakenBackInAnyOrder(_ isEmbedded: Bool) throws {
    var setup = setup(isEmbedded)
    setup.stepMilliseconds = 1_000
    let bus = try RealBus(setup)
    defer { bus.stop() }
    try bus.connect()
    let traffic = try Traffic(bus, count: nil, longest: 60_000, hasShort: false)
    for order in 0..<5 {
      #expect(traffic.progress(200))
      let device = bus.currentDevice
      let nic = bus.adapter.state.withLock { $0.nic }
      let (receive, send) = (try #require(nic.receiveGPADL), try #require(nic.sendGPADL))
      switch order {
      case 0: #expect(device.tearDownGPADL(receive) && device.tearDownGPADL(send))
      case 1: #expect(device.tearDownGPADL(send) && device.tearDownGPADL(receive))
      case 2:
        bus.disconnect()
        device.close()
        #expect(device.tearDownGPADL(send) && device.tearDownGPADL(receive))
      case 3:
        #expect(device.tearDownGPADL(receive))
        bus.disconnect()
        device.close()
        #expect(device.tearDownGPADL(send))
      default: #expect(device.tearDownGPADL(send))
      }
      let memory = bus.adapter.state.withLock { $0.memory }
      bus.adapter.close()
      bus.disconnect()
      #expect(settled { bus.nic.session == nil })
      // Nobody but the guest has the memory now: whatever is in it stays.
      for buffer in [memory.receive.slice, memory.send.slice] {
        buffer.fill(0x5a)
        sleepThread(nanoseconds: 5_000_000)
        #expect(buffer.bytes().allSatisfy { $0 == 0x5a })
      }
      try bus.reopen(device)
    }
    traffic.pause()
    sleepThread(nanoseconds: 20_000_000)
    traffic.finish(60)
    traffic.join()
    #expect(settled { bus.watched.isWhole }, "\(bus.watched.description)")
  }

  // MARK: Control

  /// All of the control plane at once, from several threads, while frames pass: none is lost, and what was said last holds.
  @Test(arguments: [true, false]) func controlUnderLoad(_ isEmbedded: Bool) throws {
    let bus = try RealBus(setup(isEmbedded))
    defer { bus.stop() }
    let changes = Atomic<Int>(0)
    bus.adapter.observe { changes.add(1, ordering: .relaxed) }
    try bus.connect()
    let traffic = try Traffic(bus, count: 1200, longest: 60_000)
    let isDone = Atomic<Bool>(false)
    let problems = Mutex<[String]>([])
    func thread(_ name: String, _ body: @escaping @Sendable (Int) throws -> Void) throws -> WorkerThread {
      try WorkerThread(name: name) {
        var round = 0
        while !isDone.load(ordering: .acquiring), round < 2_000 {
          do { try body(round) } catch { problems.withLock { $0.append("\(name): \(error)") } }
          round += 1
          sleepThread(nanoseconds: 1_000_000)
        }
      }
    }
    let groups: Set<MACAddress> = [MACAddress("01:00:5e:00:00:01")!]
    let addresses = (1...3).map { MACAddress("02:00:00:00:00:0\($0)")! }
    let threads = [
      try thread("filter") { round in
        bus.adapter.setFilter(
          EthernetFilter(
            acceptsDirected: round % 2 == 0, acceptsBroadcast: true, isPromiscuous: round % 5 == 0,
            address: .zero, groups: round % 3 == 0 ? groups : []))
      },
      try thread("offloads") { round in bus.adapter.setOffloads(round % 2 == 0 ? .all : .checksum) },
      try thread("address") { round in try bus.adapter.setAddress(addresses[round % 3]) },
      try thread("second address") { round in try bus.adapter.setAddress(addresses[2 - round % 3]) },
      try thread("link") { round in
        bus.nic.setMediaConnected(round % 2 == 0)
        if round % 3 == 0 { bus.nic.networkChange() }
        bus.nic.setLinkSpeed(UInt64(1 + round % 7) * 1_000_000_000)
      },
    ]
    traffic.join()
    isDone.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
    #expect(problems.withLock { $0 } == [])
    #expect(changes.load(ordering: .relaxed) > 0)
    // What was said last holds at either end.
    bus.nic.setMediaConnected(false)
    #expect(settled { !bus.adapter.info.hasCarrier })
    bus.nic.setMediaConnected(true)
    bus.nic.setLinkSpeed(25_000_000_000)
    #expect(settled { bus.adapter.info.hasCarrier && bus.adapter.info.bitsPerSecond == 25_000_000_000 })
    try bus.adapter.setAddress(addresses[0])
    bus.adapter.setFilter(EthernetFilter(acceptsDirected: true, address: addresses[0], groups: groups))
    #expect(bus.adapter.info.address == addresses[0])
    #expect(
      settled {
        bus.nic.session.map { $0.address == addresses[0] && $0.filter == [.directed, .allMulticast] } ?? false
      })
    #expect(settled { bus.watched.isWhole }, "\(bus.watched.description)")
    #expect(bus.watched.faults.withLock { $0 } == [] && bus.adapter.faultDescription == nil)
  }
}
