import FoundationEssentials
import Gateway
import LinuxIO

/// Writes a line to standard error.
func writeError(_ line: String) {
  try? writeAll(Array((line + "\n").utf8), to: 2)
}

/// Writes a line to standard output at once, also when that is no terminal.
func writeLine(_ line: String) {
  try? writeAll(Array((line + "\n").utf8), to: 1)
}

/// Prints the values as a JSON array of objects.
func printJSON(_ values: [some Encodable]) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(values), as: UTF8.self))
}

/// Prints a table, or a sentence when it is empty.
func printTable(_ table: Table, orElse sentence: String) {
  if table.isEmpty {
    print(sentence)
  } else {
    table.lines().forEach { print($0) }
  }
}

/// `path` from the root on, without `.`, `..` and double slashes; symbolic links stay.
func absolutePath(_ path: String) -> String {
  let full = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  var parts: [Substring] = []
  for part in full.split(separator: "/") where part != "." {
    if part == ".." { _ = parts.popLast() } else { parts.append(part) }
  }
  return "/" + parts.joined(separator: "/")
}

/// A progress line on standard error, for people only: it appears when the work takes longer than a second.
final class ProgressLine {
  private let isTerminal = isTerminalDescriptor(2)
  private var shown = false

  func show(_ text: String, seconds: Int) {
    let line = "synthgate: \(text) (\(seconds) s)"
    try? writeAll(Array((isTerminal ? "\r\u{1b}[K\(line)" : "\(line)\n").utf8), to: 2)
    shown = true
  }

  func finish() {
    if shown, isTerminal { try? writeAll(Array("\r\u{1b}[K".utf8), to: 2) }
  }
}
