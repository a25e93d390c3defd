import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer

/// Thousands of packets through either attachment.
@Suite(.serialized) struct EchoTests {
  @Test func embedded() throws {
    let bus = try TestBus(.embedded)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    #expect(try driver.exchange(count: 5000) == 5000)
    #expect(driver.channel.counters.sleeps.value == 0)
    device.close()
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    #expect(bus.device.endpointCount.load(ordering: .relaxed) == 0)
  }

  @Test func overASocket() throws {
    let bus = try TestBus(.socket)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    #expect(try driver.exchange(count: 5000) == 5000)
    device.close()
    #expect(bus.settled { bus.device.sessionCount.load(ordering: .relaxed) == 0 })
    #expect(bus.device.endpointCount.load(ordering: .relaxed) == 0)
  }
}
