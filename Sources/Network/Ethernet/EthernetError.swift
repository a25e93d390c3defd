public import LinuxIO

/// Why an `EthernetPort` or its queue can't be had or used.
public enum EthernetError: Error, Equatable, Sendable, CustomStringConvertible {
  /// All queues are taken.
  case busy
  /// The device behind the port is gone.
  case lost
  /// The peer broke the protocol or refused, in words.
  case peer(String)
  /// The operating system refused.
  case system(what: String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .busy: "all queues are in use"
    case .lost: "the device is gone"
    case .peer(let text): text
    case .system(let what, let errno): "\(what): \(errno)"
    }
  }
}
