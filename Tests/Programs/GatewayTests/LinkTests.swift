import LinuxIO
import NetworkSupport
import Testing

@testable import Gateway
@testable import SyntheticHost

/// Links without the command line around them, one test at a time: they measure this process, which `appliance/test` gives
/// them for themselves.
@Suite(.serialized) struct LinkTests {
  /// 32 NICs of an embedded host with one switch, as 32 links of one process.
  @Test func thirtyTwoAtOnce() throws {
    let count = 32
    let networks = (0..<count).map {
      NetworkConfiguration(
        id: NetworkConfiguration.defaultID($0), mac: NetworkConfiguration.defaultAddress($0),
        uplink: .responder("10.77.0.1/24"), queues: 1)
    }
    let threads = try ownStatus("Threads")
    let memory = try ownStatus("VmRSS")
    let bus = try GatewayBus(
      .embedded, configuration: HostConfiguration(networks: networks), memoryByteCount: count * 40 << 20,
      reconnectSeconds: 10, what: "test")
    let bench = try LinkBench(bus)
    let start = monotonicNanoseconds()
    for number in 0..<count { try bench.up(number) }
    try bench.startControl()
    let milliseconds = (monotonicNanoseconds() - start) / 1_000_000
    for parity in 0..<2 {
      let numbers = stride(from: parity, to: count, by: 2).map(String.init).joined(separator: " ")
      let all = try bench.namespaces[parity].run(
        "sh -c 'for i in \(numbers); do ping -q -c 3 -i 0.1 -W 2 -I syn$i 10.77.0.1 & done; wait'")
      #expect(all.split(separator: "\n").filter { $0.contains(" 3 received") }.count == count / 2, "\(all)")
    }
    // And through the switch, from NIC to NIC.
    for number in 1..<count { #expect(bench.ping(number - 1, "10.77.0.\(number + 10)"), "from \(number - 1)") }
    let newThreads = try ownStatus("Threads") - threads
    let newMemory = try ownStatus("VmRSS") - memory
    print("32 links were up after \(milliseconds) ms, with \(newThreads) threads and \(newMemory) KiB")
    #expect(newThreads <= 5 * count + 10)
    #expect(newMemory < count * (8 << 10))
    try bench.close()
    // The runner may have started a few of its own.
    #expect(try eventually(seconds: 5) { try ownStatus("Threads") <= threads + 4 })
  }

  /// One link, whose NIC the host has 1, 2 and 4 channels for.
  @Test(arguments: [1, 2, 4]) func subChannels(count: Int) throws {
    let network = NetworkConfiguration(
      id: NetworkConfiguration.defaultID(0), mac: NetworkConfiguration.defaultAddress(0),
      uplink: .responder("10.77.0.1/24"), queues: count)
    let bus = try GatewayBus(
      .embedded, configuration: HostConfiguration(networks: [network]), memoryByteCount: 64 << 20, reconnectSeconds: 10,
      what: "test")
    let bench = try LinkBench(bus)
    try bench.up(0, queueCount: 4)
    try bench.startControl()
    #expect(bench.links[0].queueCount == count)
    #expect(bench.ping(0))
    // Streams of different ports go over different queues, whose threads take what the kernel has queued in their time.
    try bench.namespaces[0].run(
      "bash -c 'for i in $(seq 1 64); do echo x > /dev/udp/10.77.0.1/$((5000 + i)) || true; done' 2>/dev/null")
    func used() -> Int { bench.links[0].statistics.filter { $0.sentFrames > 0 }.count }
    #expect(eventually(seconds: 5) { used() == count }, "only \(used()) of \(count) channels were used")
    try bench.close()
  }
}
