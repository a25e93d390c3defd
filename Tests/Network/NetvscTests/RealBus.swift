import Ethernet
import LinuxIO
@testable import Netvsc
@testable import Netvsp
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
@testable import VMBusClient
import VMBusProtocol
import VMBusServer

/// How a `RealBus` is made.
struct RealBusSetup: Sendable, CustomTestStringConvertible {
  var isEmbedded = true
  var queueCount = 1
  var mtu = 1500
  var receiveByteCount = 1 << 20
  var ringByteCount = 64 << 10
  var coalesces = true
  var offersOffloads = true
  var sectionByteCount = 6144
  /// How the ports in memory hand their frames out.
  var lends = true
  /// Whether the port of the host takes room before it knows of a frame, as a TAP does.
  var isEager = false
  var portCapacity = 32
  var stepMilliseconds = 10_000

  var testDescription: String {
    "\(isEmbedded ? "embedded" : "socket"), \(queueCount) queues, MTU \(mtu), \(receiveByteCount >> 10) KiB"
      + (coalesces ? "" : ", no coalescing") + (offersOffloads ? "" : ", no offloads")
      + (lends ? "" : isEager ? ", eager" : ", copying")
  }
}

/// The driver on the project's own bus, against its own host end, with ports in memory at both outer ends:
/// `hostSide` = NIC = bus = adapter = cables = `guestSide`.
final class RealBus: Sendable {
  let setup: RealBusSetup
  let server = VMBusServer()
  let client: VMBusClient
  let nic: SyntheticNIC
  let watched: WatchedNIC
  let adapter: NetvscAdapter
  let hostSide: MemoryPort
  let guestSide: MemoryPort
  private let inside: MemoryPort
  private let key: Mutex<DeviceKey>
  private let device: Mutex<ClientDevice>
  private let cables = Mutex<[CableThread]>([])

  init(_ setup: RealBusSetup) throws {
    self.setup = setup
    let portOptions = MemoryPortOptions(
      queueCount: setup.queueCount, capacity: setup.portCapacity, lends: setup.lends, isSplit: setup.queueCount % 2 == 0
    )
    let (outer, inner) = try MemoryPort.pair(portOptions)
    hostSide = outer
    (guestSide, inside) = try MemoryPort.pair(portOptions)
    var options = SyntheticNICOptions()
    options.maximumQueueCount = setup.queueCount
    options.offersOffloads = setup.offersOffloads
    options.sendSectionByteCount = setup.sectionByteCount
    nic = SyntheticNIC(
      instance: GUID("6c1d3a52-0d4f-4b8e-9a2b-5a1f6d0c7e11")!, address: MACAddress("00:15:5d:01:02:03")!,
      port: setup.isEager ? EagerPort(inner) : inner, options: options)
    watched = WatchedNIC(nic)
    key = Mutex(server.add(watched))
    let transport: any BusTransport
    if setup.isEmbedded {
      transport = server.embeddedTransport()
    } else {
      let path = temporarySocketPath()
      try server.listen(at: path)
      transport = SocketTransport(path: path)
    }
    var settings = VMBusClient.Settings()
    settings.memoryByteCount = 64 << 20
    client = try VMBusClient(transport: transport, settings: settings)
    try client.connect()
    let found = try #require(client.awaitDevice(class: .network, milliseconds: 10_000))
    device = Mutex(found)
    var guest = NetvscOptions()
    guest.mtu = setup.mtu
    guest.queueCount = setup.queueCount
    guest.ringByteCount = setup.ringByteCount
    guest.receiveBufferByteCount = setup.receiveByteCount
    guest.sendBufferByteCount = 256 << 10
    guest.longFrameCount = 4
    guest.coalesces = setup.coalesces
    guest.stepMilliseconds = setup.stepMilliseconds
    adapter = try NetvscAdapter(device: found, options: guest)
  }

  // MARK: Cables

  /// Joins each queue of the adapter with the one of the same number behind it.
  func connect() throws {
    for index in 0..<adapter.maximumQueueCount {
      let cable = try CableThread(name: "cable-\(index)", inside.makeQueue(), adapter.makeQueue())
      cables.withLock { $0.append(cable) }
    }
    // A channel whose thread has not heard yet that frames are wanted drops them.
    #expect(settled { watched.isReceiving(setup.queueCount) })
  }

  /// Waits until the cables have ended, which they are told.
  func disconnect() {
    let all = cables.withLock { cables in
      defer { cables = [] }
      return cables
    }
    for cable in all { cable.stop() }
  }

  // MARK: Disturbances

  /// The host takes the NIC back, and offers it again.
  func replug() throws {
    server.remove(key.withLock { $0 })
    #expect(settled { adapter.isLost })
    disconnect()
    adapter.close()
    let new = server.add(watched)
    key.withLock { $0 = new }
    try reopen(try #require(client.awaitDevice(class: .network, milliseconds: 10_000)))
  }

  /// The NIC is closed under the cables, and opened again.
  func closeAndReopen() throws {
    adapter.close()
    disconnect()
    #expect(settled { nic.session == nil })
    try reopen(currentDevice)
  }

  /// Another MTU, without a word to the cables.
  func change(mtu: Int) throws {
    try adapter.reopen(device: currentDevice, mtu: mtu)
    disconnect()
    #expect(adapter.info.mtu == mtu)
    try connect()
  }

  func reopen(_ found: ClientDevice) throws {
    try adapter.reopen(device: found)
    device.withLock { $0 = found }
    try connect()
  }

  var currentDevice: ClientDevice { device.withLock { $0 } }

  /// Pages of the guest's memory that nobody has.
  var freePageCount: Int { client.allocator.withLock { $0.freePageCount } }

  func stop() {
    adapter.close()
    disconnect()
    #expect(settled { nic.session == nil })
    client.disconnect()
    server.stop()
  }
}

/// The NIC with a look at the receive pools of its channels after each turn.
final class WatchedNIC: HostDevice {
  struct Pool: Sendable, Equatable {
    var freeCount: Int
    var count: Int
    var lentPacketCount: Int
    var isReceiving: Bool
  }

  let nic: SyntheticNIC
  private let pools = Mutex<[Int: Pool]>([:])
  let faults = Mutex<[String]>([])
  /// The least that was ever free on a channel while frames passed.
  let leastFree = Atomic<Int>(.max)

  init(_ nic: SyntheticNIC) { self.nic = nic }

  var interfaceClass: GUID { nic.interfaceClass }
  var instance: GUID { nic.instance }
  var userDefined: [UInt8] { nic.userDefined }
  var offerFlags: OfferFlags { nic.offerFlags }

  func makeSession(for guest: GuestContext) throws(ChannelError) -> any HostDeviceSession {
    WatchedSession(self, try nic.makeSession(for: guest))
  }

  func note(_ index: Int, _ pool: Pool?) {
    if let pool, pool.count > 0 { leastFree.min(pool.freeCount, ordering: .relaxed) }
    pools.withLock { $0[index] = pool }
  }

  func note(_ fault: ChannelError) { faults.withLock { $0.append("\(fault)") } }

  /// Whether all sub-allocations of all channels are free.
  var isWhole: Bool {
    pools.withLock { pools in
      pools.values.allSatisfy { $0.freeCount == $0.count && $0.lentPacketCount == 0 && $0.count > 0 }
    }
  }

  /// Whether so many channels have frames for the guest.
  func isReceiving(_ count: Int) -> Bool {
    pools.withLock { $0.count == count && $0.values.allSatisfy(\.isReceiving) }
  }

  var description: String { pools.withLock { "\($0)" } }
}

private final class WatchedSession: HostDeviceSession {
  private let watched: WatchedNIC
  private let session: any HostDeviceSession

  init(_ watched: WatchedNIC, _ session: any HostDeviceSession) {
    self.watched = watched
    self.session = session
  }

  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint {
    WatchedEndpoint(watched, try session.openEndpoint(on: channel, index: index) as! NetvspEndpoint, index)
  }

  func end() { session.end() }
}

private final class WatchedEndpoint: HostEndpoint {
  private let watched: WatchedNIC
  private let endpoint: NetvspEndpoint
  private let index: Int
  private var isFaultNoted = false

  init(_ watched: WatchedNIC, _ endpoint: NetvspEndpoint, _ index: Int) {
    self.watched = watched
    self.endpoint = endpoint
    self.index = index
  }

  var readinessDescriptor: Int32 { endpoint.readinessDescriptor }
  var fault: ChannelError? { endpoint.fault }

  func run() -> Bool {
    let worked = endpoint.run()
    let state = endpoint.receiveState
    watched.note(
      index,
      WatchedNIC.Pool(
        freeCount: state.freeCount, count: state.count, lentPacketCount: state.lentPacketCount,
        isReceiving: state.isReceiving))
    noteFault()
    return worked
  }

  func close() {
    noteFault()
    endpoint.close()
    watched.note(index, nil)
  }

  private func noteFault() {
    guard !isFaultNoted, let fault = endpoint.fault else { return }
    isFaultNoted = true
    watched.note(fault)
  }
}

/// A port whose queues ask for room before they know of a frame, and leave it alone when there is none.
final class EagerPort: EthernetPort {
  private let port: MemoryPort

  init(_ port: MemoryPort) { self.port = port }

  var info: EthernetPortInfo { port.info }
  var maximumQueueCount: Int { port.maximumQueueCount }
  func makeQueue() throws(EthernetError) -> any EthernetQueue { EagerQueue(try port.makeQueue()) }
  func setFilter(_ filter: EthernetFilter) { port.setFilter(filter) }
  func setOffloads(_ offloads: OffloadSet) { port.setOffloads(offloads) }
  func observe(_ body: @escaping @Sendable () -> Void) { port.observe(body) }
}

private final class EagerQueue: EthernetQueue {
  private let queue: any EthernetQueue

  init(_ queue: any EthernetQueue) { self.queue = queue }

  var readinessDescriptor: Int32 { queue.readinessDescriptor }
  var isEnded: Bool { queue.isEnded }
  func prepareToWait(forRoom: Bool) -> Bool { queue.prepareToWait(forRoom: forRoom) }

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    var total = ForwardResult(frameCount: 0, isBlocked: false)
    while total.frameCount < limit {
      guard sink.reserve() != nil else {
        total.isBlocked = true
        return total
      }
      let step = queue.forward(to: sink, limit: 1)
      total.frameCount += step.frameCount
      if step.frameCount == 0 {
        total.isBlocked = step.isBlocked
        return total
      }
    }
    return total
  }

  func close() { queue.close() }
  func send(_ frame: LentFrame) -> Bool { queue.send(frame) }
  func reserve() -> FrameRoom? { queue.reserve() }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    queue.commit(start: start, byteCount: byteCount, offload: offload)
  }
  func flush() { queue.flush() }
}
