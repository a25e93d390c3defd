import Ethernet
@testable import EthernetSwitch
import LinuxIO
import Synchronization
import Testing
import WireBytes

/// A port with one queue and a NIC behind it.
final class Station {
  let address: MACAddress
  let port: SwitchPort
  let queue: any EthernetQueue
  let nic = TestSink()

  init(_ ethernetSwitch: EthernetSwitch, _ number: UInt64) throws {
    address = mac(number)
    port = try ethernetSwitch.makePort(address: address)
    queue = try port.makeQueue()
  }

  func send(_ text: String, to destination: MACAddress, from source: MACAddress? = nil) {
    TestFrame.from(source ?? address, to: destination, text).send(to: queue)
  }

  /// What came since the last call.
  func take() -> [String] {
    queue.drain(to: nic)
    return nic.take()
  }
}

@Suite struct SwitchTests {
  private let group = MACAddress(value: 0x0100_5e00_0001)

  @Test func knownStationsGetTheirFramesAlone() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let stations = try (1...3).map { try Station(ethernetSwitch, $0) }
    stations[0].send("to 2", to: mac(2))
    #expect(stations.map { $0.take() } == [[], ["to 2"], []])
    stations[0].send("to all", to: .broadcast)
    stations[0].send("to a group", to: group)
    stations[0].send("to a stranger", to: mac(99))
    let flooded = ["to all", "to a group", "to a stranger"]
    #expect(stations.map { $0.take() } == [[], flooded, flooded])
    // A stranger that spoke once is known, and never gets back its own.
    stations[2].send("hello", to: mac(1), from: mac(99))
    stations[0].send("to 99", to: mac(99))
    stations[2].send("to itself", to: mac(99))
    #expect(stations.map { $0.take() } == [["hello"], [], ["to 99"]])
    #expect(ethernetSwitch.stationCount == 4 && ethernetSwitch.counters == SwitchCounters())
  }

  @Test func stationsMoveAndAge() throws {
    let now = Seconds()
    var options = SwitchOptions()
    options.clock = { now.value.load(ordering: .relaxed) }
    let ethernetSwitch = try EthernetSwitch(name: "test", options: options)
    let stations = try (1...3).map { try Station(ethernetSwitch, $0) }
    stations[1].send("", to: mac(1), from: mac(50))
    stations[0].send("first", to: mac(50))
    stations[2].send("", to: mac(1), from: mac(50))
    stations[0].send("second", to: mac(50))
    #expect(stations[1].take() == ["first"] && stations[2].take() == ["second"])
    #expect(ethernetSwitch.counters.moves == 1)
    now.value.store(300, ordering: .relaxed)
    stations[0].send("third", to: mac(50))
    now.value.store(301, ordering: .relaxed)
    stations[0].send("fourth", to: mac(50))
    #expect(stations[1].take() == ["fourth"] && stations[2].take() == ["third", "fourth"])
    // A port's own address is neither forgotten nor taken over.
    stations[2].send("", to: mac(1), from: mac(2))
    stations[0].send("fifth", to: mac(2))
    #expect(stations[1].take() == ["fifth"] && stations[2].take() == [])
  }

  private final class Seconds: Sendable {
    let value = Atomic<UInt64>(0)
  }

  @Test func filtersDecide() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    let other = MACAddress(value: 0x0100_5e00_0002)
    func sendAll() -> [String] {
      stations[0].send("directed", to: mac(2))
      stations[0].send("all", to: .broadcast)
      stations[0].send("group", to: group)
      stations[0].send("other group", to: other)
      stations[0].send("stranger", to: mac(77))
      return stations[1].take()
    }
    let everything = ["directed", "all", "group", "other group", "stranger"]
    #expect(sendAll() == everything)
    let port = stations[1].port
    port.setFilter(EthernetFilter())
    #expect(sendAll() == [] && ethernetSwitch.counters.filtered == 1)
    port.setFilter(EthernetFilter(acceptsDirected: true, acceptsBroadcast: true, address: mac(2), groups: [group]))
    #expect(sendAll() == ["directed", "all", "group"])
    port.setFilter(EthernetFilter(acceptsAllMulticast: true))
    #expect(sendAll() == ["group", "other group"])
    port.setFilter(EthernetFilter(isPromiscuous: true))
    #expect(sendAll() == everything)
    // What waits already is not delivered either once the filter is closed.
    stations[0].send("late", to: mac(2))
    port.setFilter(EthernetFilter())
    #expect(stations[1].take() == [])
  }

  @Test func badFramesAreDropped() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    stations[0].send("from nobody", to: mac(2), from: .zero)
    stations[0].send("from a group", to: mac(2), from: group)
    stations[0].send("from all", to: .broadcast, from: .broadcast)
    TestFrame(bytes: [UInt8](repeating: 2, count: 13)).send(to: stations[0].queue)
    TestFrame(bytes: [UInt8](repeating: 2, count: FrameRoom.maximumFrameByteCount + 1)).send(to: stations[0].queue)
    #expect(ethernetSwitch.counters.malformed == 5)
    // These groups end at a bridge, and are not bad.
    stations[0].send("to the bridge", to: MACAddress(value: 0x0180_c200_0000))
    #expect(stations[1].take() == [] && ethernetSwitch.counters.malformed == 5)
  }

  @Test func spoofingIsPreventedOnDemand() throws {
    var options = SwitchOptions()
    options.preventsSpoofing = true
    let ethernetSwitch = try EthernetSwitch(name: "test", options: options)
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    stations[0].send("honest", to: mac(2))
    stations[0].send("spoofed", to: mac(2), from: mac(3))
    #expect(stations[1].take() == ["honest"] && ethernetSwitch.counters.spoofed == 1)
    #expect(ethernetSwitch.stationCount == 2)
    // A port that leads to many has no address to be checked.
    let open = try ethernetSwitch.makePort(address: .zero)
    let queue = try open.makeQueue()
    TestFrame.from(mac(9), to: mac(2), "of many").send(to: queue)
    #expect(stations[1].take() == ["of many"])
  }

  @Test func fullInboxDropsAndKeepsOrder() throws {
    var options = SwitchOptions()
    options.inboxCapacity = 4
    let ethernetSwitch = try EthernetSwitch(name: "test", options: options)
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    for number in 0..<6 { stations[0].send("\(number)", to: mac(2)) }
    #expect(ethernetSwitch.counters.inboxFull == 2)
    let nic = stations[1].nic
    nic.capacity = 3
    #expect(stations[1].queue.forward(to: nic, limit: 2) == ForwardResult(frameCount: 2, isBlocked: false))
    #expect(stations[1].queue.forward(to: nic, limit: 9) == ForwardResult(frameCount: 1, isBlocked: true))
    // The owner waits for the NIC's room then, not for frames.
    #expect(!stations[1].queue.prepareToWait(forRoom: false))
    nic.capacity = 9
    #expect(stations[1].take() == ["0", "1", "2", "3"])
  }

  @Test func wakesASleepingQueue() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    let queue = stations[1].queue
    func isReadable() -> Bool { waitForInput([queue.readinessDescriptor], milliseconds: 0) != 0 }
    #expect(!queue.prepareToWait(forRoom: false) && !isReadable())
    stations[0].send("wake", to: mac(2))
    #expect(isReadable())
    #expect(stations[1].take() == ["wake"] && !isReadable())
    stations[0].send("again", to: mac(2))
    #expect(queue.prepareToWait(forRoom: false))
    #expect(stations[1].take() == ["again"])
  }

  @Test func framesAreSteered() throws {
    var options = SwitchOptions()
    options.inboxCapacity = 512
    let ethernetSwitch = try EthernetSwitch(name: "test", options: options)
    let sender = try Station(ethernetSwitch, 1)
    let port = try ethernetSwitch.makePort(address: mac(2))
    let queues = try (0..<4).map { _ in try port.makeQueue() }
    let nics = queues.map { _ in TestSink() }
    func round() -> [[TestFrame]] {
      for number in 0..<10 {
        for flow in 0..<32 {
          TestFrame.flow(from: mac(1), to: mac(2), port: UInt16(flow), number: number).send(to: sender.queue)
        }
      }
      return zip(queues, nics).map { queue, nic in
        queue.drain(to: nic)
        defer { nic.frames = [] }
        return nic.frames
      }
    }
    let spread = round()
    #expect(spread.allSatisfy { $0.count > 0 } && spread.joined().count == 320)
    for flow in 0..<32 as Range<UInt16> {
      // A flow stays with one queue, in order.
      let homes = spread.map { frames in
        frames.filter { $0.bytes.rawSpan.be16(at: 34) == flow }.map { $0.bytes.rawSpan.be32(at: 42) }
      }.filter { !$0.isEmpty }
      #expect(homes == [Array(0..<10)])
    }
    port.setSteering { headers in Int(headers.be16(at: 34)) == 7 ? 2 : -1 }
    let steered = round()
    #expect(steered[2].count == 10 && steered[3].count == 310)
    port.setSteering(nil)
    queues[1].close()
    #expect(round().map(\.count)[1] == 0)
    #expect(try port.makeQueue().isEnded == false)
  }

  @Test func offloadsPassBetweenNICs() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let stations = try (1...2).map { try Station(ethernetSwitch, $0) }
    var frame = TestFrame.from(mac(1), to: mac(2), String(repeating: "x", count: 60_000))
    frame.offload = FrameOffload(
      checksum: .partial(start: 34, offset: 16), segmentation: .tcp4(segmentByteCount: 1448, headerByteCount: 66),
      vlan: 5, flowHash: 6)
    frame.send(to: stations[0].queue)
    // The same through room, as from a kernel.
    let room = try #require(stations[0].queue.reserve())
    room.bytes.copyIn(frame.bytes.rawSpan, at: 4)
    stations[0].queue.commit(start: 4, byteCount: frame.bytes.count, offload: frame.offload)
    stations[1].queue.drain(to: stations[1].nic)
    #expect(stations[1].nic.frames == [frame, frame])
  }

  @Test func portsComeAndGo() throws {
    let ethernetSwitch = try EthernetSwitch(name: "test")
    let first = try Station(ethernetSwitch, 1)
    var second: Station? = try Station(ethernetSwitch, 2)
    #expect(first.port.info == EthernetPortInfo(address: mac(1)))
    second = nil
    _ = second
    #expect(ethernetSwitch.fabric.map.ports.count == 1 && ethernetSwitch.stationCount == 1)
    let third = try Station(ethernetSwitch, 3)
    #expect(!third.queue.prepareToWait(forRoom: false))
    third.port.close()
    third.port.close()
    #expect(waitForInput([third.queue.readinessDescriptor], milliseconds: 0) != 0)
    #expect(third.queue.prepareToWait(forRoom: false))
    #expect(third.queue.isEnded && !third.port.info.hasCarrier)
    #expect(throws: EthernetError.lost) { _ = try third.port.makeQueue() }
    first.send("lost", to: mac(3))
    third.send("too late", to: mac(1))
    #expect(third.take() == [] && first.take() == [])
    third.queue.close()
    var options = SwitchOptions()
    options.maximumQueueCount = 2
    let port = try EthernetSwitch(name: "small", options: options).makePort(address: mac(1), mtu: 9000)
    #expect(port.info.mtu == 9000 && port.maximumQueueCount == 2)
    let queue = try port.makeQueue()
    let other = try port.makeQueue()
    #expect(throws: EthernetError.busy) { _ = try port.makeQueue() }
    queue.close()
    try port.makeQueue().close()
    other.close()
  }
}
