import LinuxIO
import VMBusChannel

/// The host's end of one channel of a SCSI controller, as the bus sees it.
final class StorvspEndpoint: HostEndpoint {
  let signal: EndpointSignal
  let counters: StorvspCounters
  let readinessDescriptor: Int32
  private var server: ChannelServer

  init(_ session: ControllerSession, _ channel: Channel, isPrimary: Bool) throws(Errno) {
    let signal = try EndpointSignal()
    let readiness = try Epoll()
    try readiness.add(signal.descriptor, token: 0)
    self.signal = signal
    readinessDescriptor = readiness.descriptor
    server = ChannelServer(session, channel, isPrimary: isPrimary, signal: signal, readiness: readiness)
    counters = server.counters
  }

  var fault: ChannelError? { server.fault }

  @discardableResult
  func run() -> Bool { server.run() }

  func close() { server.close() }
}
