import LinuxIO
import SharedMemory
import Support
import VMBusClient
import VMBusServer

/// The other process of tests.
///
/// - `host SOCKET [SPIN]` serves an echo device until it is killed;
/// - `guest SOCKET COUNT` sends packets to the echo device at SOCKET and exits with 0 when all came back;
/// - `reader`, `writer SEED COUNT SIZE` is one end of a ring, whose memory and events come through descriptor 3.
@main
enum BusPeer {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count > 2 else { return }
    switch arguments[1] {
    case "host": try host(arguments[2], spinMicroseconds: arguments.count > 3 ? Int(arguments[3]) ?? 20 : 20)
    case "guest": try guest(arguments[2], count: Int(arguments[3]) ?? 1)
    case "reader", "writer": try ring(arguments)
    default: break
    }
  }

  static func host(_ path: String, spinMicroseconds: Int) throws {
    var settings = VMBusServer.Settings()
    settings.spinMicroseconds = spinMicroseconds
    let server = VMBusServer(settings)
    server.add(EchoDevice())
    try server.listen(at: path)
    while true { sleepThread(nanoseconds: 1_000_000_000) }
  }

  static func guest(_ path: String, count: Int) throws {
    let client = try VMBusClient(transport: SocketTransport(path: path))
    try client.connect()
    guard let device = client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 10_000) else {
      throw Errno.ENODEV
    }
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    guard try driver.exchange(count: count) == count else { throw Errno.EIO }
    device.close()
    client.disconnect()
  }

  static func ring(_ arguments: [String]) throws {
    let socket = PacketSocket(adopting: OwnedDescriptor(adopting: 3))
    guard let packet = try socket.receive(maximum: 8), let memory = packet.takeDescriptor(),
      let dataEvent = packet.takeDescriptor(), let spaceEvent = packet.takeDescriptor()
    else { throw Errno.EINVAL }
    let region = try MemoryRegion(sharing: MemoryFile(adopting: memory))
    let traffic = RingTraffic(
      memory: region.slice, dataEvent: EventFD(adopting: dataEvent), spaceEvent: EventFD(adopting: spaceEvent),
      count: Int(arguments[3]) ?? 0, seed: UInt64(arguments[2]) ?? 0, maximumByteCount: Int(arguments[4]) ?? 0)
    let failure = withExtendedLifetime(region) { arguments[1] == "reader" ? traffic.read() : traffic.write() }
    if let failure {
      print(failure)
      throw Errno.EIO
    }
  }
}
