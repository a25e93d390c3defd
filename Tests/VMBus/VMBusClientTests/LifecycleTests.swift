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

/// Open, close, sub-channels, rescind, hot add, unload, over either attachment.
@Suite(.serialized) struct LifecycleTests {
  @Test(arguments: TestBus.Attachment.allCases) func closeAndReopen(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    #expect(device.offer.userDefined.prefix(4) == [1, 2, 3, 0])
    for round in 0..<20 {
      let driver = EchoDriver(try device.openPrimary(ringByteCount: 4096 * (2 + round % 3)))
      #expect(try driver.exchange(count: 50, seed: UInt64(round)) == 50)
      // The channel is taken: a second one is refused.
      #expect(throws: ChannelError.self) { _ = try device.openPrimary(ringByteCount: 16384) }
      device.close()
    }
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    // Everything was given back: twice the rings of the rounds would not fit otherwise.
    let free = try device.allocateMemory(byteCount: bus.client.settings.memoryByteCount - 2 * pageByteCount)
    #expect(free.bytes().prefix(1 << 20).allSatisfy { $0 == 0 })
    device.freeMemory(free)
  }

  @Test(arguments: TestBus.Attachment.allCases) func subChannels(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    for _ in 0..<3 {
      let primary = EchoDriver(try device.openPrimary(ringByteCount: 16384))
      #expect(throws: ChannelError.self) { _ = try device.openSubChannel(1, ringByteCount: 16384, milliseconds: 20) }
      _ = try primary.call([EchoDevice.subChannelCommand, 3])
      for index in 1...3 {
        let sub = EchoDriver(try device.openSubChannel(index, ringByteCount: 16384, milliseconds: 5000))
        #expect(try sub.exchange(count: 200) == 200)
      }
      #expect(bus.device.endpointCount.load(ordering: .relaxed) == 4)
      device.close()
      #expect(bus.settled { bus.device.endpointCount.load(ordering: .relaxed) == 0 })
    }
    #expect(!device.isLost)
  }

  @Test(arguments: TestBus.Attachment.allCases) func rescindWhileInUse(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let channel = try device.openPrimary(ringByteCount: 16384)
    let driver = EchoDriver(channel)
    let remover = try WorkerThread(name: "remover") {
      sleepThread(nanoseconds: 20_000_000)
      bus.server.remove(bus.key)
    }
    let done = try driver.exchange(count: .max, milliseconds: 20_000)
    remover.join()
    #expect(done > 0 && channel.isLost && device.isLost)
    #expect(throws: ChannelError.self) { _ = try driver.call([1, 2, 3]) }
    device.close()
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    #expect(bus.client.devices.isEmpty)
    // The device comes back.
    bus.server.add(bus.device)
    let again = try #require(bus.echo)
    #expect(again.offer.instance == device.offer.instance && !again.isLost)
    #expect(try EchoDriver(try again.openPrimary(ringByteCount: 16384)).exchange(count: 100) == 100)
    again.close()
  }

  @Test(arguments: TestBus.Attachment.allCases) func sleepersAreWokenByALoss(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    _ = try driver.call([1])
    _ = try driver.channel.unmaskInterrupts()
    bus.server.remove(bus.key)
    #expect(waitForInput([driver.channel.waitDescriptor], milliseconds: 5000) != 0)
    #expect(bus.settled { driver.channel.isLost })
    device.close()
  }

  /// The host helps an end whose closing lasts; what wakes the guest is not taken away by that.
  @Test(arguments: TestBus.Attachment.allCases) func aLossShowsUntilItIsLookedAt(attachment: TestBus.Attachment) throws
  {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    _ = try driver.call([1])
    driver.channel.acknowledgeSignal()
    bus.device.closeMilliseconds.store(300, ordering: .relaxed)
    bus.server.remove(bus.key)
    #expect(bus.settled { driver.channel.isLost })
    sleepThread(nanoseconds: 100_000_000)
    #expect(waitForInput([driver.channel.waitDescriptor], milliseconds: 0) != 0)
    device.close()
  }

  @Test(arguments: TestBus.Attachment.allCases) func unloadWithOpenChannels(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    _ = try driver.call([1])
    bus.client.disconnect()
    #expect(device.isLost && driver.channel.isLost)
    device.close()
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    #expect(bus.settled { bus.server.guestCount == 0 })
    bus.server.stop()
  }

  @Test(arguments: TestBus.Attachment.allCases) func refusedSessions(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    bus.device.refuses.store(true, ordering: .relaxed)
    #expect(throws: ChannelError.self) { _ = try device.openPrimary(ringByteCount: 16384) }
    bus.device.refuses.store(false, ordering: .relaxed)
    #expect(try EchoDriver(try device.openPrimary(ringByteCount: 16384)).call([9]).first == 9)
    device.close()
  }

  @Test(arguments: TestBus.Attachment.allCases) func pageLists(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    for pages in [1, 26, 27, 1024, 8190] {
      let slice = try device.allocateMemory(byteCount: pages * pageByteCount)
      let gpadl = try device.createGPADL(slice)
      #expect(device.tearDownGPADL(gpadl))
      device.freeMemory(slice)
    }
    let slice = try device.allocateMemory(byteCount: 8191 * pageByteCount)
    #expect(throws: ChannelError.self) { _ = try device.createGPADL(slice) }
    // Rings over more than one message.
    #expect(try EchoDriver(try device.openPrimary(ringByteCount: 8 << 20)).exchange(count: 100) == 100)
    device.close()
  }

  @Test(arguments: ProtocolVersion.offered) func versions(version: ProtocolVersion) throws {
    var host = VMBusServer.Settings()
    host.limits.versions = ProtocolVersion.offered.filter { $0 <= version }
    let bus = try TestBus(.embedded, host: host)
    defer { bus.stop() }
    #expect(bus.client.version == version)
    let device = try #require(bus.echo)
    #expect(try EchoDriver(try device.openPrimary(ringByteCount: 16384)).exchange(count: 20) == 20)
    device.close()
  }

  @Test func noCommonVersion() throws {
    var host = VMBusServer.Settings()
    host.limits.versions = []
    #expect(throws: ChannelError.self) { _ = try TestBus(.embedded, host: host) }
  }

  @Test(arguments: [20, 0]) func monitorPages(spinMicroseconds: Int) throws {
    var host = VMBusServer.Settings()
    host.limits.allocatesMonitors = true
    host.spinMicroseconds = spinMicroseconds
    let bus = try TestBus(.socket, host: host)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    #expect(device.offer.monitor == 0)
    for _ in 0..<2 {
      let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
      #expect(try driver.exchange(count: 2000) == 2000)
      sleepThread(nanoseconds: 5_000_000)
      // The host sleeps now, so that only the bit can wake it.
      #expect(try driver.call([4, 5]).prefix(2) == [4, 5])
      device.close()
    }
    var guest = VMBusClient.Settings()
    guest.givesMonitorPages = false
    let other = try VMBusClient(transport: SocketTransport(path: bus.path), settings: guest)
    try other.connect()
    let plain = try #require(other.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 5000))
    #expect(plain.offer.monitor == nil)
    #expect(try EchoDriver(try plain.openPrimary(ringByteCount: 16384)).exchange(count: 100) == 100)
    plain.close()
    other.disconnect()
  }

  @Test(arguments: TestBus.Attachment.allCases) func randomlyTimedStops(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    var random = RandomNumbers(seed: 11)
    let payload = [UInt8](repeating: 1, count: 64)
    for round in 0..<30 {
      let driver = EchoDriver(try device.openPrimary(ringByteCount: 8192))
      // Leaves packets under way.
      for _ in 0..<(random.next() % 40) {
        _ = try driver.channel.sendInBand(
          transactionID: 1, requestsCompletion: true, payload: payload.rawSpan)
      }
      if round & 1 == 0 { try driver.channel.flush() }
      sleepThread(nanoseconds: Int(random.next() % 300_000))
      device.close()
    }
    #expect(bus.settled { bus.device.endpointCount.load(ordering: .relaxed) == 0 })
  }
}
