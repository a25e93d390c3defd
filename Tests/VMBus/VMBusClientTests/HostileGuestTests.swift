import Glibc
import LinuxIO
import SharedMemory
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer
import WireBytes

/// Guests that lie, stall or die, beside one that works.
@Suite(.serialized) struct HostileGuestTests {
  /// A guest that is nothing but a socket.
  final class RawGuest {
    let socket: PacketSocket
    let file: MemoryFile

    init(_ path: String, byteCount: Int = 1 << 20) throws {
      socket = try PacketSocket.connect(to: path)
      file = try MemoryFile(name: "raw", byteCount: byteCount)
    }

    func send(_ frame: TransportFrame, descriptors: [Int32] = []) throws {
      try socket.send(frame.encoded().rawSpan, descriptors: descriptors)
    }

    func introduce() throws {
      try send(.hello)
      try send(.memory(guestAddress: 1 << 20, byteCount: file.byteCount), descriptors: [file.descriptor])
    }

    /// Whether the host ends the connection soon, whatever it sends before.
    func isDropped() -> Bool {
      while waitForInput([socket.descriptor], milliseconds: 5000) != 0 {
        guard let packet = try? socket.receive(maximum: 1024), packet.bytes.count > 0 else { return true }
      }
      return false
    }
  }

  @Test func nonsenseEndsTheConnection() throws {
    let bus = try TestBus(.socket)
    defer { bus.stop() }
    let attempts: [(String, (RawGuest) throws -> Void)] = [
      ("no frame", { try $0.socket.send([1, 2, 3].rawSpan) }),
      ("too long", { try $0.socket.send([UInt8](repeating: 1, count: 249).rawSpan) }),
      ("no hello", { try $0.send(TransportFrame(.message, payload: [3, 0, 0, 0, 0, 0, 0, 0])) }),
      ("wrong version", { try $0.send(TransportFrame(.hello, value: 2, payload: TransportFrame.magic)) }),
      ("wrong magic", { try $0.send(TransportFrame(.hello, value: 1, payload: [1])) }),
      (
        "memory without a file",
        {
          try $0.send(.hello); try $0.send(.memory(guestAddress: 0, byteCount: 4096))
        }
      ),
      (
        "wrong length",
        {
          try $0.send(.hello)
          try $0.send(.memory(guestAddress: 0, byteCount: 4096), descriptors: [$0.file.descriptor])
        }
      ),
      (
        "a file that can shrink",
        {
          try $0.send(.hello)
          let plain = try OwnedDescriptor.open("/proc/self/exe", flags: O_RDONLY)
          try $0.send(.memory(guestAddress: 0, byteCount: 4096), descriptors: [plain.number])
        }
      ),
      (
        "overlapping memory",
        {
          try $0.introduce()
          try $0.send(.memory(guestAddress: 1 << 20, byteCount: 1 << 20), descriptors: [$0.file.descriptor])
        }
      ),
      (
        "far memory",
        {
          try $0.send(.hello)
          try $0.send(.memory(guestAddress: 1 << 60, byteCount: 1 << 20), descriptors: [$0.file.descriptor])
        }
      ),
      (
        "hello again",
        {
          try $0.introduce(); try $0.send(.hello)
        }
      ),
      (
        "doorbells of a guest",
        {
          try $0.introduce()
          try $0.send(TransportFrame(.message, payload: [3, 0, 0, 0, 0, 0, 0, 0]))
          try $0.send(TransportFrame(.doorbells, value: 1))
        }
      ),
      (
        "too many descriptors",
        {
          try $0.introduce()
          try $0.send(
            TransportFrame(.message, payload: [3, 0, 0, 0, 0, 0, 0, 0]), descriptors: [0, 0])
        }
      ),
    ]
    for (name, attempt) in attempts {
      let guest = try RawGuest(bus.path)
      try attempt(guest)
      #expect(guest.isDropped(), "\(name)")
    }
    let device = try #require(bus.echo)
    #expect(try EchoDriver(try device.openPrimary(ringByteCount: 8192)).exchange(count: 100) == 100)
    device.close()
    #expect(bus.settled { bus.server.guestCount == 1 })
  }

  @Test func aGuestThatTakesNoMessagesIsDropped() throws {
    var host = VMBusServer.Settings()
    host.stallMilliseconds = 300
    let bus = try TestBus(.socket, host: host)
    defer { bus.stop() }
    let guest = try RawGuest(bus.path)
    try guest.introduce()
    let contact = Message.initiateContact(InitiateContact(version: .v5_3)).encoded()
    #expect(bus.settled { bus.server.guestCount == 2 })
    var isBlocked = false
    for _ in 0..<100_000 {
      do throws(Errno) {
        try guest.socket.send(TransportFrame(.message, value: 4, payload: contact).encoded().rawSpan)
      } catch {
        if error == .EAGAIN, bus.server.guestCount == 2 {
          isBlocked = true
          sleepThread(nanoseconds: 5_000_000)
        } else {
          break
        }
      }
    }
    #expect(isBlocked)
    #expect(bus.settled { bus.server.guestCount == 1 })
    #expect(bus.events.all.contains { $0.contains("has not taken its messages") }, "\(bus.events.all)")
    let device = try #require(bus.echo)
    #expect(try EchoDriver(try device.openPrimary(ringByteCount: 8192)).exchange(count: 100) == 100)
    device.close()
  }

  @Test func aCorruptRingStopsTheChannelOnly() throws {
    let bus = try TestBus(.socket)
    defer { bus.stop() }
    let evil = try VMBusClient(transport: SocketTransport(path: bus.path))
    try evil.connect()
    defer { evil.disconnect() }
    let device = try #require(evil.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 5000))
    let channel = try device.openPrimary(ringByteCount: 8192)
    _ = try EchoDriver(channel).call([1])
    // A transfer-pages packet, which no guest may send.
    let packet = [UInt8](zeroed: 32) { $0.storeLE(UInt64(7) | 3 << 16 | 4 << 32, at: 0) }
    #expect(try channel.send(packet: packet.rawSpan))
    try channel.flush()
    #expect(bus.settled { bus.events.all.contains { $0.contains("faulted") } })
    let good = try #require(bus.echo)
    #expect(try EchoDriver(try good.openPrimary(ringByteCount: 8192)).exchange(count: 100) == 100)
    good.close()
    device.close()
    #expect(bus.settled { bus.device.endpointCount.load(ordering: .relaxed) == 0 })
  }

  @Test func aBlockingFullDoorbellHangsNobody() throws {
    for closesFirst in [true, false] {
      let bus = try TestBus(.socket)
      let device = try #require(bus.echo)
      let channel = try device.openPrimary(ringByteCount: 8192)
      let driver = EchoDriver(channel)
      _ = try driver.call([1])
      _ = try channel.unmaskInterrupts()
      let bell = channel.waitDescriptor
      var full = UInt64.max - 1
      var old: UInt64 = 0
      _ = read(bell, &old, 8)
      #expect(write(bell, &full, 8) == 8)
      #expect(fcntl(bell, F_SETFL, 0) == 0)
      _ = try channel.sendInBand(transactionID: 1, requestsCompletion: true, payload: [1, 2].rawSpan)
      try channel.flush()
      sleepThread(nanoseconds: 50_000_000)
      if closesFirst { device.close() }
      let start = monotonicNanoseconds()
      bus.stop()
      #expect(monotonicNanoseconds() - start < 5_000_000_000)
      #expect(bus.device.endpointCount.load(ordering: .relaxed) == 0)
    }
  }

  @Test func severalGuestsOneKilled() throws {
    let bus = try TestBus(.socket)
    defer { bus.stop() }
    let victim = try PeerProcess.start(["guest", bus.path, "100000000"])
    let others = try (0..<2).map { _ in try PeerProcess.start(["guest", bus.path, "20000"]) }
    #expect(bus.settled { bus.device.endpointCount.load(ordering: .relaxed) >= 1 })
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 8192))
    #expect(try driver.exchange(count: 1000) == 1000)
    sleepThread(nanoseconds: 100_000_000)
    victim.send(signal: 9)
    #expect(victim.exitCode() == 128 + 9)
    for other in others { #expect(other.exitCode() == 0) }
    #expect(try driver.exchange(count: 1000) == 1000)
    device.close()
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    #expect(bus.settled { bus.server.guestCount == 1 })
    #expect(
      bus.events.all.contains {
        $0.contains("the guest is gone") || $0.contains("ECONNRESET") || $0.contains("detached")
      })
  }
}
