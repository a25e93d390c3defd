import Block
import LinuxIO
import SharedMemory
@testable import Storvsc
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// The memory of the guest; it survives the device.
final class ScriptedMemory: Sendable {
  let region: MemoryRegion
  let memory: GuestMemory
  private let next = Mutex(0)

  init() throws {
    region = try MemoryRegion(anonymous: 64 << 20)
    memory = GuestMemory([GuestMemory.Range(guestAddress: 0x10_0000, region: region)])
  }

  func allocate(_ byteCount: Int) -> MemorySlice? {
    next.withLock { next in
      let count = (byteCount + 4095) & ~4095
      guard next + count <= region.byteCount else { return nil }
      defer { next += count }
      return region.slice.slice(at: next, count: count)
    }
  }
}

/// How the host's ends are run.
enum Threading: Sendable, CaseIterable {
  case inline, threaded
}

/// A device of the scripted host: one life of it.
final class ScriptedDevice: GuestDevice {
  let offer = ChannelOffer(
    interfaceClass: .scsi, instance: .scsi, relid: 1, connectionID: 1)
  let host: ScriptedHost
  let pool: ScriptedMemory
  let threading: Threading
  let epoch: Int
  private let ends = Mutex<[End]>([])
  private let closed = Atomic<Bool>(false)

  // Sendable, because the endpoint is only closed from here; the thread that rings uses it, or its own.
  struct End: @unchecked Sendable {
    let endpoint: ScriptedEndpoint
    let guest: ChannelCounters
    let wake: EventFD
    let hostWake: EventFD
    let stop: StopFlag
    let thread: WorkerThread?
    let rings: MemoryRegion
  }

  final class StopFlag: Sendable { let value = Atomic<Bool>(false) }
  // Sendable, because it only takes the endpoint to the one thread that uses it.
  struct Carrier: @unchecked Sendable { let endpoint: ScriptedEndpoint }

  init(_ host: ScriptedHost, _ pool: ScriptedMemory, _ threading: Threading) {
    self.host = host
    self.pool = pool
    self.threading = threading
    epoch = host.state.withLock { state in
      state.epoch += 1
      state.isDead = false
      return state.epoch
    }
  }

  var memory: GuestMemory { pool.memory }
  var isLost: Bool { host.state.withLock { $0.isDead || $0.epoch != epoch } }

  func allocateMemory(byteCount: Int) throws(ChannelError) -> MemorySlice {
    guard let slice = pool.allocate(byteCount) else { throw .system(what: "memory", .ENOMEM) }
    return slice
  }

  func freeMemory(_ slice: MemorySlice) {}

  func createGPADL(_ slice: MemorySlice) throws(ChannelError) -> UInt32 {
    throw .refused(what: "a GPADL", status: 1)
  }

  func tearDownGPADL(_ gpadl: UInt32) -> Bool { false }

  func openPrimary(ringByteCount: Int) throws(ChannelError) -> Channel { try open(0, ringByteCount) }

  func openSubChannel(_ index: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> Channel {
    guard index <= host.state.withLock({ $0.subChannels }) else { throw .timedOut(what: "sub-channel \(index)") }
    return try open(index, ringByteCount)
  }

  private func open(_ index: Int, _ ringByteCount: Int) throws(ChannelError) -> Channel {
    if isLost { throw .lost }
    do {
      let rings = try MemoryRegion(anonymous: 2 * ringByteCount)
      let toHost = rings.slice.slice(at: 0, count: ringByteCount)
      let toGuest = rings.slice.dropFirst(ringByteCount)
      OutgoingRing.initialize(toHost)
      OutgoingRing.initialize(toGuest)
      let guestWake = try EventFD()
      let hostWake = try EventFD()
      let hostChannel = try Channel(
        relid: 1, outgoing: toGuest, incoming: toHost, acceptedTypes: .fromGuest, doorbell: EventDoorbell(guestWake),
        waitDescriptor: hostWake.descriptor, listener: EventListener(hostWake))
      let endpoint = ScriptedEndpoint(host, hostChannel, index: index, memory: pool.memory, epoch: epoch) { [self] in
        kill()
      }
      let stop = StopFlag()
      var thread: WorkerThread?
      let channel: Channel
      if threading == .inline {
        channel = try Channel(
          relid: 1, outgoing: toHost, incoming: toGuest, acceptedTypes: .fromHost, doorbell: InlineDoorbell(endpoint),
          waitDescriptor: guestWake.descriptor, listener: PollingListener(endpoint, guestWake))
      } else {
        channel = try Channel(
          relid: 1, outgoing: toHost, incoming: toGuest, acceptedTypes: .fromHost, doorbell: EventDoorbell(hostWake),
          waitDescriptor: guestWake.descriptor, listener: EventListener(guestWake))
        let carrier = Carrier(endpoint: endpoint)
        let epoll = hostWake
        thread = try WorkerThread(name: "vsp\(index)") {
          let set = try! Epoll()
          try! set.add(epoll.descriptor, token: 0)
          while !stop.value.load(ordering: .acquiring) {
            carrier.endpoint.run()
            if (try? carrier.endpoint.channel.unmaskInterrupts()) == true, carrier.endpoint.fault == nil,
              !self.isLost
            {
              continue
            }
            if set.wait(milliseconds: 20) > 0 { epoll.drain() }
          }
        }
      }
      let end = End(
        endpoint: endpoint, guest: channel.counters, wake: guestWake, hostWake: hostWake, stop: stop, thread: thread,
        rings: rings)
      ends.withLock { $0.append(end) }
      return channel
    } catch let error as ChannelError {
      throw error
    } catch {
      throw .protocolFault("\(error)")
    }
  }

  /// The host is gone from now on.
  func kill() {
    host.set { $0.isDead = true }
    for end in ends.withLock({ $0 }) {
      end.guest.markLost()
      end.wake.signal()
    }
  }

  func notice() {
    host.set { $0.notices += 1 }
    for end in ends.withLock({ $0 }) { end.hostWake.signal() }
  }

  func close() {
    guard !closed.exchange(true, ordering: .sequentiallyConsistent) else { return }
    let all = ends.withLock { $0 }
    for end in all {
      end.stop.value.store(true, ordering: .releasing)
      end.hostWake.signal()
      end.thread?.join()
      if end.thread == nil { end.endpoint.close() }
    }
  }

  deinit { close() }
}

final class PollingListener: DoorbellListener {
  let endpoint: ScriptedEndpoint
  let event: EventFD
  init(_ endpoint: ScriptedEndpoint, _ event: EventFD) {
    self.endpoint = endpoint
    self.event = event
  }
  func acknowledge() { event.drain() }
  func poll() { endpoint.run() }
}

/// Everything together.
final class Rig {
  let host: ScriptedHost
  let pool: ScriptedMemory
  let threading: Threading
  private(set) var device: ScriptedDevice
  let controller: StorvscController
  let events = EventBox()

  final class EventBox: Sendable {
    let all = Mutex<[String]>([])
    func contains(_ text: String) -> Bool { all.withLock { $0.contains { $0.hasPrefix(text) } } }
  }

  init(
    _ host: ScriptedHost = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 20)]), _ threading: Threading = .inline,
    _ change: (inout StorvscOptions) -> Void = { _ in }
  ) throws {
    self.host = host
    self.threading = threading
    pool = try ScriptedMemory()
    device = ScriptedDevice(host, pool, threading)
    var options = StorvscOptions()
    options.stepMilliseconds = 5_000
    change(&options)
    let box = events
    controller = try StorvscController(device: device, options: options) { event in
      box.all.withLock { $0.append("\(event)") }
    }
  }

  var disk: StorvscDisk { controller.disks[0] }

  func restart() throws {
    device = ScriptedDevice(host, pool, threading)
    try controller.reattach(device: device)
  }

  deinit { controller.close() }
}

/// A queue and its owner: runs requests one by one, or several at a time.
final class Owner {
  let queue: any BlockQueue
  let disk: StorvscDisk
  private var tables: [Table] = []
  var completions: [BlockCompletion] = []
  private let sleep: Epoll

  final class Table {
    var table: ScatterTable
    init(_ slices: [MemorySlice]) {
      table = ScatterTable(capacity: max(1, slices.count))
      for slice in slices { _ = table.append(slice) }
    }
  }

  init(_ disk: StorvscDisk, depth: Int = 32) throws {
    self.disk = disk
    queue = try disk.makeQueue(depth: depth)
    sleep = try Epoll()
    try sleep.add(queue.readinessDescriptor, token: 0)
  }

  func submit(
    _ operation: BlockOperation, tag: UInt32 = 0, _ offset: Int = 0, _ slices: [MemorySlice] = [],
    byteCount: Int? = nil, flags: BlockRequest.Flags = []
  ) {
    var list: ScatterList?
    if !slices.isEmpty {
      let table = Table(slices)
      tables.append(table)
      list = table.table.list
    }
    queue.submit(
      BlockRequest(
        operation, tag: tag, offset: UInt64(offset),
        byteCount: UInt64(byteCount ?? slices.reduce(0) { $0 + $1.byteCount }),
        memory: list, flags: flags))
  }

  /// One turn; true when something ended.
  @discardableResult
  func turn() -> Bool {
    queue.flushSubmissions()
    var found: [BlockCompletion] = []
    let count = queue.reap { found.append($0) }
    completions += found
    return count > 0
  }

  /// Waits for `count` completions, sleeping on the descriptor alone.
  func wait(_ count: Int = 1, milliseconds: Int = 10_000) -> [BlockCompletion] {
    let end = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while completions.count < count, monotonicNanoseconds() < end {
      if !turn(), !queue.prepareToWait() { _ = sleep.wait(milliseconds: Int32(min(2000, milliseconds))) }
    }
    defer { completions = [] }
    return completions
  }

  @discardableResult
  func run(
    _ operation: BlockOperation, _ offset: Int = 0, _ slices: [MemorySlice] = [], byteCount: Int? = nil,
    flags: BlockRequest.Flags = []
  ) -> BlockError? {
    submit(operation, offset, slices, byteCount: byteCount, flags: flags)
    let done = wait()
    guard done.count == 1 else {
      Issue.record("\(operation) did not end")
      return .failed
    }
    return done[0].error
  }
}

struct Random {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
