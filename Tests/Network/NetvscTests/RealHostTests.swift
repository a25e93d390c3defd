import Ethernet
import LinuxIO
import Support
import Synchronization
import Testing

/// The driver against the project's own host end, over the whole bus: every frame once, in order, unchanged.
@Suite(.serialized) struct RealHostTests {
  /// Streams both ways on every queue, and the stations that send and check them.
  struct Traffic {
    let stations: [TrafficStation]
    let streams: [TrafficStream]

    init(_ bus: RealBus, count: Int?, longest: Int, hasShort: Bool = true, seconds: Int = 60) throws {
      var stations: [TrafficStation] = []
      var streams: [TrafficStream] = []
      let flag = SharedFlag()
      for index in 0..<bus.setup.queueCount {
        var profile = TrafficProfile(mtu: bus.setup.mtu, longest: longest, hasShort: hasShort)
        let up = TrafficStream(seed: UInt64(2 * index + 1), profile, count: count)
        profile.isFromWire = true
        let down = TrafficStream(seed: UInt64(2 * index + 2), profile, count: count)
        stations += [
          try TrafficStation(bus.guestSide, outgoing: up, incoming: down, seconds: seconds, hasFailed: flag),
          try TrafficStation(bus.hostSide, outgoing: down, incoming: up, seconds: seconds, hasFailed: flag),
        ]
        streams += [up, down]
      }
      self.stations = stations
      self.streams = streams
    }

    var receivedCount: Int { streams.reduce(0) { $0 + $1.received.load(ordering: .relaxed) } }

    /// Waits until `count` more frames have come, wherever.
    func progress(_ count: Int) -> Bool {
      let start = receivedCount
      return settled { receivedCount >= start + count || stations.contains { $0.problem != nil } }
    }

    func pause() {
      for stream in streams { stream.isPaused.store(true, ordering: .releasing) }
    }

    func finish(_ count: Int) {
      for stream in streams { stream.finish(count) }
    }

    func join() {
      for station in stations { station.join() }
      for station in stations { #expect(station.problem == nil) }
    }
  }

  static let setups: [RealBusSetup] = [true, false].flatMap { isEmbedded in
    [1, 2, 4].map { RealBusSetup(isEmbedded: isEmbedded, queueCount: $0, receiveByteCount: $0 << 20) }
  }

  private func run(_ setup: RealBusSetup, count: Int, longest: Int) throws -> RealBus {
    let bus = try RealBus(setup)
    #expect(bus.adapter.maximumQueueCount == setup.queueCount && bus.adapter.isCoalescing == setup.coalesces)
    try bus.connect()
    let traffic = try Traffic(bus, count: count, longest: longest)
    traffic.join()
    #expect(settled { bus.watched.isWhole }, "\(bus.watched.description)")
    #expect(bus.watched.faults.withLock { $0 } == [] && bus.adapter.faultDescription == nil)
    let status = try #require(bus.nic.session).statistics
    #expect(status.sendErrors == 0 && status.receiveErrors == 0 && status.strayCompletions == 0)
    #expect(status.sendDiscards == 0 && status.receiveDiscards == 0)
    for queue in bus.adapter.queueStatistics {
      #expect(queue.sentDrops == 0 && queue.receivedDrops == 0 && queue.sendErrors == 0 && queue.protocolFaults == 0)
    }
    return bus
  }

  @Test(arguments: setups) func everyFrameBothWays(_ setup: RealBusSetup) throws {
    let bus = try run(setup, count: 2400 / setup.queueCount, longest: 65_000)
    defer { bus.stop() }
    let queues = bus.adapter.queueStatistics
    #expect(queues.allSatisfy { $0.largeSends > 0 && $0.coalescedFrames > 0 && $0.checksumRequests > 0 })
  }

  /// The pool of the host runs dry all the time, and what comes back comes in other order than it went.
  @Test(arguments: [true, false], [1, 2]) func aReceiveBufferThatIsSmall(_ isEmbedded: Bool, _ queueCount: Int) throws {
    for isEager in [false, true] {
      var setup = RealBusSetup(isEmbedded: isEmbedded, queueCount: queueCount)
      setup.receiveByteCount = 64 << 10
      setup.coalesces = false
      setup.lends = !isEager
      setup.isEager = isEager
      let bus = try run(setup, count: 2000 / queueCount, longest: 0)
      defer { bus.stop() }
      #expect(bus.watched.leastFree.load(ordering: .relaxed) == 0)
    }
  }

  /// Frames of 64 KiB never fit the receive buffer: then they must not keep the others from it.
  @Test(arguments: [true, false], [true, false]) func aReceiveBufferTooSmallForLongFrames(
    _ isEmbedded: Bool, _ lends: Bool
  ) throws {
    var setup = RealBusSetup(isEmbedded: isEmbedded, queueCount: 1, receiveByteCount: 64 << 10)
    setup.lends = lends
    let bus = try RealBus(setup)
    defer { bus.stop() }
    try bus.connect()
    #expect(!bus.adapter.isCoalescing)
    let traffic = try Traffic(bus, count: 300, longest: 0, seconds: 20)
    traffic.join()
  }

  @Test(arguments: [true, false]) func hostsThatDoNothing(_ isEmbedded: Bool) throws {
    var setup = RealBusSetup(isEmbedded: isEmbedded, queueCount: 2, receiveByteCount: 2 << 20)
    setup.offersOffloads = false
    setup.coalesces = false
    setup.sectionByteCount = 512
    let bus = try run(setup, count: 700, longest: 65_000)
    defer { bus.stop() }
    #expect(
      bus.adapter.queueStatistics.allSatisfy { $0.cutFrames > 0 && $0.softwareChecksums > 0 && $0.longFrames > 0 })
  }

  @Test(arguments: [true, false]) func longFrames(_ isEmbedded: Bool) throws {
    var setup = RealBusSetup(isEmbedded: isEmbedded, queueCount: 1, mtu: 9000, receiveByteCount: 2 << 20)
    setup.ringByteCount = 16 << 10
    let bus = try run(setup, count: 800, longest: 65_000)
    bus.stop()
  }
}
