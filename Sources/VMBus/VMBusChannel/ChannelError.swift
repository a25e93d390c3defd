public import VMBusProtocol
public import VMBusRing
public import LinuxIO

/// Why a channel, or an operation on it, failed.
public enum ChannelError: Error, Sendable, CustomStringConvertible {
  /// The ring is corrupt; the channel must be closed.
  case ring(RingError)
  /// A packet that this end may not get; the channel must be closed.
  case packet(PacketError)
  /// The channel or the whole connection is gone: rescinded, closed, or the peer died.
  case lost
  /// The peer refused, with a status of its own.
  case refused(what: String, status: UInt32)
  /// The peer did not answer in the time allowed.
  case timedOut(what: String)
  /// A message of the peer that breaks the protocol.
  case protocolFault(String)
  /// The operating system refused.
  case system(what: String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .ring(let error): "corrupt ring: \(error)"
    case .packet(let error): "bad packet: \(error)"
    case .lost: "the channel is gone"
    case .refused(let what, let status): "\(what) was refused (status 0x\(String(status, radix: 16)))"
    case .timedOut(let what): "no answer to \(what) in time"
    case .protocolFault(let text): "the peer broke the protocol: \(text)"
    case .system(let what, let errno): "\(what): \(errno)"
    }
  }
}
