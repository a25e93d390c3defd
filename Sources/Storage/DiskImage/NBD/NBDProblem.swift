public import LinuxIO
import NBDConnection

/// Why an NBD server gives no disk.
public enum NBDProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// Nobody answers there.
  case unreachable(Errno)
  /// Its host is not known, and why.
  case hostUnknown(String, String)
  /// It has no export of this name.
  case exportMissing(String)
  /// It takes no connection without TLS.
  case needsEncryption
  /// It has no TLS.
  case lacksEncryption
  /// It took too long.
  case timedOut
  /// It can't be used as is asked, in words, and what to do, perhaps nothing.
  case unfit(String, advice: String)
  /// Anything else, in words.
  case other(String)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .unreachable(.ENOENT): "no NBD server answers: there is no such socket"
    case .unreachable(let errno): "no NBD server answers: \(errno)"
    case .hostUnknown(let host, let why): "the host `\(host)` is not known: \(why)"
    case .exportMissing(let name):
      name.isEmpty ? "the server has no export without a name" : "the server has no export named `\(name)`"
    case .needsEncryption: "the server wants TLS"
    case .lacksEncryption: "the server has no TLS"
    case .timedOut: "the server did not answer in time"
    case .unfit(let text, _): text
    case .other(let text): "no connection: \(text)"
    }
  }

  /// What to do about it, empty when nothing can be advised.
  public var advice: String {
    switch self {
    case .unreachable(.EACCES): "become another user"
    case .unreachable, .timedOut: "check that it runs, and takes one more client"
    case .hostUnknown: "check its name"
    case .exportMissing: "check the name; nbdinfo --list shows those that there are"
    case .needsEncryption: "write nbds: or nbds+unix:"
    case .lacksEncryption: "write nbd: or nbd+unix: if nobody else can listen"
    case .unfit(_, let advice): advice
    case .other: ""
    }
  }

  /// The kinds that callers treat differently.
  public enum Kind: Sendable {
    /// The server or the export is not there.
    case absent
    /// The permission is missing.
    case denied
    /// What was asked for is not possible with it.
    case usage
    /// Anything else.
    case failed
  }

  /// The kind.
  public var kind: Kind {
    switch self {
    case .unreachable(.EACCES), .unreachable(.EPERM): .denied
    case .unreachable, .hostUnknown, .exportMissing: .absent
    case .needsEncryption, .lacksEncryption, .unfit: .usage
    case .timedOut, .other: .failed
    }
  }

  init(_ error: NBDError, _ endpoint: NBDEndpoint) {
    switch (error.step, error.errno) {
    case (.time, _): self = .timedOut
    case (.export, .ENOENT?): self = .exportMissing(NBDAddress.printable(endpoint.exportName))
    case (_, .EOPNOTSUPP?) where error.text.contains("refused TLS"): self = .lacksEncryption
    case (_, .EOPNOTSUPP?) where error.text.contains("requires TLS"): self = .needsEncryption
    case (.connection, let errno?) where Self.isUnreachable(errno): self = .unreachable(errno)
    default:
      let text = Self.readable("\(error)")
      if case .tcp(let host, _) = endpoint.transport, error.text.contains("getaddrinfo") {
        self = .hostUnknown(host, text.split(separator: ": ").last.map(String.init) ?? text)
      } else {
        self = .other(text)
      }
    }
  }

  /// A text of libnbd without the name of the function in front.
  static func readable(_ text: String) -> String {
    let words = text.split(separator: ": ", maxSplits: 1)
    let isNamed = words.count == 2 && words[0].hasPrefix("nbd_")
    return NBDAddress.printable(isNamed ? String(words[1]) : text)
  }

  private static func isUnreachable(_ errno: Errno) -> Bool {
    [
      .ENOENT, .ECONNREFUSED, .EACCES, .EPERM, .EAGAIN, .ENETUNREACH, .EHOSTUNREACH, .ETIMEDOUT, .ENETDOWN, .ECONNRESET,
    ].contains(errno)
  }
}
