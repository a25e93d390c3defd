import LinuxIO
import NBDConnection
import Synchronization

/// Connects with a server again and again until it is back, for all queues of an image, on a thread of its own: names are
/// resolved and greetings exchanged there, so that no worker waits.
final class NBDReconnector: Sendable {
  /// What a queue that has lost its connection holds.
  final class Ticket: Sendable {
    /// Readable when there is an outcome.
    let event: EventFD
    private let isDone = Atomic<Bool>(false)
    private let isAbandoned = Atomic<Bool>(false)
    private let connection = Mutex<NBDConnection?>(nil)
    private let change = Mutex<String?>(nil)

    fileprivate init(_ event: EventFD) { self.event = event }

    /// What came of it.
    enum Outcome: ~Copyable {
      case waiting
      case connected(NBDConnection)
      /// The export is another one now, and how.
      case changed(String)
    }

    /// Looks; a connection is handed out once.
    func take() -> Outcome {
      guard isDone.load(ordering: .acquiring) else { return .waiting }
      if let change = change.withLock({ $0 }) { return .changed(change) }
      let taken = connection.withLock { $0.take() }
      if let taken { return .connected(taken) }
      return .waiting
    }

    /// Nobody wants the connection any more.
    func abandon() {
      isAbandoned.store(true, ordering: .releasing)
      connection.withLock { $0 = nil }
    }

    fileprivate var isWanted: Bool { !isAbandoned.load(ordering: .acquiring) }

    fileprivate func give(_ made: consuming NBDConnection) {
      var made: NBDConnection? = consume made
      connection.withLock { if isWanted { swap(&$0, &made) } }
      finish()
    }

    fileprivate func refuse(_ text: String) {
      change.withLock { $0 = text }
      finish()
    }

    private func finish() {
      isDone.store(true, ordering: .releasing)
      event.signal()
    }
  }

  private struct State {
    var tickets: [Ticket] = []
    var isStopping = false
    var thread: WorkerThread?
  }

  private let endpoint: NBDEndpoint
  private let export: NBDExport
  private let depth: Int
  private let state = Monitor(State())
  /// Ends what is under way.
  private let stopEvent: EventFD

  private static let firstDelay = 100
  private static let longestDelay = 5000
  static let attemptMilliseconds = 10_000

  /// - Parameter export: what it has to be when it comes back.
  init(_ endpoint: NBDEndpoint, export: NBDExport, depth: Int) throws(Errno) {
    self.endpoint = endpoint
    self.export = export
    self.depth = depth
    stopEvent = try EventFD()
  }

  /// Wants a connection. Its outcome is signalled by `event`.
  func request(_ event: EventFD) -> Ticket {
    let ticket = Ticket(event)
    state.withLock { state in
      state.tickets.append(ticket)
      if state.thread == nil, !state.isStopping {
        // Without a thread the ticket waits, and its queue gives up in the end.
        state.thread = try? WorkerThread(name: "nbd-connect") { [self] in run() }
      }
    }
    return ticket
  }

  /// Ends the thread; waits for it. Nothing may be requested afterwards.
  func stop() {
    let thread = state.withLock { state in
      defer { state.thread = nil }
      state.isStopping = true
      return state.thread
    }
    stopEvent.signal()
    thread?.join()
  }

  private func run() {
    var delay = Self.firstDelay
    while let ticket = next() {
      do throws(NBDError) {
        let made = try NBDConnection(
          to: endpoint, depth: depth, milliseconds: Self.attemptMilliseconds, cancel: stopEvent.descriptor)
        if let change = export.change(to: made.export) { ticket.refuse(change) } else { ticket.give(made) }
        delay = Self.firstDelay
      } catch {
        state.withLock { $0.tickets.append(ticket) }
        _ = waitForInput([stopEvent.descriptor], milliseconds: Int32(delay))
        delay = min(2 * delay, Self.longestDelay)
      }
    }
  }

  /// The next ticket that somebody wants; nil when the thread is to end.
  private func next() -> Ticket? {
    while true {
      let found: Ticket?? = state.wait(milliseconds: 60_000) { state in
        if state.isStopping { return .some(nil) }
        state.tickets.removeAll { !$0.isWanted }
        return state.tickets.isEmpty ? nil : .some(state.tickets.removeFirst())
      }
      if let found { return found }
    }
  }
}
