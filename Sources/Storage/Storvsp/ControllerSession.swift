import LinuxIO
import StorvscProtocol
import Synchronization
import VMBusChannel

/// The controller towards one guest, from the opening of its primary channel on.
final class ControllerSession: HostDeviceSession {
  let controller: SCSIController
  let guest: GuestContext

  private let state: Mutex<State>
  private let readyVersion = Atomic<UInt16>(0)
  private let enumerationIsDue = Atomic<Bool>(false)
  /// Changes whenever the disks of this guest, or what they are, have changed.
  let generation = Atomic<UInt64>(1)

  private struct State {
    var nexuses = [UnitNexus?](repeating: nil, count: DiskAddress.count)
    var endpoints: [ObjectIdentifier: Endpoint] = [:]
    var finished = StorvspStatistics()
  }

  private struct Endpoint {
    var index: Int
    var signal: EndpointSignal
    var counters: StorvspCounters
  }

  init(_ controller: SCSIController, _ guest: GuestContext) {
    self.controller = controller
    self.guest = guest
    state = Mutex(State())
  }

  // MARK: Disks (called by the controller, one call at a time)

  func attach(_ disk: SCSIDisk) {
    let nexus = disk.attach(guest.guestID)
    state.withLock { $0.nexuses[disk.address.index] = nexus }
  }

  func detach(_ address: DiskAddress) {
    let nexus = state.withLock { state in
      let old = state.nexuses[address.index]
      state.nexuses[address.index] = nil
      return old
    }
    if let nexus { nexus.disk.detach(nexus) }
  }

  /// The disks have changed: every channel looks again, and the guest is asked to.
  func disksChanged() {
    generation.add(1, ordering: .acquiringAndReleasing)
    enumerationIsDue.store(true, ordering: .releasing)
    raiseAll()
  }

  var nexuses: [UnitNexus?] { state.withLock { $0.nexuses } }

  // MARK: Negotiation (called by the primary endpoint)

  /// The agreed version once I/O may start, else nil.
  @inline(__always)
  var ioVersion: StorvscVersion? {
    let raw = readyVersion.load(ordering: .acquiring)
    return raw == 0 ? nil : StorvscVersion(rawValue: raw)
  }

  /// I/O may start on all channels. The guest looks at all disks now: a notice would tell it nothing new.
  func becomeReady(_ version: StorvscVersion) {
    enumerationIsDue.store(false, ordering: .releasing)
    readyVersion.store(version.rawValue, ordering: .releasing)
    raiseAll()
  }

  /// The primary channel is closed, or was opened anew.
  func reset() {
    readyVersion.store(0, ordering: .releasing)
    enumerationIsDue.store(false, ordering: .releasing)
  }

  @inline(__always)
  var isEnumerationDue: Bool { enumerationIsDue.load(ordering: .relaxed) }

  /// Whether the guest has to be told, which is forgotten: changes that come in a row make one notice.
  func takeEnumeration() -> Bool {
    enumerationIsDue.exchange(false, ordering: .acquiringAndReleasing)
  }

  // MARK: Channels

  func openEndpoint(on channel: Channel, index: Int) throws(ChannelError) -> any HostEndpoint {
    do throws(Errno) {
      if index == 0 { reset() }
      let endpoint = try StorvspEndpoint(self, channel, isPrimary: index == 0)
      state.withLock {
        $0.endpoints[ObjectIdentifier(endpoint.signal)] = Endpoint(
          index: index, signal: endpoint.signal, counters: endpoint.counters)
      }
      return endpoint
    } catch {
      throw .system(what: "serving a storage channel", error)
    }
  }

  func endpointClosed(_ signal: EndpointSignal) {
    state.withLock {
      if let endpoint = $0.endpoints.removeValue(forKey: ObjectIdentifier(signal)) {
        $0.finished.add(endpoint.counters)
      }
    }
  }

  func end() {
    reset()
    controller.sessionEnded(self)
  }

  /// Whose session it is, and what its channels did.
  var status: SCSIController.SessionStatus {
    state.withLock { state in
      var statistics = state.finished
      for endpoint in state.endpoints.values { statistics.add(endpoint.counters) }
      return SCSIController.SessionStatus(
        guestID: guest.guestID, version: ioVersion, channelCount: state.endpoints.count, statistics: statistics)
    }
  }

  private func raiseAll() {
    let signals = state.withLock { state in state.endpoints.values.map(\.signal) }
    for signal in signals { signal.raise() }
  }
}
