import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import VMBusRing

/// The memory of the guest; it survives the device.
final class ScriptedMemory: Sendable {
  let region: MemoryRegion
  let memory: GuestMemory
  private let next = Mutex(0)
  let freed = Atomic<Int>(0)

  init() throws {
    region = try MemoryRegion(anonymous: 96 << 20)
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
  let offer = ChannelOffer(interfaceClass: .network, instance: .network, relid: 1, connectionID: 1)
  let host: ScriptedHost
  let pool: ScriptedMemory
  let threading: Threading
  let epoch: Int
  private let ends = Mutex<[End]>([])
  private let isClosed = Atomic<Bool>(false)

  // Sendable, because the endpoint is only closed from here; it is used by the thread that rings, or by its own.
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
  // Sendable, because only the thread that it is handed to uses the endpoint.
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

  func freeMemory(_ slice: MemorySlice) { pool.freed.add(slice.byteCount, ordering: .relaxed) }

  func createGPADL(_ slice: MemorySlice) throws(ChannelError) -> UInt32 {
    if isLost { throw .lost }
    return host.state.withLock { state in
      state.lastGPADL += 1
      state.gpadls[state.lastGPADL] = slice
      return state.lastGPADL
    }
  }

  func tearDownGPADL(_ gpadl: UInt32) -> Bool {
    host.state.withLock { state in
      state.gpadls[gpadl] = nil
      return state.confirmsTeardown
    }
  }

  func openPrimary(ringByteCount: Int) throws(ChannelError) -> Channel { try open(0, ringByteCount) }

  func openSubChannel(_ index: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> Channel {
    guard index <= host.state.withLock({ $0.offeredSubChannels }) else { throw .timedOut(what: "sub-channel \(index)") }
    return try open(index, ringByteCount)
  }

  private func open(_ index: Int, _ ringByteCount: Int) throws(ChannelError) -> Channel {
    if isLost { throw .lost }
    isClosed.store(false, ordering: .sequentiallyConsistent)
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
      let endpoint = ScriptedEndpoint(host, hostChannel, index: index, memory: pool.memory, epoch: epoch)
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
        thread = try WorkerThread(name: "nvsp\(index)") {
          let set = try! Epoll()
          try! set.add(hostWake.descriptor, token: 0)
          while !stop.value.load(ordering: .acquiring) {
            carrier.endpoint.run()
            if (try? carrier.endpoint.channel.unmaskInterrupts()) == true, carrier.endpoint.fault == nil,
              !self.isLost
            {
              continue
            }
            if set.wait(milliseconds: 20) > 0 { hostWake.drain() }
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

  /// Makes the host's ends look at what they are to send.
  func wakeHost() {
    for end in ends.withLock({ $0 }) {
      end.hostWake.signal()
      if threading == .inline { end.wake.signal() }
    }
  }

  func close() {
    guard !isClosed.exchange(true, ordering: .sequentiallyConsistent) else { return }
    let all = ends.withLock { ends in
      defer { ends = [] }
      return ends
    }
    for end in all {
      end.stop.value.store(true, ordering: .releasing)
      end.hostWake.signal()
      end.thread?.join()
      end.endpoint.close()
      host.set { $0.log.append("close") }
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
