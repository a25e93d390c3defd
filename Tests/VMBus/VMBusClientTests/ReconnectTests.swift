import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer

/// Hosts that die, and come back.
@Suite(.serialized) struct ReconnectTests {
  @Test func aKilledHostProcess() throws {
    let path = temporarySocketPath()
    let events = EventLog()
    var settings = VMBusClient.Settings()
    settings.onEvent = { events.add("\($0)") }
    var host = try PeerProcess.start(["host", path])
    let client = try VMBusClient(transport: SocketTransport(path: path), settings: settings)
    #expect(settled { (try? client.connect()) != nil })
    let keep = try #require(client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 5000))
      .allocateMemory(byteCount: 4096)
    keep.fill(0xab)
    for round in 0..<3 {
      let device = try #require(client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 20_000))
      let channel = try device.openPrimary(ringByteCount: 8192)
      let driver = EchoDriver(channel)
      #expect(try driver.exchange(count: 500) == 500)
      let killed = host
      let killer = try WorkerThread(name: "killer") {
        sleepThread(nanoseconds: 20_000_000)
        killed.send(signal: 9)
      }
      let done = try driver.exchange(count: .max, seed: UInt64(round), milliseconds: 20_000)
      #expect(done > 0 && channel.isLost && device.isLost)
      killer.join()
      #expect(killed.exitCode() == 137)
      device.close()
      #expect(throws: ChannelError.self) { _ = try device.openPrimary(ringByteCount: 8192) }
      host = try PeerProcess.start(["host", path])
    }
    let device = try #require(client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 20_000))
    #expect(device.offer.instance == GUID(0, 0, 0, 1))
    #expect(keep.bytes().allSatisfy { $0 == 0xab })
    client.disconnect()
    host.send(signal: 9)
    _ = host.exitCode()
    try? removeFile(path)
    #expect(events.all.filter { $0.contains("disconnected") }.count == 3)
    #expect(events.all.filter { $0.contains("arrived") }.count >= 3)
  }

  @Test(arguments: TestBus.Attachment.allCases) func aHostThatStops(attachment: TestBus.Attachment) throws {
    let events = EventLog()
    var settings = VMBusClient.Settings()
    settings.reconnectMilliseconds = 300
    settings.onEvent = { events.add("\($0)") }
    let bus = try TestBus(attachment, guest: settings)
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 8192))
    _ = try driver.call([1])
    bus.server.stop()
    #expect(bus.settled { driver.channel.isLost && device.isLost })
    #expect(bus.device.sessionCount.load(ordering: .relaxed) == 0)
    #expect(bus.settled { events.all.contains { $0.contains("gaveUp") } })
    #expect(bus.client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 1000) == nil)
    device.close()
    bus.stop()
  }

  @Test func nobodyThere() throws {
    let client = try VMBusClient(transport: SocketTransport(path: temporarySocketPath()))
    #expect(throws: ChannelError.self) { try client.connect() }
    client.disconnect()
  }

  @Test func aSocketFileThatWasLeftBehind() throws {
    let path = temporarySocketPath()
    let first = try PeerProcess.start(["host", path])
    #expect(settled { (try? PacketSocket.connect(to: path)) != nil })
    let server = VMBusServer()
    #expect(throws: Errno.EADDRINUSE) { try server.listen(at: path) }
    first.send(signal: 9)
    _ = first.exitCode()
    try server.listen(at: path)
    server.stop()
    #expect(throws: Errno.ENOENT) { try removeFile(path) }
  }

  /// Connecting to a file is refused like connecting to a socket that nobody listens at: it must stay.
  @Test func aFileInTheWayStays() throws {
    let path = temporarySocketPath()
    _ = try OwnedDescriptor.open(path, flags: 0o102)
    let server = VMBusServer()
    #expect(throws: Errno.EADDRINUSE) { try server.listen(at: path) }
    server.stop()
    try removeFile(path)
  }
}
