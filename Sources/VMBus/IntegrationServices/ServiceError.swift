public import VMBusProtocol

/// Why an integration service could not do what it was asked for.
public enum ServiceError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No guest has opened the service.
  case notOpen
  /// The guest has opened the service, but did not agree on a version yet. A Linux guest does so for key-value pairs when
  /// its daemon starts, or after a minute.
  case notReady
  /// The guest speaks none of the host's versions.
  case noCommonVersion
  /// The version that was agreed on can't do it.
  case notSupported(ICVersion)
  /// The guest has refused, with this status.
  case refused(ICStatus)
  /// The answer of the guest did not come in time.
  case timedOut
  /// The answer of the guest is malformed.
  case malformed(String)
  /// The guest has closed the service meanwhile, or is gone.
  case lost
  /// Too many requests wait already.
  case busy
  /// What was asked for can't be sent: a key or a value that is too long.
  case invalid(String)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .notOpen: "no guest has opened the service"
    case .notReady: "the guest has not agreed on a version yet"
    case .noCommonVersion: "the guest speaks none of the versions offered"
    case .notSupported(let version): "version \(version), which was agreed on, can't do it"
    case .refused(.noMoreItems): "the guest has no such item"
    case .refused(.notSupported): "the guest does not support it"
    case .refused(let status): "the guest refused (status 0x\(String(status.rawValue, radix: 16)))"
    case .timedOut: "the guest did not answer in time"
    case .malformed(let text): "the guest's answer is malformed: \(text)"
    case .lost: "the guest has closed the service"
    case .busy: "too many requests wait for the guest"
    case .invalid(let text): text
    }
  }
}
