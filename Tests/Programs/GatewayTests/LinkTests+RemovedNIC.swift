import Ethernet
import EthernetSwitch
import LinuxIO
import NetworkSupport
import Netvsp
import Testing
import VMBusServer

@testable import Gateway
@testable import SyntheticHost

extension LinkTests {
  /// A host that takes a NIC away while it runs, and gives it back.
  @Test func linkWaitsForItsNIC() throws {
    let path = "/tmp/synthgate-removed-\(ownProcess()).sock"
    let server = VMBusServer(VMBusServer.Settings())
    try server.listen(at: path)
    defer { try? removeFile(path) }
    let responder = Responder(ipv4: try #require(IPv4Interface("10.77.0.1/24")), mtu: 1500)
    let ethernetSwitch = try EthernetSwitch(name: "test", uplink: .responder(responder))
    let address = NetworkConfiguration.defaultAddress(0)
    let port = try ethernetSwitch.makePort(address: address, mtu: 1500)
    let nic = SyntheticNIC(instance: NetworkConfiguration.defaultID(0), address: address, port: port)
    var key = server.add(nic)
    let bus = try GatewayBus(
      .socket(path), configuration: nil, memoryByteCount: 64 << 20, reconnectSeconds: 10, what: "test")
    let bench = try LinkBench(bus)
    try bench.up(0)
    try bench.startControl()
    let link = bench.links[0]
    let index = link.tap.index
    #expect(bench.ping(0))
    for _ in 0..<3 {
      server.remove(key)
      #expect(eventually { !link.isConnected && !link.tap.state.hasCarrier })
      #expect(!link.tap.state.isGone)
      key = server.add(nic)
      #expect(eventually { link.isConnected && link.tap.state.hasCarrier })
      #expect(try eventually { try bench.namespaces[0].run("ip -o addr show syn0").contains("10.77.0.10/24") })
      #expect(bench.ping(0), "\(bench.lines.all)")
    }
    // A pulled cable is no loss: only the carrier goes.
    nic.setMediaConnected(false)
    #expect(eventually { !link.tap.state.hasCarrier })
    #expect(link.isConnected)
    nic.setMediaConnected(true)
    #expect(eventually { link.tap.state.hasCarrier })
    #expect(bench.ping(0))
    #expect(link.tap.index == index)
    try bench.close()
    server.stop()
    port.close()
  }
}
