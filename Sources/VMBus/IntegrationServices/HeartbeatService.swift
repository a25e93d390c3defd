import LinuxIO
public import VMBusProtocol

/// Asks the guest every two seconds whether it is alive.
public typealias HeartbeatService = IntegrationService<HeartbeatState>

/// What is known of the guest's heartbeat.
public struct HeartbeatState: ServiceState {
  /// What the service is.
  public let profile = ServiceProfile(
    name: "heartbeat", interfaceClass: .heartbeat, instance: .heartbeatInstance, messageType: .heartbeat,
    versions: [ICVersion(1, 0), ICVersion(3, 0)])

  private let interval: UInt64
  private let patience: UInt64
  private var sequence: UInt64 = 0
  private(set) var lastAnswer: UInt64?
  private(set) var applicationState = ICHeartbeat.ApplicationState.unknown
  private(set) var answerCount: UInt64 = 0
  private(set) var missedCount: UInt64 = 0
  /// When the next one is due.
  public private(set) var wakeTime: UInt64?

  /// - Parameters:
  ///   - interval: between two heartbeats, in nanoseconds.
  ///   - patience: after which an answer counts as missed and the next heartbeat is sent.
  init(interval: UInt64 = 2_000_000_000, patience: UInt64 = 30_000_000_000) {
    self.interval = interval
    self.patience = patience
  }

  /// Takes note of the version.
  public mutating func agreed(on version: ICVersion, now: UInt64) {
    wakeTime = now
    lastAnswer = nil
    applicationState = .unknown
  }

  /// What is to be sent now.
  public mutating func nextRequest(now: UInt64) -> ServiceRequest? {
    guard let due = wakeTime, now >= due else { return nil }
    wakeTime = now &+ interval
    // Linux answers with the next number, so that numbers are two apart.
    sequence &+= 2
    let beat = ICHeartbeat(sequence: sequence)
    return ServiceRequest(payload: { beat.payload(header: $0) }, patience: patience)
  }

  /// Takes the answer.
  public mutating func answered(_ header: ICHeader, _ payload: RawSpan, now: UInt64) throws(ICError) {
    let beat = try ICHeartbeat(parsing: payload, header: header)
    guard header.status == .success, beat.sequence == sequence &+ 1 else {
      missedCount &+= 1
      return
    }
    lastAnswer = now
    applicationState = beat.state
    answerCount &+= 1
  }

  /// Takes note of the missing answer.
  public mutating func failed(_ error: ServiceError, now: UInt64) {
    missedCount &+= 1
  }

  /// Forgets the guest.
  public mutating func ended(_ error: ServiceError) {
    wakeTime = nil
    lastAnswer = nil
    applicationState = .unknown
  }
}

extension IntegrationService where State == HeartbeatState {
  /// What the guest's heartbeat tells.
  public struct Status: Equatable, Sendable {
    /// How long ago the last answer came, in milliseconds; nil: none since the guest has opened the service.
    public var ageMilliseconds: Int?
    /// How the guest's applications fare, as it says.
    public var applicationState: ICHeartbeat.ApplicationState
    /// Answers so far.
    public var answerCount: UInt64
    /// Answers that were wrong, or did not come within half a minute.
    public var missedCount: UInt64
  }

  /// A heartbeat service.
  ///
  /// - Parameter intervalMilliseconds: between two heartbeats; Hyper-V has two seconds.
  public convenience init(intervalMilliseconds: Int = 2000) {
    self.init(HeartbeatState(interval: UInt64(max(1, intervalMilliseconds)) * 1_000_000))
  }

  /// What the guest's heartbeat tells now.
  public var status: Status {
    let now = monotonicNanoseconds()
    return content.withLock { content in
      let state = content.state
      return Status(
        ageMilliseconds: state.lastAnswer.map { Int((now &- $0) / 1_000_000) },
        applicationState: state.applicationState, answerCount: state.answerCount, missedCount: state.missedCount)
    }
  }
}
