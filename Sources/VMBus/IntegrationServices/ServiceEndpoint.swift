import LinuxIO
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// How callers on other threads make an endpoint look for something to be sent.
final class ServiceLink: Sendable {
  let signal: EndpointSignal
  private let isPosted = Atomic<Bool>(true)

  init() throws(Errno) {
    signal = try EndpointSignal()
  }

  func post() {
    isPosted.store(true, ordering: .releasing)
    signal.raise()
  }

  /// Whether somebody has posted since the last call.
  func take() -> Bool {
    signal.consume()
    return isPosted.load(ordering: .relaxed) && isPosted.exchange(false, ordering: .acquiringAndReleasing)
  }
}

/// The host's end of the channel of a service.
final class ServiceEndpoint<State: ServiceState>: HostEndpoint {
  private let service: IntegrationService<State>
  private let channel: Channel
  private let link: ServiceLink
  private let timer: TimerFD
  private let readiness: Epoll
  /// What the ring had no room for.
  private var unsent: [UInt8]?
  private var wakeTime: UInt64?
  private(set) var fault: ChannelError?

  /// The most packets that one run takes: a guest that floods the ring keeps nobody else waiting.
  private static var packetsPerRun: Int { 64 }
  private static var never: UInt64 { UInt64(Int64.max) }

  init(_ service: IntegrationService<State>, _ channel: Channel) throws(Errno) {
    self.service = service
    self.channel = channel
    link = try ServiceLink()
    timer = try TimerFD()
    readiness = try Epoll(capacity: 2)
    try readiness.add(link.signal.descriptor, token: 0)
    try readiness.add(timer.descriptor, token: 1)
    service.opened(link)
    // An endpoint that a thread of the host serves is run once before that sleeps; one that runs inline waits to be run.
    link.post()
  }

  var readinessDescriptor: Int32 { readiness.descriptor }

  @discardableResult
  func run() -> Bool {
    if fault != nil { return false }
    do throws(ChannelError) {
      let hasReceived = try receive()
      var mustPoll = link.take() || hasReceived
      if let wakeTime, monotonicNanoseconds() >= wakeTime {
        self.wakeTime = nil
        timer.acknowledge()
        mustPoll = true
      }
      let hasSent = try send(polling: mustPoll)
      try channel.flush()
      return hasReceived || hasSent
    } catch {
      fault = error
      return false
    }
  }

  private func receive() throws(ChannelError) -> Bool {
    var count = 0
    while count < Self.packetsPerRun {
      let found: Void? = try channel.receive { descriptor, packet in
        // A service has in-band packets only; what else comes is dropped like any message that makes no sense.
        service.receive(
          descriptor.type == .inBand ? packet.extracting(droppingFirst: descriptor.payloadOffset) : RawSpan())
      }
      guard found != nil else { break }
      count += 1
    }
    if count == Self.packetsPerRun { link.post() }
    return count > 0
  }

  private func send(polling mustPoll: Bool) throws(ChannelError) -> Bool {
    var hasSent = false
    var mustPoll = mustPoll
    while true {
      if let message = unsent {
        guard try write(message) else { return hasSent }
        unsent = nil
        hasSent = true
        mustPoll = true
      }
      guard mustPoll else { return hasSent }
      mustPoll = false
      let next = service.poll()
      unsent = next.message
      guard unsent == nil else { continue }
      if wakeTime != next.wakeTime { timer.set(at: next.wakeTime ?? Self.never) }
      wakeTime = next.wakeTime
    }
  }

  private func write(_ message: [UInt8]) throws(ChannelError) -> Bool {
    if try put(message) { return true }
    // What was written has to be seen before the guest can make room.
    try channel.flush()
    return try channel.requestSpace(forPacketOf: (message.count + 7) & ~7 + 16) ? put(message) : false
  }

  private func put(_ message: [UInt8]) throws(ChannelError) -> Bool {
    try channel.sendInBand(transactionID: 0, requestsCompletion: false, payload: message.rawSpan)
  }

  func close() {
    service.closed()
  }
}
