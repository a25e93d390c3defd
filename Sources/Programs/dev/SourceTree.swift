import FoundationEssentials

/// The files of the package that the rules look at.
struct SourceTree {
  var root: String

  private static let folders = ["Sources", "Tests", "appliance", "docs", ".ci"]
  private static let singles = ["Package.swift", "README.md"]

  /// All text files, by path.
  func files() throws -> [SourceFile] {
    var paths = Self.singles.filter { FileManager.default.fileExists(atPath: "\(root)/\($0)") }
    for folder in Self.folders { collect(folder, into: &paths) }
    return try paths.sorted().compactMap { path in
      let data = try Data(contentsOf: URL(filePath: "\(root)/\(path)"))
      // Pictures and the like are no source.
      guard let text = String(data: data, encoding: .utf8) else { return nil }
      return SourceFile(path: path, text: text)
    }
  }

  private func collect(_ folder: String, into paths: inout [String]) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)") else { return }
    for name in names where !name.hasPrefix(".build") {
      let path = "\(folder)/\(name)"
      var isDirectory = false
      guard FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isDirectory) else { continue }
      if isDirectory { collect(path, into: &paths) } else { paths.append(path) }
    }
  }
}
