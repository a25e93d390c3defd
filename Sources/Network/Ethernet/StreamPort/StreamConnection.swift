import LinuxIO
import Synchronization

/// The connection behind a `StreamPort`: made and watched by a thread of its own, used by the queue.
final class StreamConnection: Sendable {
  private struct State: Sendable {
    var socket: StreamSocket?
    var reason: String?
    var disconnectCount = 0
    var hasQueue = false
    var observer: (@Sendable () -> Void)?
  }

  let counters = StreamCounters()
  let options: StreamPortOptions
  /// Readable when the queue has to look at `generation`.
  let queueEvent: EventFD
  private let path: String?
  private let wakeEvent: EventFD
  private let state: Mutex<State>
  private let generationWord = Atomic<UInt64>(1)
  private let ended = Atomic<Bool>(false)

  init(path: String?, socket: StreamSocket?, _ options: StreamPortOptions) throws(Errno) {
    self.path = path
    self.options = options
    queueEvent = try EventFD()
    wakeEvent = try EventFD()
    state = Mutex(State(socket: socket))
    connect()
  }

  // MARK: Any thread

  /// Rises with each change of the socket, and at the end.
  var generation: UInt64 { generationWord.load(ordering: .acquiring) }

  var hasEnded: Bool { ended.load(ordering: .acquiring) }

  var socket: StreamSocket? { state.withLock { $0.socket } }

  var reason: String? { state.withLock { $0.reason } }

  var disconnectCount: Int { state.withLock { $0.disconnectCount } }

  var info: EthernetPortInfo {
    EthernetPortInfo(mtu: options.mtu, hasCarrier: state.withLock { $0.socket != nil })
  }

  func observe(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.observer = body }
  }

  func claimQueue() throws(EthernetError) {
    if hasEnded { throw .lost }
    let isFree = state.withLock { state in
      defer { state.hasQueue = true }
      return !state.hasQueue
    }
    if !isFree { throw .busy }
  }

  func releaseQueue() {
    state.withLock { $0.hasQueue = false }
  }

  /// Gives `socket` up, unless that has happened already.
  func drop(_ socket: StreamSocket, because reason: String) {
    let observer = state.withLock { state -> (@Sendable () -> Void)?? in
      guard state.socket === socket else { return nil }
      state.socket = nil
      state.reason = reason
      state.disconnectCount += 1
      return .some(state.observer)
    }
    guard let observer else { return }
    socket.shutdown()
    if path == nil { ended.store(true, ordering: .releasing) }
    announce(observer)
  }

  func end() {
    ended.store(true, ordering: .releasing)
    if let socket { drop(socket, because: "the port was ended") }
    announce(nil)
  }

  /// Tells the queue, the thread and the observer.
  private func announce(_ observer: (@Sendable () -> Void)?) {
    generationWord.add(1, ordering: .releasing)
    queueEvent.signal()
    wakeEvent.signal()
    observer?()
  }

  // MARK: The thread

  /// Connects whenever there is no connection, until the port ends.
  func run() {
    var events = PollSet(capacity: 2)
    var watched: StreamSocket?
    while !hasEnded {
      let socket = socket
      events.removeAll()
      events.append(wakeEvent.descriptor)
      guard let socket else {
        watched = nil
        // Also after a peer that spoke nonsense: it is not asked more often than once in this time.
        let deadline = monotonicNanoseconds() + UInt64(options.reconnectMilliseconds) * 1_000_000
        while !hasEnded, monotonicNanoseconds() < deadline {
          let left = (deadline - min(deadline, monotonicNanoseconds())) / 1_000_000 + 1
          if events.wait(milliseconds: Int32(clamping: left)) > 0 { wakeEvent.drain() }
        }
        if !hasEnded { connect() }
        continue
      }
      if watched !== socket {
        events.append(socket.descriptor, onlyHangUp: true)
        _ = events.wait(milliseconds: -1)
        wakeEvent.drain()
        guard events.isReady(1) else { continue }
        // A queue drops the socket itself, once it has read what is left.
        if !state.withLock({ $0.hasQueue }) { drop(socket, because: StreamConnection.closed) }
        watched = socket
      } else {
        _ = events.wait(milliseconds: 1000)
        wakeEvent.drain()
        drop(socket, because: StreamConnection.closed)
      }
    }
  }

  static let closed = "the peer closed the connection"

  private func connect() {
    guard let path, socket == nil else { return }
    do throws(Errno) {
      let socket = try StreamSocket.connect(to: path)
      let observer = state.withLock { state in
        state.socket = socket
        state.reason = nil
        return state.observer
      }
      announce(observer)
      // `end` may have come between.
      if hasEnded { drop(socket, because: "the port was ended") }
    } catch {
      state.withLock { $0.reason = "\(path): \(error)" }
    }
  }
}
