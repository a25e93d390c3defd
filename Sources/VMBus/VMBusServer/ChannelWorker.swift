import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// Where the rings of a channel are mapped, and what keeps them mapped.
struct MappedRings: Sendable {
  let incoming: MemorySlice
  let outgoing: MemorySlice
  let owner: any AnyObject & Sendable
}

/// The thread that serves one open channel of a guest in another process: it runs the endpoint, spins for a while when that
/// has lately paid, and sleeps.
final class ChannelWorker: Sendable {
  /// The guest signals it.
  let guestRings: EventFD
  /// Signalled for the guest, when its bit is seen in the monitor page. The guest does not have it.
  let kick: EventFD

  private let stopEvent: EventFD
  private let mustStop = Atomic<Bool>(false)
  private let spinNanoseconds: UInt64
  private let makeDoorbell: @Sendable () -> any Doorbell

  /// A worker; nothing runs before `start`.
  ///
  /// - Parameter makeDoorbell: what signals the guest; it is called on the worker's thread.
  init(spinNanoseconds: UInt64, makeDoorbell: @escaping @Sendable () -> any Doorbell) throws(Errno) {
    guestRings = try EventFD()
    self.makeDoorbell = makeDoorbell
    kick = try EventFD()
    stopEvent = try EventFD()
    self.spinNanoseconds = spinNanoseconds
  }

  /// Starts the thread, which posts `.opened` or `.ended` to `mailbox`, then `.faulted` perhaps, and `.ended` at last.
  func start(
    _ opening: ChannelOpening, rings: MappedRings, memory: GuestMemory, session: any HostDeviceSession,
    mailbox: Mailbox<GuestCommand>
  ) throws(Errno) -> WorkerThread {
    try WorkerThread(name: "vmbus-\(opening.relid)") { [self] in
      // `memory` stays mapped until the thread has ended, whatever happens to the guest.
      let failure = withExtendedLifetime((memory, rings.owner)) {
        serve(opening, rings: rings, session: session, mailbox: mailbox)
      }
      mailbox.post(.ended(opening.key, failure))
    }
  }

  /// Asks the thread to close the endpoint and to end.
  func stop() {
    mustStop.store(true, ordering: .releasing)
    stopEvent.signal()
  }

  private func serve(
    _ opening: ChannelOpening, rings: MappedRings, session: any HostDeviceSession, mailbox: Mailbox<GuestCommand>
  ) -> ChannelError? {
    do throws(ChannelError) {
      let doorbell: any Doorbell = opening.targetVP == nil ? SilentDoorbell() : makeDoorbell()
      let channel = try Channel(
        relid: opening.relid, outgoing: rings.outgoing, incoming: rings.incoming, acceptedTypes: .fromGuest,
        doorbell: doorbell, waitDescriptor: guestRings.descriptor)
      let endpoint = try session.openEndpoint(on: channel, index: opening.subChannelIndex)
      mailbox.post(.opened(opening.key))
      do throws(Errno) {
        if let fault = try run(endpoint, channel: channel) {
          mailbox.post(.faulted(opening.key, fault))
          while !mustStop.load(ordering: .acquiring) { _ = waitForInput([stopEvent.descriptor], milliseconds: -1) }
        }
      } catch {
        mailbox.post(.faulted(opening.key, .system(what: "waiting for the guest", error)))
      }
      endpoint.close()
      return nil
    } catch {
      return error
    }
  }

  /// Serves until `stop`, which answers nil, or a fault of the guest.
  private func run(_ endpoint: any HostEndpoint, channel: Channel) throws(Errno) -> ChannelError? {
    let epoll = try Epoll()
    // An edge for each signal: nothing has to be drained, and a guest that fills the counter harms only itself.
    try epoll.add(guestRings.descriptor, token: 0, edgeTriggered: true)
    try epoll.add(kick.descriptor, token: 0, edgeTriggered: true)
    try epoll.add(endpoint.readinessDescriptor, token: 0)
    try epoll.add(stopEvent.descriptor, token: 0)
    // Spins that may still be tried without having paid.
    var credit = Self.initialCredit
    var sleepsWithoutSpin = 0
    channel.maskInterrupts()
    while !mustStop.load(ordering: .acquiring) {
      let worked = endpoint.run()
      if let fault = endpoint.fault { return fault }
      if worked { continue }
      if spinNanoseconds > 0 {
        if credit > 0 || sleepsWithoutSpin >= Self.sleepsBetweenTrials {
          sleepsWithoutSpin = 0
          if spin(endpoint) {
            credit = min(Self.maximumCredit, credit + Self.reward)
            continue
          }
          credit = max(0, credit - 1)
        } else {
          sleepsWithoutSpin += 1
        }
      }
      do throws(ChannelError) {
        // What has come meanwhile is served at once, unless the endpoint has no room for it: then it waits for its own I/O.
        if try channel.unmaskInterrupts(), endpoint.run() {
          channel.maskInterrupts()
          continue
        }
      } catch {
        return error
      }
      // The last looks may have met a fault without having done anything.
      if let fault = endpoint.fault { return fault }
      if mustStop.load(ordering: .acquiring) { break }
      channel.counters.sleeps.add(1)
      _ = epoll.wait(milliseconds: -1)
      channel.maskInterrupts()
    }
    return nil
  }

  private static let initialCredit = 8
  private static let maximumCredit = 16
  private static let reward = 4
  private static let sleepsBetweenTrials = 64

  /// Looks for work until the time is over; whether some was done.
  private func spin(_ endpoint: any HostEndpoint) -> Bool {
    let deadline = monotonicNanoseconds() + spinNanoseconds
    repeat {
      if endpoint.run() { return true }
    } while monotonicNanoseconds() < deadline && !mustStop.load(ordering: .relaxed)
    return false
  }
}
