import VMBusProtocol
import WireBytes

/// The messages of one service over one open channel, without I/O: agrees on versions, numbers the requests, and matches the
/// answers. Nothing that a guest sends makes it do more than count.
struct ServiceExchange<State: ServiceState>: Sendable {
  enum Phase: Equatable, Sendable {
    case negotiating
    case ready(framework: ICVersion, version: ICVersion)
    /// The guest has no version in common with the host.
    case refused
  }

  private struct Outstanding: Sendable {
    var transactionID: UInt8
    /// Nil while versions are negotiated: a guest may take a minute or more for that.
    var deadline: UInt64?
  }

  private let profile: ServiceProfile
  private(set) var phase = Phase.negotiating
  private var outstanding: Outstanding?
  private var lastTransactionID: UInt8 = 0
  private var hasStarted = false
  /// Messages that answer nothing: late ones, and those that nobody asked for.
  private(set) var strayCount: UInt64 = 0
  /// Messages that are none, and bodies that do not hold what they must.
  private(set) var malformedCount: UInt64 = 0

  init(_ profile: ServiceProfile) {
    self.profile = profile
  }

  /// When `poll` is to be asked next even if nothing happens; nil: never.
  func wakeTime(_ state: State) -> UInt64? {
    if let outstanding { return outstanding.deadline }
    if case .ready = phase { return state.wakeTime }
    return nil
  }

  /// The next message to be sent.
  mutating func poll(_ state: inout State, now: UInt64) -> [UInt8]? {
    if !hasStarted {
      hasStarted = true
      return negotiation()
    }
    if let deadline = outstanding?.deadline, now >= deadline {
      outstanding = nil
      state.failed(.timedOut, now: now)
    }
    guard case .ready(let framework, let version) = phase, outstanding == nil,
      let request = state.nextRequest(now: now)
    else { return nil }
    let id = nextID()
    if request.wantsAnswer { outstanding = Outstanding(transactionID: id, deadline: now &+ request.patience) }
    return request.payload(
      ICHeader(
        framework: framework, type: profile.messageType, messageVersion: version, bodyByteCount: 0,
        transactionID: id, flags: request.wantsAnswer ? [.transaction, .request] : .request))
  }

  private mutating func negotiation() -> [UInt8] {
    let id = nextID()
    outstanding = Outstanding(transactionID: id)
    return ICNegotiate(frameworks: ServiceProfile.frameworks, messages: profile.versions).request(transactionID: id)
  }

  private mutating func nextID() -> UInt8 {
    lastTransactionID &+= 1
    return lastTransactionID
  }

  /// Takes a ring payload of the guest.
  mutating func receive(_ payload: RawSpan, _ state: inout State, now: UInt64) {
    let header: ICHeader
    do throws(ICError) { header = try ICHeader(parsing: payload) } catch {
      malformedCount &+= 1
      return
    }
    let expected = phase == .negotiating ? ICMessageType.negotiate : profile.messageType
    // The ring's own transaction id is no help: guests differ in what they put there.
    guard header.flags.contains(.response), let outstanding, header.transactionID == outstanding.transactionID,
      header.type == expected
    else {
      strayCount &+= 1
      return
    }
    self.outstanding = nil
    if header.type == .negotiate { return agree(header, payload, &state, now: now) }
    do throws(ICError) { try state.answered(header, payload, now: now) } catch {
      malformedCount &+= 1
      state.failed(.malformed("\(error)"), now: now)
    }
  }

  private mutating func agree(_ header: ICHeader, _ payload: RawSpan, _ state: inout State, now: UInt64) {
    guard let answer = try? ICNegotiate(parsing: payload, header: header) else {
      malformedCount &+= 1
      return refuse(&state)
    }
    guard header.status == .success, answer.frameworks.count == 1, answer.messages.count == 1,
      let framework = answer.frameworks.first, ServiceProfile.frameworks.contains(framework),
      let version = answer.messages.first, profile.versions.contains(version)
    else { return refuse(&state) }
    phase = .ready(framework: framework, version: version)
    state.agreed(on: version, now: now)
  }

  private mutating func refuse(_ state: inout State) {
    phase = .refused
    state.ended(.noCommonVersion)
  }
}
