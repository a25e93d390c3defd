import Ethernet
import LinuxIO
import NetvscProtocol
import Synchronization
import VMBusChannel

/// The NIC towards one guest, from the opening of its primary channel on.
final class NICSession: HostDeviceSession {
  let nic: SyntheticNIC
  let guest: GuestContext

  /// Changes whenever `plan` has changed.
  let generation = Atomic<UInt64>(1)
  private let linkIsDue = Atomic<Bool>(false)
  private let tableIsDue = Atomic<Bool>(false)
  private let state = Mutex(State())
  /// Held while a queue is made, so that its number in the port is known.
  private let queues = Mutex(QueueNumbers())

  private struct State {
    var plan = ChannelPlan()
    var address = MACAddress.zero
    var filter = PacketFilter()
    var endpoints: [ObjectIdentifier: Endpoint] = [:]
    var finished = NetvspStatistics()
  }

  private struct Endpoint {
    var index: Int
    var signal: EndpointSignal
    var counters: NetvspCounters
  }

  /// By channel: the number of its queue in the port.
  struct QueueNumbers: Sendable {
    var count = 0
    var byChannel: [Int: Int] = [:]
    var scaling: RSSParameters?
  }

  init(_ nic: SyntheticNIC, _ guest: GuestContext) {
    self.nic = nic
    self.guest = guest
    state.withLock { $0.address = nic.address }
  }

  // MARK: The plan

  var plan: ChannelPlan { state.withLock { $0.plan } }

  /// Changes what all channels go by.
  func update(_ change: (inout ChannelPlan) -> Void) {
    state.withLock { change(&$0.plan) }
    generation.add(1, ordering: .acquiringAndReleasing)
    raiseAll()
  }

  /// What the status tells about the station.
  func note(address: MACAddress, filter: PacketFilter) {
    state.withLock { state in
      state.address = address
      state.filter = filter
    }
  }

  /// Has all channels look at the buffers, which the guest may want back.
  func observe(_ mapping: GPADLMapping) {
    mapping.observeRevocation { [weak self] in self?.raiseAll() }
  }

  // MARK: Notices for the primary channel

  func noteLink() {
    linkIsDue.store(true, ordering: .releasing)
    raiseAll()
  }

  @inline(__always)
  var isNoticeDue: Bool { linkIsDue.load(ordering: .relaxed) || tableIsDue.load(ordering: .relaxed) }

  func takeLinkNotice() -> Bool { linkIsDue.exchange(false, ordering: .acquiringAndReleasing) }

  /// Whether all channels that were granted are open, since the last time that this was true.
  func takeTableNotice() -> Bool { tableIsDue.exchange(false, ordering: .acquiringAndReleasing) }

  // MARK: Queues

  /// Makes the queue of a channel.
  private func makeQueue(_ index: Int) throws(ChannelError) -> any EthernetQueue {
    var made: Result<any EthernetQueue, EthernetError> = .failure(.busy)
    queues.withLock { numbers in
      if index == 0 { numbers = QueueNumbers() }
      made = Result { () throws(EthernetError) in try nic.port.makeQueue() }
      guard case .success = made else { return }
      numbers.byChannel[index] = numbers.count
      numbers.count += 1
      steer(numbers)
    }
    switch made {
    case .success(let queue): return queue
    case .failure(.busy): throw .refused(what: "making a queue", status: NVSPStatus.busy.rawValue)
    case .failure(.lost): throw .lost
    case .failure(.peer(let text)): throw .protocolFault(text)
    case .failure(.system(let what, let errno)): throw .system(what: what, errno)
    }
  }

  /// How the guest wants its flows spread; nil: not at all.
  func setScaling(_ scaling: RSSParameters?) {
    queues.withLock { numbers in
      numbers.scaling = scaling
      steer(numbers)
    }
  }

  private func steer(_ numbers: QueueNumbers) {
    guard let scaling = numbers.scaling, numbers.count > 1 else { return nic.port.setSteering(nil) }
    guard !scaling.isDisabled, let hash = ToeplitzHash(key: scaling.key), !scaling.table.isEmpty else {
      return nic.port.setSteering { _ in 0 }
    }
    // A channel that is not open yet has no queue: its flows go to the first meanwhile.
    let table = (0..<128).map { numbers.byChannel[Int(scaling.table[$0 % scaling.table.count])] ?? 0 }
    let types = scaling.hashTypes
    nic.port.setSteering { headers in
      guard let (value, _) = hash.hash(of: headers, types: types) else { return table[0] }
      return table[Int(value & 127)]
    }
  }

  // MARK: Channels

  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint {
    if index == 0 {
      reset()
    } else if index >= plan.channelCount {
      throw .refused(what: "opening a sub-channel that was not granted", status: NVSPStatus.failure.rawValue)
    }
    let queue = try makeQueue(index)
    do throws(Errno) {
      let endpoint = try NetvspEndpoint(self, channel, index: index, queue: queue)
      state.withLock { state in
        state.endpoints[ObjectIdentifier(endpoint.signal)] = Endpoint(
          index: index, signal: endpoint.signal, counters: endpoint.counters)
        if index > 0, state.endpoints.count == state.plan.channelCount {
          tableIsDue.store(true, ordering: .releasing)
        }
      }
      raiseAll()
      return endpoint
    } catch {
      queue.close()
      throw .system(what: "serving a network channel", error)
    }
  }

  func endpointClosed(_ signal: EndpointSignal) {
    state.withLock {
      if let endpoint = $0.endpoints.removeValue(forKey: ObjectIdentifier(signal)) {
        $0.finished.add(endpoint.counters)
      }
    }
  }

  /// The primary channel is closed, or was opened anew.
  func reset() {
    update { $0 = ChannelPlan() }
    linkIsDue.store(false, ordering: .releasing)
    tableIsDue.store(false, ordering: .releasing)
    note(address: nic.address, filter: [])
    nic.port.setFilter(EthernetFilter(address: nic.address))
    nic.port.setOffloads([.checksum])
    setScaling(nil)
  }

  func end() {
    reset()
    nic.sessionEnded(self)
  }

  var statistics: NetvspStatistics {
    state.withLock { state in
      var statistics = state.finished
      for endpoint in state.endpoints.values { statistics.add(endpoint.counters) }
      return statistics
    }
  }

  var status: SyntheticNIC.SessionStatus {
    let statistics = statistics
    return state.withLock { state in
      SyntheticNIC.SessionStatus(
        guestID: guest.guestID, version: state.plan.isInitialized ? state.plan.version : nil,
        channelCount: state.endpoints.count, address: state.address, filter: state.filter,
        mtu: state.plan.frameByteCount - 14, coalesces: (state.plan.coalesces4, state.plan.coalesces6),
        statistics: statistics)
    }
  }

  private func raiseAll() {
    let signals = state.withLock { state in state.endpoints.values.map(\.signal) }
    for signal in signals { signal.raise() }
  }
}
