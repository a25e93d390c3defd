public import LinuxIO
import Synchronization
public import VMBusChannel
import VMBusProtocol

/// The host of a VMBus: offers its devices to any number of guests, each with a control thread, memory and channels of its
/// own, so that none can harm another.
///
/// Guests in other processes come through `listen`; their channels have a worker thread each. A guest in this process comes
/// through `embeddedTransport`; it runs the ends of its channels itself.
public final class VMBusServer: Sendable {
  /// What holds for all guests of a server.
  public struct Settings: Sendable {
    /// What one guest may use, and what it is offered.
    public var limits = ServerLimits()
    /// How long a worker looks for more work before it sleeps, while that pays; 0: never.
    public var spinMicroseconds = 20
    /// How often the monitor page of a guest is looked at, while a channel needs it.
    public var monitorLatencyMicroseconds = 100
    /// The most control messages that wait for a guest which does not take them.
    public var queuedMessageCount = 4096
    /// How long a guest may take none.
    public var stallMilliseconds = 10_000
    /// The largest piece of memory that a guest may bring, in bytes; nothing is allocated for it.
    public var guestMemoryByteCount = 1 << 40
    /// The most guests at a time.
    public var guestCount = 64
    /// Told what happens, on threads of the server; it must not wait.
    public var onEvent: @Sendable (ServerEvent) -> Void = { _ in }

    /// The default settings.
    public init() {}
  }

  private struct Guest {
    let mailbox: Mailbox<GuestCommand>
    var thread: WorkerThread?
    var hasEnded = false
  }

  private struct Listener {
    let socket: SharedSocket
    let path: String
    let thread: WorkerThread
  }

  private struct State {
    var nextNumber: UInt64 = 1
    var devices: [(key: DeviceKey, device: any HostDevice)] = []
    var guests: [UInt64: Guest] = [:]
    var listeners: [Listener] = []
    var isStopped = false
  }

  /// What holds for all guests.
  public let settings: Settings
  private let state = Mutex(State())

  /// A server without devices.
  public init(_ settings: Settings = Settings()) {
    self.settings = settings
  }

  // MARK: Devices

  /// Offers `device` to all guests, present and future, until it is removed. Devices of one class are offered in the order
  /// in which they were added.
  @discardableResult
  public func add(_ device: any HostDevice) -> DeviceKey {
    state.withLock { state in
      let key = DeviceKey(number: state.nextNumber)
      state.nextNumber += 1
      state.devices.append((key, device))
      for guest in state.guests.values { guest.mailbox.post(.add(key, device)) }
      return key
    }
  }

  /// Takes a device back from all guests. Returns at once; sessions end as soon as their outstanding I/O has.
  public func remove(_ key: DeviceKey) {
    state.withLock { state in
      state.devices.removeAll { $0.key == key }
      for guest in state.guests.values { guest.mailbox.post(.remove(key)) }
    }
  }

  // MARK: Guests

  /// How many guests are attached.
  public var guestCount: Int {
    state.withLock { $0.guests.values.count { !$0.hasEnded } }
  }

  /// The transport of guests in this process.
  public func embeddedTransport() -> any BusTransport {
    EmbeddedTransport(server: self)
  }

  /// Accepts guests at a Unix socket until `stop`.
  ///
  /// - Parameter mode: permissions of the socket file, which is removed by `stop`.
  /// - Throws: EADDRINUSE when `path` exists and is not the socket of a host that is gone, EACCES, ENAMETOOLONG.
  public func listen(at path: String, mode: UInt32 = 0o600) throws(Errno) {
    // What a host left behind that was killed is replaced.
    let connect = { () throws(Errno) in _ = try PacketSocket.connect(to: path) }
    let socket = SharedSocket(
      try replacingAbandonedSocket(at: path, connect: connect) { () throws(Errno) in
        try PacketSocket.listen(at: path, mode: mode)
      })
    let thread = try WorkerThread(name: "vmbus-listen") { [self] in accept(socket, path: path) }
    let isStopped = state.withLock { state in
      if !state.isStopped { state.listeners.append(Listener(socket: socket, path: path, thread: thread)) }
      return state.isStopped
    }
    if isStopped {
      socket.shutdown()
      thread.join()
    }
  }

  /// Serves the guest behind a socket that is connected already.
  public func attach(_ socket: consuming PacketSocket) throws(Errno) {
    let mailbox = try Mailbox<GuestCommand>()
    let socket = SharedSocket(socket)
    _ = try startGuest(mailbox: mailbox, name: "vmbus-guest") { guestID, settings in
      guard let own = socket.take() else { return }
      let attachment = SocketAttachment(own, guestID: guestID, settings: settings, mailbox: mailbox)
      settings.onEvent(.attached(guest: guestID, process: attachment.peerProcess))
      let reason = attachment.serve()
      settings.onEvent(.detached(guest: guestID, reason: reason))
    }
  }

  /// Ends all guests and listeners, and waits until everything of them is released.
  public func stop() {
    let (listeners, mailboxes) = state.withLock { state in
      state.isStopped = true
      let listeners = state.listeners
      state.listeners = []
      return (listeners, state.guests.values.map(\.mailbox))
    }
    for listener in listeners {
      listener.socket.shutdown()
      listener.thread.join()
      try? removeFile(listener.path)
    }
    for mailbox in mailboxes { mailbox.post(.stop(reason: "the host stops")) }
    let threads = state.withLock { state in
      let threads = state.guests.values.compactMap(\.thread)
      state.guests = [:]
      return threads
    }
    for thread in threads { thread.join() }
  }

  /// Starts the control thread of a guest; false when no more guests are taken.
  func startGuest(
    mailbox: Mailbox<GuestCommand>, name: String, body: @escaping @Sendable (UInt64, Settings) -> Void
  ) throws(Errno) -> Bool {
    joinEndedGuests()
    let guestID: UInt64? = state.withLock { state in
      guard !state.isStopped, state.guests.count < settings.guestCount else { return nil }
      let guestID = state.nextNumber
      state.nextNumber += 1
      for (key, device) in state.devices { mailbox.post(.add(key, device)) }
      state.guests[guestID] = Guest(mailbox: mailbox)
      return guestID
    }
    guard let guestID else { return false }
    do throws(Errno) {
      let thread = try WorkerThread(name: name) { [self, settings] in
        body(guestID, settings)
        state.withLock { $0.guests[guestID]?.hasEnded = true }
      }
      let isLate = state.withLock { state in
        // A server that was stopped meanwhile has forgotten the guest, but told it to stop.
        if state.guests[guestID] == nil { return true }
        state.guests[guestID]?.thread = thread
        return false
      }
      if isLate { thread.join() }
      return true
    } catch {
      state.withLock { $0.guests[guestID] = nil }
      throw error
    }
  }

  private func joinEndedGuests() {
    let ended = state.withLock { state in
      let ended = state.guests.filter { $0.value.hasEnded && $0.value.thread != nil }
      for id in ended.keys { state.guests[id] = nil }
      return ended.values.compactMap(\.thread)
    }
    for thread in ended { thread.join() }
  }

  private func accept(_ socket: SharedSocket, path: String) {
    while true {
      do throws(Errno) {
        guard let guest = try socket.accept() else { return }
        try attach(guest)
      } catch {
        if state.withLock({ $0.isStopped }) { return }
        // EMFILE, ENFILE, ENOMEM pass when other guests leave; the pause keeps the thread from spinning meanwhile.
        let isTransient = [23, 24, 12, 103].contains(error.rawValue)
        if !isTransient {
          settings.onEvent(.listeningEnded(path: path, reason: "\(error)"))
          return
        }
        sleepThread(nanoseconds: 100_000_000)
      }
    }
  }
}

/// A socket that several threads hold: one waits on it, another shuts it down.
final class SharedSocket: Sendable {
  private let socket: Mutex<PacketSocket?>
  private let descriptor: Int32

  init(_ socket: consuming PacketSocket) {
    descriptor = socket.descriptor
    self.socket = Mutex(socket)
  }

  /// The next connection, waiting for it; nil after `shutdown`.
  func accept() throws(Errno) -> PacketSocket? {
    while true {
      _ = waitForInput([descriptor], milliseconds: -1)
      let result = socket.withLock { socket in
        Result { () throws(Errno) -> PacketSocket? in try socket?.accept() }
      }
      return try result.get()
    }
  }

  /// Takes the socket out.
  func take() -> PacketSocket? {
    socket.withLock { $0.take() }
  }

  /// Makes waiting and later `accept`s fail.
  func shutdown() {
    socket.withLock { $0?.shutdown() }
  }
}
