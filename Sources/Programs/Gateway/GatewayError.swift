/// An error for people: what was tried, why it failed, what to do about it, and the exit code.
public struct GatewayError: Error, Sendable, CustomStringConvertible {
  /// The exit codes of the command line.
  public enum Kind: Int32, Sendable, Codable {
    /// Something failed at run time.
    case failed = 1
    /// The command line or a configuration is wrong.
    case usage = 2
    /// A device, disk, image or directory is not there.
    case notFound = 3
    /// The permission is missing.
    case notPermitted = 4
    /// Somebody else uses it.
    case busy = 5
  }

  /// The kind, whose raw value is the exit code.
  public let kind: Kind
  /// What was tried, for example `mount disk.img`.
  public let what: String
  /// Why it failed.
  public let why: String
  /// What to do, empty when nothing can be advised.
  public let advice: String

  /// An error.
  public init(_ kind: Kind, what: String, why: String, advice: String = "") {
    self.kind = kind
    self.what = what
    self.why = why
    self.advice = advice
  }

  /// `WHAT: WHY; DO`.
  public var description: String {
    advice.isEmpty ? "\(what): \(why)" : "\(what): \(why); \(advice)"
  }
}
