import LinuxIO
import SharedMemory
import VMBusChannel
import VMBusProtocol

/// How a guest is attached: what carries its messages, and who runs the ends of its channels.
protocol GuestAttachment: AnyObject {
  /// Sends a control message to a virtual processor of the guest; never waits.
  func send(_ message: [UInt8], vp: UInt32)
  /// Throws away messages that wait to be sent.
  func discardQueue()
  /// Makes the host's end of a channel. `.opened` or `.ended` is posted to the guest's mailbox, at once or later.
  func makeEnd(
    _ opening: ChannelOpening, rings: MappedRings, memory: GuestMemory, session: any HostDeviceSession
  ) throws(ChannelError) -> any ChannelEnd
  /// The guest rings through its monitor page from now on, or (nil) no more. Answers whether the attachment tells `monitor`
  /// to look whenever the guest has written; else the monitor looks by itself at the latency.
  func watch(_ monitor: MonitorWatch?) -> Bool
}

extension GuestAttachment {
  func watch(_ monitor: MonitorWatch?) -> Bool { false }
}

/// The host's end of a channel, as the control thread sees it.
protocol ChannelEnd: AnyObject {
  /// Gives the guest what it needs to ring; right before the open is answered.
  func announce()
  /// Asks the end to close; `.ended` is posted when it has.
  func close()
  /// From now on the guest wants its signals at another virtual processor; without effect where signals reach a process.
  func retarget(vp: UInt32)
  /// Called from time to time while a close lasts.
  func unblock()
  /// After `.ended`.
  func join()
  /// Signalled for a guest that rings through the monitor page; nil where there is no thread to be woken.
  var kick: EventFD? { get }
}

extension ChannelEnd {
  func retarget(vp: UInt32) {}
}

/// The control plane of one guest; it belongs to the guest's control thread.
final class GuestControl {
  private struct End {
    let opening: ChannelOpening
    let end: any ChannelEnd
    let session: OpenSession
  }

  /// A device towards this guest. It ends when all its channels have.
  private final class OpenSession {
    let session: any HostDeviceSession
    var openEnds: Set<ChannelKey> = []
    /// The primary channel, whose end waits to be reported until the sub-channels have ended, too.
    var endedPrimary: ChannelKey?

    init(_ session: any HostDeviceSession) {
      self.session = session
    }
  }

  let guestID: UInt64
  private let settings: VMBusServer.Settings
  private let mailbox: Mailbox<GuestCommand>
  private let memory: GuestMemory
  private let files: [(guestAddress: UInt64, file: MemoryFile)]
  private let gpadls: GPADLTable
  private let attachment: any GuestAttachment
  private var connection: ServerConnection
  private var devices: [DeviceKey: any HostDevice] = [:]
  private var sessions: [DeviceKey: OpenSession] = [:]
  private var ends: [ChannelKey: End] = [:]
  private var closing: Set<ChannelKey> = []
  private var monitor: MonitorWatch?

  init(
    guestID: UInt64, settings: VMBusServer.Settings, mailbox: Mailbox<GuestCommand>, memory: GuestMemory,
    files: [(guestAddress: UInt64, file: MemoryFile)], attachment: any GuestAttachment
  ) {
    self.guestID = guestID
    self.settings = settings
    self.mailbox = mailbox
    self.memory = memory
    self.files = files
    gpadls = GPADLTable(memory: memory, files: files) { [mailbox] key in mailbox.post(.withdrawn(key)) }
    self.attachment = attachment
    connection = ServerConnection(
      memory: memory.ranges.map { range in
        let first = range.guestAddress / UInt64(pageByteCount)
        return first..<(first + UInt64(range.region.byteCount / pageByteCount))
      }, limits: settings.limits)
  }

  /// Whether no end of any channel exists.
  var isIdle: Bool { ends.isEmpty && connection.isIdle }

  /// Whether `tick` is to be called now and then.
  var isClosing: Bool { !closing.isEmpty }

  /// Takes a control message of the guest.
  func receive(_ message: [UInt8], connectionID: UInt32) {
    perform(connection.receive(message, connectionID: connectionID))
  }

  /// Releases everything of the guest.
  func end() {
    perform(connection.end())
  }

  /// Helps ends whose close lasts.
  func tick() {
    for key in closing { ends[key]?.end.unblock() }
  }

  /// Does what another thread wants; `.message` and `.stop` are the caller's.
  func perform(_ command: GuestCommand) {
    switch command {
    case .add(let key, let device):
      devices[key] = device
      perform(
        connection.add(
          key,
          DeviceDescription(
            interfaceClass: device.interfaceClass, instance: device.instance, flags: device.offerFlags,
            userDefined: device.userDefined)))
    case .remove(let key):
      devices[key] = nil
      perform(connection.remove(key))
    case .offerSubChannels(let key, let count): perform(connection.offerSubChannels(key, count: count))
    case .withdrawn(let key): perform(connection.withdrawn(key))
    case .opened(let key):
      guard let end = ends[key] else { return }
      end.end.announce()
      let opening = end.opening
      if let id = opening.monitorID, let kick = end.end.kick { try? monitor?.add(id, kick: kick) }
      settings.onEvent(
        .opened(
          guest: guestID, relid: opening.relid, instance: devices[opening.device]?.instance ?? .zero,
          subChannelIndex: opening.subChannelIndex))
      perform(connection.openFinished(key, succeeded: true))
    case .faulted(let key, let error):
      guard let end = ends[key] else { return }
      settings.onEvent(.faulted(guest: guestID, relid: end.opening.relid, error))
    case .ended(let key, let failure): ended(key, failure)
    case .message(let bytes, let connectionID): receive(bytes, connectionID: connectionID)
    case .stop: break
    }
  }

  private func perform(_ actions: [ServerAction]) {
    for action in actions {
      switch action {
      case .send(let message): attachment.send(message, vp: connection.messageVP)
      case .discardQueue: attachment.discardQueue()
      case .open(let opening): open(opening)
      case .close(let key):
        guard let end = ends[key], closing.insert(key).inserted else { continue }
        end.end.close()
      case .retarget(let key, let vp): ends[key]?.end.retarget(vp: vp)
      case .publish(let list): gpadls.publish(list)
      case .withdraw(let key):
        if gpadls.withdraw(key) { perform(connection.withdrawn(key)) }
      case .connected(let version, let pages):
        if settings.limits.allocatesMonitors, pages != .none { startMonitor(pages) }
        settings.onEvent(.connected(guest: guestID, version))
      case .disconnected:
        if monitor != nil { _ = attachment.watch(nil) }
        monitor = nil
      case .dropped(let reason):
        let count = connection.droppedMessageCount
        if count <= 16 || count & (count - 1) == 0 {
          settings.onEvent(.dropped(guest: guestID, reason: reason, count: count))
        }
      }
    }
  }

  private func startMonitor(_ pages: MonitorPageAddresses) {
    monitor = MonitorWatch(
      memory: memory, guestAddress: pages.childToParent, latencyMicroseconds: settings.monitorLatencyMicroseconds)
    guard let monitor else { return }
    monitor.isTold = attachment.watch(monitor)
  }

  private func open(_ opening: ChannelOpening) {
    do throws(ChannelError) {
      let session = try session(for: opening)
      let rings = try map(opening.rings)
      let end = try attachment.makeEnd(opening, rings: rings, memory: memory, session: session.session)
      session.openEnds.insert(opening.key)
      ends[opening.key] = End(opening: opening, end: end, session: session)
    } catch {
      if opening.subChannelIndex == 0, let session = sessions[opening.device], session.openEnds.isEmpty {
        sessions[opening.device] = nil
        session.session.end()
      }
      settings.onEvent(.openFailed(guest: guestID, relid: opening.relid, error))
      perform(connection.openFinished(opening.key, succeeded: false))
    }
  }

  private func session(for opening: ChannelOpening) throws(ChannelError) -> OpenSession {
    if opening.subChannelIndex > 0 {
      guard let session = sessions[opening.device] else { throw .lost }
      return session
    }
    guard let device = devices[opening.device], sessions[opening.device] == nil else { throw .lost }
    let context = GuestContext(
      guestID: guestID, memory: memory,
      offerSubChannels: { [mailbox, device = opening.device] count in
        mailbox.post(.offerSubChannels(device, count: count))
      },
      mapGPADL: { [gpadls, device = opening.device] gpadl throws(ChannelError) in
        try gpadls.map(gpadl, of: device)
      })
    let session = OpenSession(try device.makeSession(for: context))
    sessions[opening.device] = session
    return session
  }

  private func ended(_ key: ChannelKey, _ failure: ChannelError?) {
    guard let end = ends.removeValue(forKey: key) else { return }
    closing.remove(key)
    end.end.join()
    if let id = end.opening.monitorID { monitor?.remove(id) }
    let session = end.session
    session.openEnds.remove(key)
    if let failure {
      settings.onEvent(.openFailed(guest: guestID, relid: end.opening.relid, failure))
    } else {
      settings.onEvent(.closed(guest: guestID, relid: end.opening.relid))
    }
    if end.opening.subChannelIndex == 0 {
      session.endedPrimary = key
    } else {
      report(key, failure)
    }
    if session.openEnds.isEmpty, let primary = session.endedPrimary {
      if sessions[end.opening.device] === session { sessions[end.opening.device] = nil }
      session.session.end()
      report(primary, primary == key ? failure : nil)
    }
  }

  private func report(_ key: ChannelKey, _ failure: ChannelError?) {
    perform(failure == nil ? connection.closeFinished(key) : connection.openFinished(key, succeeded: false))
  }

  // MARK: Memory

  private func map(_ rings: RingPairPages) throws(ChannelError) -> MappedRings {
    if let incoming = memory.contiguous(rings.upstream), let outgoing = memory.contiguous(rings.downstream) {
      return MappedRings(incoming: incoming, outgoing: outgoing, owner: memory)
    }
    let (slice, owner) = try memory.map(rings.upstream + rings.downstream, files: files, what: "the rings")
    let boundary = rings.upstream.count * pageByteCount
    return MappedRings(
      incoming: slice.slice(at: 0, count: boundary), outgoing: slice.dropFirst(boundary), owner: owner)
  }
}
