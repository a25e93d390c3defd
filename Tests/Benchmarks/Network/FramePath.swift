import Ethernet
import EthernetSwitch
import LinuxIO
import Netvsc
import Netvsp
import Synchronization
import VMBusClient
import VMBusProtocol
import VMBusServer

/// Guest and host of one NIC on this thread, with a `PulsePort` on either end: cable, netvsc, VMBus, netvsp, switch.
final class FramePath {
  private let guest: PulsePort
  private let uplink: PulsePort
  private let server: VMBusServer
  private let client: VMBusClient
  private let adapter: NetvscAdapter
  private let ethernetSwitch: EthernetSwitch
  private let first: any EthernetQueue
  private let second: any EthernetQueue

  static let guestAddress = MACAddress(value: 0x0015_5d00_0001)
  static let peerAddress = MACAddress(value: 0x0200_0000_0002)

  init(guest: PulsePort, uplink: PulsePort) throws {
    self.guest = guest
    self.uplink = uplink
    ethernetSwitch = try EthernetSwitch(name: "benchmark", uplink: .queued(uplink))
    let port = try ethernetSwitch.makePort(address: Self.guestAddress)
    server = VMBusServer()
    let instance = GUID(0x5359_4e54, 0x4847, 0x4154, 0x4500_0000_0000_0001)
    _ = server.add(SyntheticNIC(instance: instance, address: Self.guestAddress, port: port))
    client = try VMBusClient(transport: server.embeddedTransport())
    try client.connect()
    guard let device = client.awaitDevice(class: .network, milliseconds: 5000) else {
      throw BenchmarkError.failed("the NIC was not offered")
    }
    var options = NetvscOptions()
    options.queueCount = 1
    adapter = try NetvscAdapter(device: device, options: options)
    first = try guest.makeQueue()
    second = try adapter.makeQueue()
    adapter.setOffloads(.all)
  }

  /// Moves `count` frames from one end to the other; answers the nanoseconds that took, and how many arrived.
  func move(_ count: Int, out: Bool) throws -> (nanoseconds: UInt64, arrived: Int) {
    let (source, sink) = out ? (guest, uplink) : (uplink, guest)
    let before = sink.taken.load(ordering: .relaxed)
    source.left.store(count, ordering: .relaxed)
    guest.idleCount.store(0, ordering: .relaxed)
    var cable = Cable(first, second, control: try CableControl(), options: CableOptions(spinNanoseconds: 0))
    let start = monotonicNanoseconds()
    _ = cable.run()
    return (monotonicNanoseconds() - start, sink.taken.load(ordering: .relaxed) - before)
  }

  func close() {
    first.close()
    second.close()
    adapter.close()
    client.disconnect()
    server.stop()
  }
}
