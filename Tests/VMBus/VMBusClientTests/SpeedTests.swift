import LinuxIO
import Support
import Testing
import VMBusChannel
import VMBusClient
import VMBusServer

#if !DEBUG
  /// Round trips of one packet at a time; printed, not judged.
  @Suite(.serialized) struct SpeedTests {
    func measure(_ name: String, _ client: VMBusClient, rounds: Int, spinMicroseconds: Int = 0) throws {
      let device = try #require(client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 5000))
      let driver = EchoDriver(try device.openPrimary(ringByteCount: 65536))
      var best = Double.infinity
      for _ in 0..<5 {
        let start = monotonicNanoseconds()
        #expect(
          try driver.exchange(count: rounds, maximumByteCount: 64, depth: 1, spinMicroseconds: spinMicroseconds)
            == rounds)
        best = min(best, Double(monotonicNanoseconds() - start) / Double(rounds))
      }
      print("echo round trip, \(name): \(best) ns")
      device.close()
    }

    @Test func embedded() throws {
      let bus = try TestBus(.embedded)
      defer { bus.stop() }
      try measure("embedded", bus.client, rounds: 200_000)
    }

    @Test(arguments: [0, 20, 50]) func twoProcesses(spinMicroseconds: Int) throws {
      let path = temporarySocketPath()
      let host = try PeerProcess.start(["host", path, "\(spinMicroseconds)"])
      let client = try VMBusClient(transport: SocketTransport(path: path))
      #expect(settled { (try? client.connect()) != nil })
      try measure(
        "two processes, both spin \(spinMicroseconds) us", client, rounds: 20_000, spinMicroseconds: spinMicroseconds)
      client.disconnect()
      host.send(signal: 9)
      _ = host.exitCode()
    }
  }
#endif
