import LinuxIO
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@testable import VMBusServer

private final class Raises: Sendable {
  let count = Counter()
}

/// The SynIC of a processor and the monitor page, as the host writes them.
@Suite struct SynICPortTests {
  private let shared: SharedGuestMemory
  private let raises = Raises()
  private let port: SynICPort

  init() throws {
    shared = try SharedGuestMemory(
      file: MemoryFile(name: "synic", byteCount: 2 * pageByteCount), guestAddress: 0x10000)
    port = SynICPort(memory: shared.memory) { [raises] in raises.count.add(1) }
  }

  private func switchOn() {
    port.set(control: 1, eventFlagPage: 0x11001, messagePage: 0x10001)
  }

  /// What is in the slot.
  private var message: MessageSlot? {
    let bytes = slot.bytes()
    return MessageSlot(parsing: bytes.rawSpan)
  }

  private var slot: MemorySlice { shared.memory.slice(at: 0x10200, byteCount: 256)! }

  @Test func messagesWaitForTheSlot() throws {
    port.post([1, 2, 3])
    #expect(raises.count.value == 0)
    switchOn()
    #expect(raises.count.value == 1)
    let first = try #require(message)
    #expect(first.payload == [1, 2, 3] && !first.isMessagePending && first.type == .vmbus)
    // The slot is full: the guest is asked to tell, and nothing is overwritten.
    #expect(port.post([4]) == 1)
    #expect(port.post([5]) == 2)
    let same = try #require(message)
    #expect(same.payload == [1, 2, 3] && same.isMessagePending)
    #expect(raises.count.value == 1)
    slot.word32(at: 0).storeReleasing(0)
    port.deliver()
    let second = try #require(message)
    #expect(second.payload == [4] && second.isMessagePending && raises.count.value == 2)
    // An interrupt that was handled without taking the message changes nothing.
    port.deliver()
    #expect(raises.count.value == 2)
    port.discard()
    slot.word32(at: 0).storeReleasing(0)
    port.deliver()
    #expect(slot.word32(at: 0).loadRelaxed() == 0 && raises.count.value == 2)
  }

  @Test func switchingOffDropsWhatWaits() {
    switchOn()
    port.post([1])
    port.post([2])
    port.set(control: 1, eventFlagPage: 0, messagePage: 0x10000)
    slot.word32(at: 0).storeReleasing(0)
    switchOn()
    #expect(slot.word32(at: 0).loadRelaxed() == 0)
    port.set(control: 0, eventFlagPage: 0x11001, messagePage: 0x10001)
    port.signal(relid: 1)
    #expect(raises.count.value == 1)
  }

  @Test func eventFlags() {
    port.signal(relid: 1)
    #expect(raises.count.value == 0)
    switchOn()
    let flags = shared.memory.slice(at: 0x11200, byteCount: 256)!
    port.signal(relid: 1)
    port.signal(relid: 1)
    port.signal(relid: 2047)
    #expect(raises.count.value == 2)
    #expect(flags.word32(at: 0).loadRelaxed() == 2 && flags.word32(at: 252).loadRelaxed() == 1 << 31)
    flags.word32(at: 0).storeReleasing(0)
    port.signal(relid: 1)
    port.signal(relid: 2048)
    port.signal(relid: .max)
    #expect(raises.count.value == 3)
  }

  @Test(arguments: [0x20001, UInt64.max, 0xffff_f001, 0x11801]) func pagesThatAreNotThere(page: UInt64) {
    port.set(control: 1, eventFlagPage: page, messagePage: page)
    port.post([1])
    port.signal(relid: 5)
    port.deliver()
    #expect(raises.count.value <= 2)
  }

  @Test func monitorPageWrites() throws {
    let watch = try #require(MonitorWatch(memory: shared.memory, guestAddress: 0x10000, latencyMicroseconds: 100))
    watch.isTold = true
    let kicks = try (0..<3).map { _ throws(Errno) in try EventFD() }
    for (id, kick) in zip([UInt8(1), 33, 127], kicks) { try watch.add(id, kick: kick) }
    let page = shared.memory.slice(at: 0x10000, byteCount: pageByteCount)!
    // The bit of 33 in a write of 8 bytes over both words of group 1; the armed word is stored, the pending word taken.
    watch.write(0x7_0000_0002, byteCount: 8, at: 0x10)
    #expect(kicks.map { $0.drain() } == [false, true, false])
    #expect(page.word32(at: 0x10).loadRelaxed() == 0 && page.word32(at: 0x14).loadRelaxed() == 7)
    // One byte.
    watch.write(0x80, byteCount: 1, at: 0x23)
    #expect(kicks.map { $0.drain() } == [false, false, true])
    // Elsewhere it is plain memory; beyond the end there is nothing.
    watch.write(0x1122_3344_5566_7788, byteCount: 8, at: pageByteCount - 4)
    #expect(page.word32(at: pageByteCount - 4).loadRelaxed() == 0x5566_7788)
    watch.write(1, byteCount: 8, at: -8)
    watch.write(1, byteCount: 4, at: .max - 8)
    for id in [UInt8(1), 33, 127] { watch.remove(id) }
    #expect(MonitorWatch(memory: shared.memory, guestAddress: 0x40000, latencyMicroseconds: 1) == nil)
  }
}

/// A guest of a hypervisor that does whatever comes to its mind, beside one that works.
@Suite struct HostileHypervisorGuestTests {
  @Test(arguments: 0..<4) func nobodyElseIsHarmed(seed: UInt64) throws {
    var settings = VMBusServer.Settings()
    settings.limits.allocatesMonitors = seed & 1 == 0
    settings.limits.gpadlCount = 64
    let bus = try TestBus(.socket, host: settings)
    defer { bus.stop() }
    let link = try Hostile(bus.server)
    let worker = try WorkerThread(name: "hostile") { link.misbehave(seed: seed, milliseconds: 1500) }
    let echo = try #require(bus.echo)
    var rounds = 0
    while !link.isDone.load(ordering: .acquiring) {
      let driver = EchoDriver(try echo.openPrimary(ringByteCount: 65536))
      #expect(try driver.exchange(count: 500, seed: seed + UInt64(rounds)) == 500)
      echo.close()
      rounds += 1
    }
    worker.join()
    #expect(rounds > 0)
    link.leave()
    #expect(settled { bus.server.guestCount == 1 && bus.device.sessionCount.load(ordering: .relaxed) == 0 })
  }
}

/// Calls of processors in any order with any values, around messages that are nearly right.
private final class Hostile: Sendable {
  let isDone = Atomic<Bool>(false)
  private let machine: FakeMachine
  private let memory: SharedGuestMemory
  private let link: any BusLink

  private final class Deaf: BusReceiver {
    func received(_ message: [UInt8]) {}
    func ended(reason: String) {}
  }

  init(_ server: VMBusServer) throws {
    memory = try SharedGuestMemory(file: MemoryFile(name: "hostile", byteCount: 4 << 20), guestAddress: 0)
    link = try HypervisorTransport(server: server).connect(memory: memory, receiver: Deaf())
    machine = link as! FakeMachine
  }

  func leave() {
    link.end(reason: "enough")
    link.join()
  }

  func misbehave(seed: UInt64, milliseconds: UInt64) {
    defer { isDone.store(true, ordering: .releasing) }
    var random = RandomNumbers(seed: seed)
    let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
    let pages = memory.memory.slice(at: 0, byteCount: 4 << 20)!
    while monotonicNanoseconds() < deadline {
      let number = random.next()
      switch number % 12 {
      case 0:
        post(
          .initiateContact(
            InitiateContact(
              version: .v5_3, targetVP: UInt32(number >> 8 & 3) / 3,
              monitorPages: MonitorPageAddresses(parentToChild: 0x2000, childToParent: 0x3000))))
        post(.requestOffers)
      case 1, 2, 3:
        // Rings, whole or odd, in random memory; then the channel is opened over them.
        let relid = UInt32(number >> 8 & 3)
        let gpadl = UInt32(number >> 16 & 15)
        let first = number >> 24 & 255
        let range = GPADLRange(byteCount: 16 * 4096, pages: (0..<16).map { first + $0 * (number >> 40 & 1 + 1) })
        for message in (try? GPADLDescription.messages(relid: relid, gpadl: gpadl, ranges: [range])) ?? [] {
          post(message)
        }
        if number >> 41 & 1 == 0 {
          for half in [first, first + 8] {
            let control = pages.slice(at: Int(half) * 4096, count: 4096)
            control.fill(0)
            control.word32(at: 64).storeReleasing(1)
          }
        }
        post(
          .openChannel(
            OpenChannel(
              relid: relid, openID: relid, ringGPADL: gpadl, targetVP: UInt32(number >> 48 & 7) / 7 * 99,
              downstreamPageOffset: 8)))
      case 4: post(.closeChannel(relid: UInt32(number >> 8 & 3)))
      case 5: post(.gpadlTeardown(relid: UInt32(number >> 8 & 3), gpadl: UInt32(number >> 16 & 15)))
      case 6: machine.signal(connectionID: ConnectionID.channel(relid: UInt32(number >> 8 & 3)))
      case 7:
        machine.guest.monitorPageWritten(random.next(), byteCount: Int(number >> 8 & 15), at: 0x3000 + number >> 52)
      case 8:
        for _ in 0..<64 { pages.storeLE64(random.next(), at: Int(random.next() % (4 << 20)) & ~7) }
      case 9:
        // Ring indices.
        let page = Int(random.next() % 256) * 4096
        pages.word32(at: page).storeReleasing(UInt32(truncatingIfNeeded: random.next()))
      case 10:
        var bytes = [UInt8](repeating: 0, count: Int(number >> 8 & 511))
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
        _ = machine.guest.post(bytes)
        machine.guest.interruptHandled(vp: Int(number >> 20 & 3))
      default:
        if number >> 8 & 15 == 0 {
          machine.guest.setSynIC(
            vp: Int(number >> 16 & 1), control: number >> 20, eventFlagPage: random.next(), messagePage: 0x5001)
        } else {
          machine.guest.setSynIC(
            vp: 0, control: 1, eventFlagPage: FakeMachine.synicAddress + 4097, messagePage: FakeMachine.synicAddress | 1
          )
        }
      }
    }
  }

  /// A message in full, or with a byte changed; there may be no buffers.
  private func post(_ message: Message) {
    let input = PostMessageInput(connectionID: 4, payload: message.encoded()).encoded()
    for _ in 0..<100 where machine.guest.post(input) == .insufficientBuffers { sleepThread(nanoseconds: 20_000) }
  }
}
