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
    /// When it may be tried, in nanoseconds.
    fileprivate let start: UInt64

    fileprivate init(_ event: EventFD, start: UInt64) {
      self.event = event
      self.start = start
    }

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
  private let state = Mutex(State())
  /// Ends what is under way.
  private let stopEvent: EventFD
  private let newTicket: EventFD

  private static let firstDelay = 100
  static let longestDelay = 5000
  static let attemptMilliseconds = 10_000

  /// - Parameter export: what it has to be when it comes back.
  init(_ endpoint: NBDEndpoint, export: NBDExport, depth: Int) throws(Errno) {
    self.endpoint = endpoint
    self.export = export
    self.depth = depth
    stopEvent = try EventFD()
    newTicket = try EventFD()
  }

  /// Wants a connection. Its outcome is signalled by `event`.
  ///
  /// - Parameter fruitless: how many connections in a row have ended before an answer came: the more, the later it is tried.
  func request(_ event: EventFD, fruitless: Int) -> Ticket {
    let delay = fruitless == 0 ? 0 : min(Self.longestDelay, Self.firstDelay << min(fruitless - 1, 6))
    let ticket = Ticket(event, start: monotonicNanoseconds() + UInt64(delay) * 1_000_000)
    state.withLock { state in
      state.tickets.append(ticket)
      if state.thread == nil, !state.isStopping {
        // Without a thread the ticket waits, and its queue gives up in the end.
        state.thread = try? WorkerThread(name: "nbd-connect") { [self] in run() }
      }
    }
    newTicket.signal()
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
      let start = state.withLock { state in
        state.tickets.removeAll { !$0.isWanted }
        return state.isStopping ? 0 : state.tickets.map(\.start).min() ?? .max
      }
      let now = monotonicNanoseconds()
      if start <= now {
        return state.withLock { state in
          guard !state.isStopping, let index = state.tickets.firstIndex(where: { $0.start <= now }) else { return nil }
          return state.tickets.remove(at: index)
        }
      }
      _ = waitForInput(
        [stopEvent.descriptor, newTicket.descriptor], milliseconds: Self.milliseconds(until: start, now))
      newTicket.drain()
    }
  }

  private static func milliseconds(until time: UInt64, _ now: UInt64) -> Int32 {
    Int32(min(60_000, (time - now) / 1_000_000 + 1))
  }
}
