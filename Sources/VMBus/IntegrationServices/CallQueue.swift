import LinuxIO

/// Calls of other threads that wait to be sent to the guest one after the other, and what came of them.
struct CallQueue<Call: Sendable, Answer: Sendable>: Sendable {
  /// Names a call.
  struct Ticket: Hashable, Sendable {
    let number: UInt64
  }

  private var nextNumber: UInt64 = 1
  private var waiting: [(ticket: Ticket, call: Call)] = []
  private var current: Ticket?
  private var results: [Ticket: Result<Answer, ServiceError>] = [:]
  /// Those whose callers went away.
  private var abandoned: Set<Ticket> = []

  /// The most calls that wait.
  static var capacity: Int { 64 }

  /// Puts a call at the end; nil when too many wait.
  mutating func add(_ call: Call) -> Ticket? {
    guard waiting.count < Self.capacity else { return nil }
    let ticket = Ticket(number: nextNumber)
    nextNumber += 1
    waiting.append((ticket, call))
    return ticket
  }

  /// The first call that waits becomes the current one.
  mutating func next() -> Call? {
    guard !waiting.isEmpty else { return nil }
    let (ticket, call) = waiting.removeFirst()
    current = ticket
    return call
  }

  /// The current call has ended.
  mutating func finish(_ result: Result<Answer, ServiceError>) {
    guard let ticket = current else { return }
    current = nil
    store(result, ticket)
  }

  /// Ends all calls.
  mutating func failAll(_ error: ServiceError) {
    finish(.failure(error))
    let tickets = waiting.map(\.ticket)
    waiting = []
    for ticket in tickets { store(.failure(error), ticket) }
  }

  private mutating func store(_ result: Result<Answer, ServiceError>, _ ticket: Ticket) {
    if abandoned.remove(ticket) == nil { results[ticket] = result }
  }

  /// Takes the result of a call out.
  mutating func takeResult(_ ticket: Ticket) -> Result<Answer, ServiceError>? {
    results.removeValue(forKey: ticket)
  }

  /// Nobody waits for a call any more. It is not sent if it was not yet.
  mutating func abandon(_ ticket: Ticket) {
    if let index = waiting.firstIndex(where: { $0.ticket == ticket }) {
      waiting.remove(at: index)
    } else if results.removeValue(forKey: ticket) == nil, current == ticket {
      abandoned.insert(ticket)
    }
  }
}

/// A service that is asked by callers.
protocol CalledState: ServiceState {
  associatedtype Call: Sendable
  associatedtype Answer: Sendable
  var calls: CallQueue<Call, Answer> { get set }
}

extension IntegrationService where State: CalledState {
  /// Has the guest asked, and waits for what comes of it.
  ///
  /// - Throws: `.notOpen`, `.notReady`, `.noCommonVersion` at once; later `.timedOut`, `.malformed`, `.lost`, and what the
  ///   state says of the answer.
  func call(_ call: State.Call, milliseconds: Int) throws(ServiceError) -> State.Answer {
    let (added, link) = content.withLock {
      [self] content -> (Result<CallQueue<State.Call, State.Answer>.Ticket, ServiceError>, ServiceLink?) in
      if let obstacle = obstacle(content.exchange) { return (.failure(obstacle), nil) }
      guard let ticket = content.state.calls.add(call) else { return (.failure(.busy), nil) }
      return (.success(ticket), content.link)
    }
    let ticket = try added.get()
    link?.post()
    let result = content.wait(milliseconds: milliseconds) { $0.state.calls.takeResult(ticket) }
    if let result { return try result.get() }
    content.withLock { $0.state.calls.abandon(ticket) }
    throw .timedOut
  }
}
