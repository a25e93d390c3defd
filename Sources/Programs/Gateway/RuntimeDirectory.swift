import FoundationEssentials
import LinuxIO

/// Where running mounts and links keep their state: `/run/synthgate`, or what SYNTHGATE_RUNTIME_DIR names, or a directory below
/// XDG_RUNTIME_DIR for users without privilege.
///
/// ```
/// mounts/<name>/state.json    what is mounted where, by which process
/// mounts/<name>/control.sock  answers with the live state
/// mounts/<name>/log           what the process reports
/// links/<name>[@netns]/       the same of a link
/// disks/<name>/               the FUSE filesystem: whole, p1, ..., info.json
/// ```
public struct RuntimeDirectory: Sendable, Equatable {
  /// Its path.
  public let path: String

  /// The directory at `path`.
  public init(path: String) {
    self.path = path
  }

  /// The directory of this process's environment.
  public static var current: RuntimeDirectory {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["SYNTHGATE_RUNTIME_DIR"], !path.isEmpty { return RuntimeDirectory(path: path) }
    if effectiveUser() != 0, let path = environment["XDG_RUNTIME_DIR"], !path.isEmpty {
      return RuntimeDirectory(path: path + "/synthgate")
    }
    return RuntimeDirectory(path: "/run/synthgate")
  }

  /// Where the state of the mount `name` stands.
  public func mountDirectory(_ name: String) -> String { "\(path)/mounts/\(name)" }

  /// Where the state of the link `key` (its name, and namespace behind an @) stands.
  public func linkDirectory(_ key: String) -> String { "\(path)/links/\(key)" }

  /// Where the FUSE filesystem of the disk `name` is mounted.
  public func diskDirectory(_ name: String) -> String { "\(path)/disks/\(name)" }

  /// Makes a directory that must not exist yet, and those above it.
  ///
  /// - Returns: false when it exists.
  func claim(_ directory: String) throws(GatewayError) -> Bool {
    let manager = FileManager.default
    let parent = String(directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)])
    do {
      try manager.createDirectory(atPath: parent, withIntermediateDirectories: true)
      if manager.fileExists(atPath: directory) { return false }
      try manager.createDirectory(atPath: directory, withIntermediateDirectories: false)
      return true
    } catch {
      if manager.fileExists(atPath: directory) { return false }
      throw GatewayError(
        .notPermitted, what: "create \(directory)", why: "the directory can't be made",
        advice: "run as root, or set SYNTHGATE_RUNTIME_DIR to a directory of yours")
    }
  }

  /// Names of the mounts that have a state directory, whether alive or not.
  func mountNames() -> [String] { names(in: "\(path)/mounts") }

  /// Keys of the links that have a state directory, whether alive or not.
  func linkKeys() -> [String] { names(in: "\(path)/links") }

  private func names(in directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
  }

  /// Says in `directory` which process it belongs to, until there is more to say.
  func writeOwner(_ directory: String) throws(GatewayError) {
    let owner = "\(ownProcess()) \(processStartTime(ownProcess()) ?? 0)\n"
    do { try Data(owner.utf8).write(to: URL(filePath: directory + "/owner")) } catch {
      throw GatewayError(.failed, what: "write \(directory)", why: "\(error)")
    }
  }
}
