import Ethernet
@testable import EthernetSwitch
import LinuxIO
import Synchronization
import Testing
import WireBytes

@Suite struct UplinkTests {
  /// With one port what the uplink brings goes into the room of the NIC, and what the NIC sends is lent to the uplink.
  @Test func onePortNeedsNoCopy() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let station = try Station(ethernetSwitch, 1)
    station.send("out", to: mac(9))
    #expect(uplink.queue(0).take().map(\.text) == ["out"])
    uplink.queue(0).bring(.from(mac(9), to: mac(1), "in"), .from(mac(9), to: .broadcast, "all"))
    #expect(station.take() == ["in", "all"] && station.nic.commitCount == 2)
    // What is for somebody else stays out.
    station.port.setFilter(EthernetFilter(acceptsDirected: true, address: mac(1)))
    uplink.queue(0).bring(.from(mac(9), to: .broadcast, "all"), .from(mac(9), to: mac(8), "stranger"))
    uplink.queue(0).bring(.from(mac(9), to: mac(1), "in"))
    #expect(station.take() == ["in"])
    station.port.setFilter(EthernetFilter())
    uplink.queue(0).bring(.from(mac(9), to: mac(1), "in"))
    #expect(station.take() == [] && station.nic.commitCount == 3)
    #expect(uplink.queue(0).state.withLock { $0.incoming.isEmpty })
  }

  /// The other way round: a cable that holds its frames in a kernel reads them into the room of the uplink.
  @Test func roomOfTheUplinkIsUsed() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    for (destination, text) in [(mac(9), "up"), (mac(2), "across"), (.broadcast, "all"), (mac(1), "back")] {
      let frame = TestFrame.from(mac(1), to: destination, text)
      let room = try #require(stations[0].queue.reserve())
      room.bytes.copyIn(frame.bytes.span.bytes, at: 8)
      stations[0].queue.commit(start: 8, byteCount: frame.bytes.count, offload: .plain)
    }
    #expect(uplink.queue(0).take().map(\.text) == ["up", "all"] && uplink.queue(1).take() == [])
    // "up" was flooded: nobody knew the station.
    #expect(stations[1].take() == ["up", "across", "all"] && stations[0].take() == [])
  }

  @Test func fullUplinkHoldsTheNIC() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    uplink.queue(0).state.withLock { $0.capacity = 1 }
    let frame = TestFrame.from(mac(1), to: .broadcast, "all")
    #expect(frame.send(to: stations[0].queue) && !frame.send(to: stations[0].queue))
    #expect(stations[0].queue.reserve() == nil)
    // Nobody got the frame that was not taken.
    #expect(stations[1].take() == ["all"])
    #expect(!stations[0].queue.prepareToWait(forRoom: true))
    _ = uplink.queue(0).take()
    #expect(waitForInput([stations[0].queue.readinessDescriptor], milliseconds: 0) != 0)
    #expect(frame.send(to: stations[0].queue))
    // Frames between NICs do not need the uplink.
    #expect(TestFrame.from(mac(1), to: mac(2), "across").send(to: stations[0].queue))
    #expect(stations[1].take() == ["all", "across"])
  }

  @Test(arguments: [true, false]) func fullNICHoldsOnlyItself(isKernel: Bool) throws {
    let uplink = TestPort(isKernel: isKernel)
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let first = try Station(ethernetSwitch, 1)
    first.nic.capacity = 1
    let queue = uplink.queue(0)
    queue.bring(.from(mac(9), to: mac(1), "1"), .from(mac(9), to: mac(1), "2"), .from(mac(9), to: mac(1), "3"))
    // Alone it holds the uplink back.
    #expect(first.queue.forward(to: first.nic, limit: 64) == ForwardResult(frameCount: 1, isBlocked: true))
    #expect(queue.state.withLock { $0.incoming.count } == 2)
    let second = try Station(ethernetSwitch, 2)
    queue.bring(.from(mac(9), to: mac(2), "other"), .from(mac(9), to: mac(1), "4"))
    #expect(first.queue.forward(to: first.nic, limit: 64) == ForwardResult(frameCount: 4, isBlocked: false))
    #expect(second.take() == ["other"])
    // Its owner goes on to listen to the uplink, and looks for room by time.
    func isReady(within milliseconds: Int32) -> Bool {
      waitForInput([first.queue.readinessDescriptor], milliseconds: milliseconds) != 0
    }
    #expect(!first.queue.prepareToWait(forRoom: false) && isReady(within: 5000))
    #expect(first.queue.forward(to: first.nic, limit: 64).frameCount == 0 && !isReady(within: 0))
    for _ in 0..<4 { #expect(!first.queue.prepareToWait(forRoom: false)) }
    queue.bring(.from(mac(9), to: mac(2), "next"))
    #expect(isReady(within: 0) && first.queue.forward(to: first.nic, limit: 64).frameCount == 1)
    #expect(second.take() == ["next"])
    // What it had no room for comes later, in order.
    first.nic.capacity = 100
    queue.bring(.from(mac(9), to: mac(1), "5"))
    #expect(first.take() == ["1", "2", "3", "4", "5"])
  }

  @Test func uplinkFramesAreRouted() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let stations = try (1...3).map { try Station(ethernetSwitch, $0) }
    uplink.queue(0).bring(
      .from(mac(9), to: mac(2), "two"), .from(mac(9), to: .broadcast, "all"), .from(mac(9), to: mac(1), "one"),
      .from(mac(9), to: mac(9), "itself"))
    #expect(stations.map { $0.take() } == [["all", "one"], ["two", "all"], ["all"]])
    // The NIC's room was not spent on the frame for another.
    #expect(stations[0].nic.commitCount == 2)
    stations[1].send("back", to: mac(9))
    #expect(stations.map { $0.take() } == [[], [], []])
    #expect(uplink.queue(1).take().map(\.text) == ["back"])
  }

  /// More queues than the uplink has: the others are served by those that have one.
  @Test func queuesWithoutAnUplinkAreServed() throws {
    let uplink = TestPort(queues: 1)
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    #expect(uplink.openCount == 1)
    #expect(!stations[0].queue.prepareToWait(forRoom: false))
    stations[1].send("out", to: mac(9))
    #expect(waitForInput([stations[0].queue.readinessDescriptor], milliseconds: 0) != 0)
    #expect(stations[0].take() == ["out"])
    #expect(uplink.queue(0).take().map(\.text) == ["out"])
    // A full uplink keeps what waits.
    uplink.queue(0).state.withLock { $0.capacity = 1 }
    for text in ["1", "2"] { stations[1].send(text, to: mac(9)) }
    uplink.queue(0).bring(.from(mac(9), to: mac(2), "in"))
    // Nobody had heard of the station: the frames were flooded.
    #expect(stations[0].take() == ["1", "2"] && stations[1].take() == ["in"])
    #expect(!stations[0].queue.prepareToWait(forRoom: false))
    #expect(uplink.queue(0).take().map(\.text) == ["1"])
    _ = stations[0].take()
    #expect(uplink.queue(0).take().map(\.text) == ["2"])
    // When its owner goes, so does the queue; the next one gets it.
    stations[0].queue.close()
    #expect(uplink.openCount == 0)
    stations[1].send("nowhere", to: mac(9))
    let queue = try stations[1].port.makeQueue()
    #expect(uplink.openCount == 1)
    queue.close()
  }

  @Test func endedUplinkQueueIsLeft() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    uplink.queue(0).end()
    #expect(stations[0].take() == [] && uplink.openCount == 1)
    stations[0].send("around", to: mac(9))
    #expect(stations[1].take() == ["around"])
    #expect(uplink.queue(1).take().map(\.text) == ["around"])
    stations[1].send("back", to: mac(1))
    #expect(stations[0].take() == ["back"])
  }

  @Test(arguments: [true, false]) func threadedUplink(isKernel: Bool) throws {
    let uplink = TestPort(queues: 1, isKernel: isKernel)
    do {
      let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .threaded(uplink))
      let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
      let queue = uplink.queue(0)
      for round in 0..<20 {
        stations[0].send("out \(round)", to: mac(9))
        #expect(queue.take(1).map(\.text) == ["out \(round)"])
        // The first frame was flooded.
        #expect(stations[1].take() == (round == 0 ? ["out 0"] : []))
        #expect(!stations[1].queue.prepareToWait(forRoom: false))
        queue.bring(.from(mac(9), to: mac(2), "in \(round)"))
        #expect(waitForInput([stations[1].queue.readinessDescriptor], milliseconds: 5000) != 0)
        #expect(stations[1].take() == ["in \(round)"])
      }
      // A full uplink makes frames wait in the inbox.
      queue.state.withLock { $0.capacity = 1 }
      for number in 0..<10 { stations[0].send("\(number)", to: mac(9)) }
      #expect(queue.take(10).map(\.text) == (0..<10).map(String.init))
      // A queue that ends is replaced.
      queue.end()
      for _ in 0..<3000 where uplink.queueCount < 2 { sleepThread(nanoseconds: 1_000_000) }
      #expect(uplink.queueCount == 2)
      stations[0].send("again", to: mac(9))
      #expect(uplink.queue(1).take(1).map(\.text) == ["again"])
      #expect(throws: EthernetError.busy) { _ = try EthernetSwitch(name: "second", uplink: .threaded(uplink)) }
    }
    #expect(uplink.openCount == 0)
  }

  @Test func portsFollowTheUplink() throws {
    let uplink = TestPort()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .queued(uplink))
    let port = try ethernetSwitch.makePort(address: mac(1))
    let box = ObserverCount()
    port.observe { box.value.add(1, ordering: .relaxed) }
    #expect(port.info.hasCarrier)
    uplink.setCarrier(false)
    #expect(!port.info.hasCarrier && box.value.load(ordering: .relaxed) == 1)
    uplink.setCarrier(true)
    #expect(port.info.hasCarrier && box.value.load(ordering: .relaxed) == 2)
    // The uplink is told what the ports can take, and how to choose while there is only one.
    port.setOffloads([.checksum, .tcp4])
    port.setSteering { _ in 3 }
    #expect(uplink.state.withLock { $0.offloads } == [.checksum, .tcp4])
    #expect(choice(uplink) == 3)
    let second = try ethernetSwitch.makePort(address: mac(2))
    second.setOffloads([.tcp6])
    #expect(uplink.state.withLock { $0.offloads } == .all && uplink.state.withLock { $0.choose == nil })
    second.close()
    #expect(uplink.state.withLock { $0.offloads } == [.checksum, .tcp4])
    #expect(choice(uplink) == 3)
  }

  private func choice(_ uplink: TestPort) -> Int? {
    let headers: [UInt8] = []
    return uplink.state.withLock { $0.choose }?(headers.rawSpan)
  }

  private final class ObserverCount: Sendable {
    let value = Atomic<Int>(0)
  }

  @Test func responderAnswersItsOwn() throws {
    let responder = Parrot()
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .responder(responder))
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    stations[0].send("hello", to: responder.address)
    #expect(stations[0].take() == ["hello"] && stations[1].take() == [])
    stations[1].send("all", to: .broadcast)
    #expect(stations[0].take() == ["all"] && stations[1].take() == ["all"])
    stations[0].send("stranger", to: mac(77))
    #expect(stations[0].take() == [] && stations[1].take() == ["stranger"])
    // Nobody takes its address over.
    stations[1].send("", to: mac(1), from: responder.address)
    _ = stations[0].take()
    stations[0].send("still there", to: responder.address)
    #expect(stations[0].take() == ["still there"])
  }

  /// Sends everything back.
  private final class Parrot: FrameResponder {
    let address = mac(0x1234)

    func respond(to frame: RawSpan, offload: FrameOffload, reply: (RawSpan, FrameOffload) -> Void) {
      let bytes = frame.array()
      let answer = TestFrame.from(address, to: frame.macAddress(at: 6), TestFrame(bytes: bytes).text)
      reply(answer.bytes.rawSpan, offload)
    }
  }
}
