import LinuxIO
import Synchronization
import WireBytes

/// A Unix stream socket on which a running host takes commands: one a line, each answered by one line that starts with `ok`
/// or `error`. Only the user of the host may connect (mode 0600).
///
/// Each client has a thread of its own, so that one that is slow or broken keeps nobody waiting. A client may send the next
/// command before it has the answer to the last. With too many clients one has to go that waits for nothing: one that
/// has gone itself, else the one that has been idle longest.
public final class HostControl: Sendable {
  /// The longest command, in bytes without the line end.
  public static let maximumCommandByteCount = 8192
  /// The longest answer, in bytes without the line end.
  public static let maximumAnswerByteCount = 65536
  /// The most clients at a time.
  static let maximumClientCount = 32

  private struct Client {
    let socket: StreamSocket
    var thread: WorkerThread?
    var lastUse: UInt64
    var isBusy = false
    /// Its socket was shut down to make room; its thread will find that.
    var isSentAway = false
    /// Its thread does nothing more.
    var hasEnded = false
  }

  private struct State {
    var clients: [UInt64: Client] = [:]
    var nextNumber: UInt64 = 1
    var isClosed = false
  }

  private let path: String
  private let listener: StreamListener
  private let state = Mutex(State())
  private let accepting = Mutex<WorkerThread?>(nil)
  private let stopping: EventFD
  private let perform: @Sendable (String) -> String

  /// Takes commands for `host`, which is not kept alive.
  ///
  /// - Throws: EADDRINUSE when `path` exists and is not the socket of a process that is gone, EACCES, ENAMETOOLONG, ENOENT.
  convenience init(_ host: SyntheticHost, path: String) throws(Errno) {
    try self.init(path: path) { [weak host] line in
      host?.perform(command: line) ?? SyntheticHost.failure("the host has ended")
    }
  }

  /// Takes commands for `perform`, which is called on many threads.
  init(path: String, perform: @escaping @Sendable (String) -> String) throws(Errno) {
    self.path = path
    self.perform = perform
    stopping = try EventFD()
    listener = try StreamListener(at: path)
    do throws(Errno) {
      let thread = try WorkerThread(name: "host-control") { [self] in accept() }
      accepting.withLock { $0 = thread }
    } catch {
      try? removeFile(path)
      throw error
    }
  }

  /// Takes no more commands, and removes the socket. Commands that are running go on.
  func close() {
    let wasClosed = state.withLock { state in
      let wasClosed = state.isClosed
      state.isClosed = true
      return wasClosed
    }
    if wasClosed { return }
    stopping.signal()
    accepting.withLock { $0.take() }?.join()
    try? removeFile(path)
    for socket in state.withLock({ $0.clients.values.map(\.socket) }) { socket.shutdown() }
  }

  /// Waits until the last command has ended. After `close`.
  func join() {
    let threads = state.withLock { state in
      let threads = state.clients.values.compactMap(\.thread)
      state.clients = [:]
      return threads
    }
    for thread in threads { thread.join() }
  }

  private func accept() {
    while true {
      _ = waitForInput([listener.descriptor, stopping.descriptor], milliseconds: -1)
      if state.withLock({ $0.isClosed }) { return }
      do throws(Errno) {
        if let socket = try listener.accept() { try start(socket) }
      } catch {
        // Descriptors or memory are short; clients come again.
        if waitForInput([stopping.descriptor], milliseconds: 100) != 0 { return }
      }
    }
  }

  private func start(_ socket: StreamSocket) throws(Errno) {
    joinEnded()
    guard let number = admit(socket) else { return socket.shutdown() }
    do throws(Errno) {
      let thread = try WorkerThread(name: "host-client") { [self] in
        ControlConnection(socket, stopping: stopping).serve { line in
          setBusy(number, true)
          defer { setBusy(number, false) }
          return perform(line)
        }
        socket.shutdown()
        state.withLock { $0.clients[number]?.hasEnded = true }
      }
      state.withLock { $0.clients[number]?.thread = thread }
    } catch {
      state.withLock { $0.clients[number] = nil }
      throw error
    }
  }

  /// Makes room for a client; nil when all the others wait for an answer.
  private func admit(_ socket: StreamSocket) -> UInt64? {
    state.withLock { state in
      let living = state.clients.filter { !$0.value.isSentAway && !$0.value.hasEnded }
      if living.count >= Self.maximumClientCount {
        guard let number = Self.dispensable(living) else { return nil }
        state.clients[number]?.socket.shutdown()
        state.clients[number]?.isSentAway = true
      }
      let number = state.nextNumber
      state.nextNumber += 1
      state.clients[number] = Client(socket: socket, lastUse: monotonicNanoseconds())
      return number
    }
  }

  /// The client that can go: one that has ended its connection, else the one that has been idle longest. A command that
  /// waits in a socket is not idle.
  private static func dispensable(_ clients: [UInt64: Client]) -> UInt64? {
    let candidates = clients.compactMap { number, client -> (rank: Int, lastUse: UInt64, number: UInt64)? in
      if client.isBusy { return nil }
      switch client.socket.pending {
      case .end: return (0, client.lastUse, number)
      case .nothing: return (1, client.lastUse, number)
      case .bytes: return nil
      }
    }
    return candidates.min { ($0.rank, $0.lastUse) < ($1.rank, $1.lastUse) }?.number
  }

  private func setBusy(_ number: UInt64, _ isBusy: Bool) {
    state.withLock { state in
      state.clients[number]?.isBusy = isBusy
      state.clients[number]?.lastUse = monotonicNanoseconds()
    }
  }

  private func joinEnded() {
    let threads = state.withLock { state in
      let ended = state.clients.filter { $0.value.hasEnded && $0.value.thread != nil }
      for number in ended.keys { state.clients[number] = nil }
      return ended.values.compactMap(\.thread)
    }
    for thread in threads { thread.join() }
  }
}
