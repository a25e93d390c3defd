public import VMBusProtocol

/// Asks the guest to shut down or to restart in order.
public typealias ShutdownService = IntegrationService<ShutdownState>

/// The requests to shut down.
public struct ShutdownState: CalledState {
  /// What the service is. Version 3.1 brought the restart.
  public let profile = ServiceProfile(
    name: "shutdown", interfaceClass: .shutdown, instance: .shutdownInstance, messageType: .shutdown,
    versions: [ICVersion(1, 0), ICVersion(3, 0), ICVersion(3, 1), ICVersion(3, 2)])

  /// How the guest goes down.
  struct Call: Sendable {
    var flags: ICShutdown.Flags
    var timeoutSeconds: UInt32
  }

  var calls = CallQueue<Call, ICStatus>()
  private var version = ICVersion(1, 0)
  /// Nothing is sent by the clock.
  public var wakeTime: UInt64? { nil }

  init() {}

  /// Takes note of the version.
  public mutating func agreed(on version: ICVersion, now: UInt64) {
    self.version = version
  }

  /// What is to be sent now.
  public mutating func nextRequest(now: UInt64) -> ServiceRequest? {
    while let call = calls.next() {
      if call.flags.contains(.restart), version < ICVersion(3, 1) {
        calls.finish(.failure(.notSupported(version)))
        continue
      }
      let body = ICShutdown(timeoutSeconds: call.timeoutSeconds, flags: call.flags)
      return ServiceRequest(payload: { body.payload(header: $0) })
    }
    return nil
  }

  /// Takes the answer.
  public mutating func answered(_ header: ICHeader, _ payload: RawSpan, now: UInt64) throws(ICError) {
    calls.finish(header.status == .success ? .success(.success) : .failure(.refused(header.status)))
  }

  /// Takes note of the missing answer.
  public mutating func failed(_ error: ServiceError, now: UInt64) {
    calls.finish(.failure(error))
  }

  /// Forgets the guest.
  public mutating func ended(_ error: ServiceError) {
    calls.failAll(error)
  }
}

extension IntegrationService where State == ShutdownState {
  /// How the guest goes down.
  public enum Manner: Sendable {
    /// Power off.
    case shutdown
    /// Start anew.
    case restart
  }

  /// A shutdown service.
  public convenience init() {
    self.init(ShutdownState())
  }

  /// Asks the guest to go down. Returns when the guest has accepted; it is still running then.
  ///
  /// - Parameters:
  ///   - force: do not wait for applications.
  ///   - timeoutSeconds: how long the guest may take, as it is told; Linux ignores it.
  ///   - milliseconds: how long its answer is waited for.
  /// - Throws: `.refused` when the guest says no, `.notSupported` for a restart before version 3.1, and why the guest
  ///   can't be asked.
  public func request(
    _ manner: Manner, force: Bool = false, timeoutSeconds: UInt32 = 60, milliseconds: Int = 10_000
  ) throws(ServiceError) {
    var flags: ICShutdown.Flags = force ? .force : []
    if manner == .restart { flags.insert(.restart) }
    _ = try call(ShutdownState.Call(flags: flags, timeoutSeconds: timeoutSeconds), milliseconds: milliseconds)
  }
}
