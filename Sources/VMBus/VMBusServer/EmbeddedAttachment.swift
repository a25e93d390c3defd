import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// The transport of a guest in the host's own process: control messages go through the mailbox of the guest's control thread,
/// and the guest's threads run the host's ends of its channels.
final class EmbeddedTransport: BusTransport {
  private let server: VMBusServer

  init(server: VMBusServer) {
    self.server = server
  }

  func connect(memory: SharedGuestMemory, receiver: any BusReceiver) throws(ChannelError) -> any BusLink {
    do throws(Errno) {
      let mailbox = try Mailbox<GuestCommand>()
      let wirings = InlineWirings()
      let link = EmbeddedLink(mailbox: mailbox, wirings: wirings)
      let isAccepted = try server.startGuest(mailbox: mailbox, name: "vmbus-embedded") { guestID, settings in
        let attachment = EmbeddedAttachment(mailbox: mailbox, wirings: wirings, receiver: receiver)
        settings.onEvent(.attached(guest: guestID, process: 0))
        let control = GuestControl(
          guestID: guestID, settings: settings, mailbox: mailbox, memory: memory.memory,
          files: [(memory.guestAddress, memory.file)], attachment: attachment)
        let reason = attachment.serve(control)
        receiver.ended(reason: reason)
        settings.onEvent(.detached(guest: guestID, reason: reason))
      }
      guard isAccepted else { throw Errno.ECONNREFUSED }
      return link
    } catch {
      throw .system(what: "attaching to the embedded host", error)
    }
  }
}

/// The open ends whose guest has not taken them yet, by relid.
final class InlineWirings: Sendable {
  private let ends = Mutex<[UInt32: InlineEndpoint]>([:])

  func put(_ endpoint: InlineEndpoint, relid: UInt32) {
    ends.withLock { $0[relid] = endpoint }
  }

  func take(relid: UInt32) -> InlineEndpoint? {
    ends.withLock { $0.removeValue(forKey: relid) }
  }
}

final class EmbeddedLink: BusLink {
  private let mailbox: Mailbox<GuestCommand>
  private let wirings: InlineWirings

  init(mailbox: Mailbox<GuestCommand>, wirings: InlineWirings) {
    self.mailbox = mailbox
    self.wirings = wirings
  }

  func send(_ message: [UInt8], connectionID: UInt32) {
    mailbox.post(.message(message, connectionID: connectionID))
  }

  func takeWiring(relid: UInt32) -> GuestWiring? {
    guard let endpoint = wirings.take(relid: relid) else { return nil }
    return try? InlineWaiter.wiring(endpoint)
  }

  func end(reason: String) {
    mailbox.post(.stop(reason: reason))
  }

  func join() {}
}

/// What a guest waits on whose host runs inline: the endpoint's own I/O, or the loss of the channel.
final class InlineWaiter: DoorbellListener {
  private let endpoint: InlineEndpoint
  private let set: Epoll
  private let wake: EventFD

  private init(_ endpoint: InlineEndpoint) throws(Errno) {
    self.endpoint = endpoint
    set = try Epoll(capacity: 2)
    wake = try EventFD()
    try set.add(endpoint.readinessDescriptor, token: 0)
    try set.add(wake.descriptor, token: 1)
  }

  static func wiring(_ endpoint: InlineEndpoint) throws(Errno) -> GuestWiring {
    let waiter = try InlineWaiter(endpoint)
    return GuestWiring(
      doorbell: InlineDoorbell(endpoint), waitDescriptor: waiter.set.descriptor, listener: waiter, wake: waiter.wake)
  }

  func acknowledge() {
    endpoint.run()
  }

  func poll() {
    endpoint.run()
  }
}

/// The host's side of a guest in this process; it belongs to the guest's control thread.
final class EmbeddedAttachment: MailboxAttachment {
  let mailbox: Mailbox<GuestCommand>
  var ending: String?
  private let wirings: InlineWirings
  private let receiver: any BusReceiver

  init(mailbox: Mailbox<GuestCommand>, wirings: InlineWirings, receiver: any BusReceiver) {
    self.mailbox = mailbox
    self.wirings = wirings
    self.receiver = receiver
  }

  func send(_ message: [UInt8], vp: UInt32) {
    receiver.received(message)
  }

  func discardQueue() {}

  func makeEnd(
    _ opening: ChannelOpening, rings: MappedRings, memory: GuestMemory, session: any HostDeviceSession
  ) throws(ChannelError) -> any ChannelEnd {
    let channel = try Channel(
      relid: opening.relid, outgoing: rings.outgoing, incoming: rings.incoming, acceptedTypes: .fromGuest,
      doorbell: SilentDoorbell(), waitDescriptor: -1)
    // The guest looks by itself whenever the host might have done something: no signals in either direction are missed.
    let endpoint = InlineEndpoint(try session.openEndpoint(on: channel, index: opening.subChannelIndex))
    mailbox.post(.opened(opening.key))
    return InlineEnd(opening, endpoint: endpoint, rings: rings, wirings: wirings, mailbox: mailbox)
  }
}

/// The host's end of a channel that the guest's thread runs.
final class InlineEnd: ChannelEnd {
  private let opening: ChannelOpening
  private let endpoint: InlineEndpoint
  private let rings: MappedRings
  private let wirings: InlineWirings
  private let mailbox: Mailbox<GuestCommand>

  init(
    _ opening: ChannelOpening, endpoint: InlineEndpoint, rings: MappedRings, wirings: InlineWirings,
    mailbox: Mailbox<GuestCommand>
  ) {
    self.opening = opening
    self.endpoint = endpoint
    self.rings = rings
    self.wirings = wirings
    self.mailbox = mailbox
  }

  var kick: EventFD? { nil }

  func announce() {
    wirings.put(endpoint, relid: opening.relid)
  }

  func close() {
    _ = wirings.take(relid: opening.relid)
    endpoint.close()
    mailbox.post(.ended(opening.key, nil))
  }

  func unblock() {}

  func join() {}
}
