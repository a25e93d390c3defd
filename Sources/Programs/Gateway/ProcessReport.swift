import LinuxIO

/// What a process that serves a mount or a link tells the command that started it.
public enum ProcessReport: Sendable, Equatable {
  /// What it is doing now.
  case progress(String)
  /// What was asked for is there.
  case ready
  /// It failed, and nothing is left of it.
  case failed(GatewayError.Kind, what: String, why: String, advice: String)

  /// The line that carries it, without the newline. Fields are separated by tabs.
  public var line: String {
    func clean(_ text: String) -> String { String(text.map { $0 == "\t" || $0.isNewline ? " " : $0 }) }
    switch self {
    case .progress(let text): return "progress\t\(clean(text))"
    case .ready: return "ready"
    case .failed(let kind, let what, let why, let advice):
      return "failed\t\(kind.rawValue)\t\(clean(what))\t\(clean(why))\t\(clean(advice))"
    }
  }

  /// The report that a line carries.
  public init?(line: String) {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    switch fields.first {
    case "progress" where fields.count == 2: self = .progress(fields[1])
    case "ready" where fields.count == 1: self = .ready
    case "failed" where fields.count == 5:
      guard let code = Int32(fields[1]), let kind = GatewayError.Kind(rawValue: code) else { return nil }
      self = .failed(kind, what: fields[2], why: fields[3], advice: fields[4])
    default: return nil
    }
  }
}
