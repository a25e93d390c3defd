/// Paths of parents as they stand in images.
enum ParentPath {
  /// The longest path that is looked at, in bytes.
  static let maximumByteCount = 4096

  /// Whether the field of an image holds a path relative to it. Absolute paths are those of another machine.
  static func isRelative(field: String) -> Bool {
    ["relative_path", "W2ru", "parent name"].contains(field)
  }

  /// The path of a parent, without `.` and `..`, when it is relative to the directory `base`; nil when it is none that
  /// may be followed.
  static func join(_ base: String, _ text: String) -> String? {
    guard !text.isEmpty, text.utf8.count <= maximumByteCount, !text.utf8.contains(0) else { return nil }
    let path = text.map { $0 == "\\" ? "/" : String($0) }.joined()
    if path.hasPrefix("/") || isDrive(path) { return nil }
    var parts = base.split(separator: "/").map(String.init)
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      switch part {
      case "": return nil
      case ".": continue
      case "..":
        if parts.popLast() == nil { return nil }
      default: parts.append(String(part))
      }
    }
    return "/" + parts.joined(separator: "/")
  }

  private static func isDrive(_ path: String) -> Bool {
    let bytes = Array(path.utf8.prefix(2))
    return bytes.count == 2 && bytes[1] == UInt8(ascii: ":")
  }

  /// `path` relative to `directory`; nil when it does not stand below.
  static func relative(_ path: String, to directory: String) -> String? {
    let start = directory == "/" ? "/" : directory + "/"
    return path.hasPrefix(start) && path.utf8.count > start.utf8.count ? String(path.dropFirst(start.count)) : nil
  }

  /// The path of `target` as an image in `directory` is to name it, with the separators of Windows: both are canonical.
  static func relativeWindowsPath(from directory: String, to target: String) -> String {
    let from = directory.split(separator: "/")
    let to = target.split(separator: "/")
    let shared = zip(from, to).prefix { $0 == $1 }.count
    let up = from.count - shared
    let steps = up == 0 ? ["."] : [String](repeating: "..", count: up)
    return (steps + to.dropFirst(shared).map(String.init)).joined(separator: "\\")
  }
}
