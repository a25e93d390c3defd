public import DiskImage
import ImageFormats
import LinuxIO

/// An error for people: what was tried, why it failed, what to do about it, and the exit code.
public struct ImageToolError: Error, Sendable, CustomStringConvertible {
  /// The exit codes of the command line.
  public enum Kind: Int32, Sendable {
    /// Something failed at run time, or an image is damaged.
    case failed = 1
    /// The command line is wrong.
    case usage = 2
    /// An image or a parent is not there.
    case notFound = 3
    /// The permission is missing.
    case notPermitted = 4
    /// Somebody else uses it.
    case busy = 5
  }

  /// The kind, whose raw value is the exit code.
  public let kind: Kind
  /// What was tried, for example `check disk.vhd`.
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

  /// The error of an image; `path` stands in front of the reason unless it is part of `what`.
  public init(_ error: DiskImageError, what: String, path: String = "") {
    let kind: Kind
    var advice = error.advice
    switch error {
    case .notFound: kind = .notFound
    case .directory, .notAnImage, .empty, .oddLength, .sectorSize, .length, .address, .remote: kind = .usage
    case .server(let problem):
      kind =
        switch problem.kind {
        case .absent: .notFound
        case .denied: .notPermitted
        case .usage: .usage
        case .failed: .failed
        }
    case .unsupportedFormat: kind = .failed
    case .noPermission, .readOnlyStorage: kind = .notPermitted
    case .inUse: kind = .busy
    case .fault(let fault):
      kind = Self.kind(ofFault: fault.code)
      advice = Self.advice(forFault: fault.code)
    case .system(_, .EEXIST):
      self.init(
        .usage, what: what, why: (path.isEmpty ? "" : "\(path): ") + "there is a file of that name already",
        advice: "choose another name, or replace it with --force")
      return
    case .system(_, .ENOENT): kind = .notFound
    case .system(_, .EACCES), .system(_, .EPERM): kind = .notPermitted
    case .system: kind = .failed
    }
    self.init(kind, what: what, why: (path.isEmpty ? "" : "\(path): ") + "\(error)", advice: advice)
  }

  private static func kind(ofFault code: String) -> Kind {
    switch code {
    case "chain.missing": .notFound
    case "chain.denied": .notPermitted
    case "img.shrink", "img.type", "img.noparent", "vhd.size", "vhdx.param": .usage
    default: .failed
    }
  }

  private static func advice(forFault code: String) -> String {
    switch code {
    case "chain.missing": "name its parents with --parent, nearest first"
    case "chain.denied": "allow the directory with --parents-in DIR, or name the parents with --parent"
    case "chain.linkage": "use the parent as it was when the child was created; a copy of it does"
    case "img.shrink": "add --shrink if that is meant"
    case "vhdx.log.corrupt": "try `synthgate image check --repair`"
    case "vhd.checksum", "vhd.nofooter": "if it is raw, say so with --format raw"
    default: ""
    }
  }

  /// `WHAT: WHY; DO`.
  public var description: String {
    advice.isEmpty ? "\(what): \(why)" : "\(what): \(why); \(advice)"
  }
}

/// Runs `body`, and says of what the image's error kept it.
func explaining<R>(
  _ what: String, path: String = "", _ body: () throws(DiskImageError) -> R
) throws(ImageToolError) -> R {
  do throws(DiskImageError) { return try body() } catch { throw ImageToolError(error, what: what, path: path) }
}
