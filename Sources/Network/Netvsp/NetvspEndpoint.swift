import Ethernet
import LinuxIO
import VMBusChannel

/// The host's end of one channel of a NIC, as the bus sees it.
final class NetvspEndpoint: HostEndpoint {
  let signal: EndpointSignal
  let counters: NetvspCounters
  let readinessDescriptor: Int32
  private var server: ChannelServer

  init(_ session: NICSession, _ channel: Channel, index: Int, queue: any EthernetQueue) throws(Errno) {
    let signal = try EndpointSignal()
    let readiness = try Epoll()
    try readiness.add(signal.descriptor, token: 0)
    try readiness.add(queue.readinessDescriptor, token: 1)
    let counters = NetvspCounters()
    self.signal = signal
    self.counters = counters
    readinessDescriptor = readiness.descriptor
    server = try ChannelServer(
      session, channel, index: index, queue: queue, signal: signal, readiness: readiness, counters: counters)
  }

  var fault: ChannelError? { server.fault }

  @discardableResult
  func run() -> Bool { server.run() }

  func close() { server.close() }

  /// The sub-allocations of this channel, those that are free, the packets that the guest has, and whether it takes frames.
  var receiveState: (count: Int, freeCount: Int, lentPacketCount: Int, isReceiving: Bool) { server.sink.receiveState }
}
