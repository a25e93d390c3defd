public import LinuxIO
import SharedMemory
import Synchronization
public import VMBusChannel
public import VMBusProtocol
import WireBytes

/// What a hypervisor does for the bus of one of its guests. Calls come from several threads.
public protocol GuestHypervisor: AnyObject, Sendable {
  /// Interrupts a virtual processor at the SINT of VMBus.
  func raise(vp: Int)
  /// From now on the guest's HvSignalEvent to `connectionID` signals `event`.
  ///
  /// - Throws: any errno; the channel is not opened then.
  func tie(connectionID: UInt32, to event: EventFD) throws(Errno)
  /// Takes `tie` back.
  func untie(connectionID: UInt32)
  /// From now on the guest's writes to a page of its memory are told by `HypervisorGuest.monitorPageWritten` instead of
  /// done; nil: no page. Answers whether that is possible.
  func trapWrites(toPageAt guestAddress: UInt64?) -> Bool
  /// The guest's bus is gone: the server or `HypervisorGuest.end` has ended it, or the guest does not behave. Once.
  func detached(reason: String)
}

/// A guest of a hypervisor, attached to a server: what its processors do reaches the bus by these calls, from any thread.
public final class HypervisorGuest: Sendable {
  private let mailbox: Mailbox<GuestCommand>
  let ports: [SynICPort]
  private let monitor = Mutex<MonitorWatch?>(nil)
  /// Control messages of the guest that the control thread has not taken yet.
  private let waiting = Atomic<Int>(0)

  /// As many messages as the hypervisor keeps for a port.
  private static let maximumWaitingCount = 16

  init(mailbox: Mailbox<GuestCommand>, ports: [SynICPort]) {
    self.mailbox = mailbox
    self.ports = ports
  }

  /// The guest posts a message: the 256 bytes of HvPostMessage's input.
  public func post(_ input: [UInt8]) -> HypercallStatus {
    guard let post = PostMessageInput(parsing: input.rawSpan) else { return .invalidParameter }
    guard post.type == .vmbus else { return .invalidParameter }
    guard post.connectionID == ConnectionID.legacyMessage || post.connectionID == ConnectionID.message else {
      return .invalidConnectionID
    }
    guard waiting.load(ordering: .relaxed) < Self.maximumWaitingCount else { return .insufficientBuffers }
    waiting.add(1, ordering: .relaxed)
    mailbox.post(.message(post.payload, connectionID: post.connectionID))
    return .success
  }

  /// The guest has written a register of the SynIC of `vp`.
  public func setSynIC(vp: Int, control: UInt64, eventFlagPage: UInt64, messagePage: UInt64) {
    guard ports.indices.contains(vp) else { return }
    ports[vp].set(control: control, eventFlagPage: eventFlagPage, messagePage: messagePage)
  }

  /// The guest has handled an interrupt of `vp`, or has taken a message.
  public func interruptHandled(vp: Int) {
    if ports.indices.contains(vp) { ports[vp].deliver() }
  }

  /// The guest has tried to write a page that is trapped.
  ///
  /// - Parameter value: the bytes, little-endian.
  public func monitorPageWritten(_ value: UInt64, byteCount: Int, at guestAddress: UInt64) {
    guard let monitor = monitor.withLock({ $0 }), guestAddress >= monitor.guestAddress,
      guestAddress - monitor.guestAddress < UInt64(pageByteCount)
    else { return }
    monitor.write(value, byteCount: byteCount, at: Int(guestAddress - monitor.guestAddress))
  }

  /// Ends the guest's connection.
  public func end(reason: String) {
    mailbox.post(.stop(reason: reason))
  }

  func taken() {
    waiting.subtract(1, ordering: .relaxed)
  }

  func watch(_ monitor: MonitorWatch?) {
    self.monitor.withLock { $0 = monitor }
  }
}

extension VMBusServer {
  /// Takes a guest of a hypervisor; it is served until it or the server ends.
  ///
  /// - Parameters:
  ///   - memory: the guest's memory: runs that do not overlap.
  ///   - processorCount: the virtual processors, which are numbered from 0.
  /// - Throws: ECONNREFUSED when no more guests are taken; EMFILE, ENOMEM.
  public func attach(
    memory: [SharedGuestMemory], processorCount: Int, hypervisor: any GuestHypervisor
  ) throws(Errno) -> HypervisorGuest {
    let mailbox = try Mailbox<GuestCommand>()
    let files = memory.map { ($0.guestAddress, $0.file) }
    let memory = GuestMemory(memory.flatMap(\.memory.ranges))
    let ports = (0..<processorCount).map { vp in
      SynICPort(memory: memory) { [weak hypervisor] in hypervisor?.raise(vp: vp) }
    }
    let guest = HypervisorGuest(mailbox: mailbox, ports: ports)
    let isAccepted = try startGuest(mailbox: mailbox, name: "vmbus-hv") { guestID, settings in
      settings.onEvent(.attached(guest: guestID, process: 0))
      let attachment = HypervisorAttachment(guest: guest, hypervisor: hypervisor, settings: settings, mailbox: mailbox)
      let control = GuestControl(
        guestID: guestID, settings: settings, mailbox: mailbox, memory: memory, files: files, attachment: attachment)
      let reason = attachment.serve(control)
      hypervisor.detached(reason: reason)
      settings.onEvent(.detached(guest: guestID, reason: reason))
    }
    guard isAccepted else { throw .ECONNREFUSED }
    return guest
  }
}
