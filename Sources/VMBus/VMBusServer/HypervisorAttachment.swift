import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// The host's side of a guest of a hypervisor; it belongs to the guest's control thread.
final class HypervisorAttachment: MailboxAttachment {
  private let guest: HypervisorGuest
  private let hypervisor: any GuestHypervisor
  private let settings: VMBusServer.Settings
  let mailbox: Mailbox<GuestCommand>
  var ending: String?

  init(
    guest: HypervisorGuest, hypervisor: any GuestHypervisor, settings: VMBusServer.Settings,
    mailbox: Mailbox<GuestCommand>
  ) {
    self.guest = guest
    self.hypervisor = hypervisor
    self.settings = settings
    self.mailbox = mailbox
  }

  func send(_ message: [UInt8], vp: UInt32) {
    guard ending == nil, let port = port(vp) else { return }
    if port.post(message) > settings.queuedMessageCount { ending = "the guest does not take its messages" }
  }

  func messageTaken() { guest.taken() }

  func discardQueue() {
    for port in guest.ports { port.discard() }
  }

  func watch(_ monitor: MonitorWatch?) -> Bool {
    guard let monitor else {
      guest.watch(nil)
      return hypervisor.trapWrites(toPageAt: nil)
    }
    guest.watch(monitor)
    return hypervisor.trapWrites(toPageAt: monitor.guestAddress)
  }

  func makeEnd(
    _ opening: ChannelOpening, rings: MappedRings, memory: GuestMemory, session: any HostDeviceSession
  ) throws(ChannelError) -> any ChannelEnd {
    let target = SignalTarget(relid: opening.relid, ports: guest.ports)
    if let vp = opening.targetVP, !target.set(vp: vp) {
      throw .protocolFault("a channel for virtual processor \(vp), which is not there")
    }
    do throws(Errno) {
      let worker = try ChannelWorker(spinNanoseconds: UInt64(settings.spinMicroseconds) * 1000) {
        SynICDoorbell(target)
      }
      // Before the open is answered: the guest may signal as soon as it has the answer.
      let connection = ConnectionID.channel(relid: opening.relid)
      try hypervisor.tie(connectionID: connection, to: worker.guestRings)
      do throws(Errno) {
        let thread = try worker.start(opening, rings: rings, memory: memory, session: session, mailbox: mailbox)
        return HypervisorEnd(
          connectionID: connection, worker: worker, thread: thread, target: target, hypervisor: hypervisor)
      } catch {
        hypervisor.untie(connectionID: connection)
        throw error
      }
    } catch {
      throw .system(what: "starting a worker", error)
    }
  }

  private func port(_ vp: UInt32) -> SynICPort? {
    guest.ports.indices.contains(Int(vp)) ? guest.ports[Int(vp)] : nil
  }
}

/// The virtual processor at which a channel is signalled; the guest may change it at any time.
final class SignalTarget: Sendable {
  private let relid: UInt32
  private let ports: [SynICPort]
  private let index = Atomic<Int>(0)

  init(relid: UInt32, ports: [SynICPort]) {
    self.relid = relid
    self.ports = ports
  }

  /// Takes another virtual processor; false when there is none of this number.
  @discardableResult
  func set(vp: UInt32) -> Bool {
    guard ports.indices.contains(Int(vp)) else { return false }
    index.store(Int(vp), ordering: .relaxed)
    return true
  }

  func signal() {
    ports[index.load(ordering: .relaxed)].signal(relid: relid)
  }
}

/// A doorbell that is an event flag of a virtual processor.
final class SynICDoorbell: Doorbell {
  private let target: SignalTarget

  init(_ target: SignalTarget) {
    self.target = target
  }

  func ring() {
    target.signal()
  }
}

/// The host's end of a channel of a hypervisor's guest.
final class HypervisorEnd: ChannelEnd {
  private let connectionID: UInt32
  private let worker: ChannelWorker
  private let thread: WorkerThread
  private let target: SignalTarget
  private let hypervisor: any GuestHypervisor

  init(
    connectionID: UInt32, worker: ChannelWorker, thread: WorkerThread, target: SignalTarget,
    hypervisor: any GuestHypervisor
  ) {
    self.connectionID = connectionID
    self.worker = worker
    self.thread = thread
    self.target = target
    self.hypervisor = hypervisor
  }

  var kick: EventFD? { worker.kick }

  func announce() {}

  func retarget(vp: UInt32) { target.set(vp: vp) }

  func close() { worker.stop() }

  func unblock() {}

  func join() {
    hypervisor.untie(connectionID: connectionID)
    thread.join()
  }
}
