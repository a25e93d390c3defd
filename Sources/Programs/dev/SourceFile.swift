/// A text file with its lines, as they are and as the compiler sees them.
struct SourceFile {
  /// Path from the root of the package.
  let path: String
  /// The lines without their newlines.
  let lines: [String]
  /// The lines with comments and the contents of string literals blanked out; only for Swift files.
  let code: [String]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    code = path.hasSuffix(".swift") ? SwiftScanner.code(of: lines) : lines
  }

  var isSwift: Bool { path.hasSuffix(".swift") }

  /// Whether it is code of some language, as opposed to documentation.
  var isCode: Bool { !path.hasSuffix(".md") }

  /// Whether it stands below one of the folders.
  func isBelow(_ folders: String...) -> Bool { folders.contains { path.hasPrefix($0 + "/") } }

  /// The name of the target in `Sources/WING/TARGET/...`.
  var target: String? {
    let parts = path.split(separator: "/")
    return parts.count > 3 && parts[0] == "Sources" ? String(parts[2]) : nil
  }

  /// A finding at the line with this index.
  func finding(_ index: Int, _ text: String) -> Finding { Finding(path: path, line: index + 1, text: text) }
}

/// Blanks out what is no code in Swift text. Interpolations inside of strings are blanked too.
enum SwiftScanner {
  /// The code of each line; a comment ends the line, a string literal becomes `""`.
  static func code(of lines: [String]) -> [String] {
    var inMultiline = false
    return lines.map { line in
      var result = ""
      var rest = Substring(line)
      var hashes = 0
      while let character = rest.first {
        if inMultiline {
          guard let end = rest.range(of: "\"\"\"") else { return result }
          rest = rest[end.upperBound...].drop { $0 == "#" }
          inMultiline = false
        } else if rest.hasPrefix("//") {
          return result
        } else if rest.hasPrefix("\"\"\"") {
          inMultiline = true
          result += "\"\""
          rest = rest.dropFirst(3)
        } else if character == "\"" {
          result += "\"\""
          rest = afterString(rest.dropFirst(), hashes: hashes)
        } else {
          hashes = character == "#" ? hashes + 1 : 0
          result.append(character)
          rest = rest.dropFirst()
        }
      }
      return result
    }
  }

  /// What follows a string literal on its line; `text` starts after the opening quote.
  private static func afterString(_ text: Substring, hashes: Int) -> Substring {
    let guardText = String(repeating: "#", count: hashes)
    var rest = text
    var depth = 0
    while let character = rest.first {
      if rest.hasPrefix("\\" + guardText + "(") {
        depth += 1
        rest = rest.dropFirst(2 + hashes)
      } else if depth > 0 {
        // Inside of an interpolation quotes belong to strings of its own.
        rest = rest.dropFirst()
        if character == "(" { depth += 1 }
        if character == ")" { depth -= 1 }
        if character == "\"" { rest = afterString(rest, hashes: 0) }
      } else if character == "\\", hashes == 0 {
        rest = rest.dropFirst(2)
      } else if character == "\"", rest.dropFirst().hasPrefix(guardText) {
        return rest.dropFirst(1 + hashes)
      } else {
        rest = rest.dropFirst()
      }
    }
    return rest
  }

  /// Whether `line` has `word` as a whole identifier.
  static func has(_ word: String, in line: String) -> Bool {
    var start = line.startIndex
    while let found = line[start...].range(of: word) {
      let before = found.lowerBound == line.startIndex ? nil : line[line.index(before: found.lowerBound)]
      let after = found.upperBound == line.endIndex ? nil : line[found.upperBound]
      if !isPart(before), !isPart(after) { return true }
      start = found.upperBound
    }
    return false
  }

  private static func isPart(_ character: Character?) -> Bool {
    guard let character else { return false }
    return character.isLetter || character.isNumber || character == "_"
  }
}

extension StringProtocol {
  /// The first range that equals `text`, byte for byte.
  func range(of text: String) -> Range<Index>? {
    guard let first = text.utf8.first else { return nil }
    var start = utf8.startIndex
    while let candidate = utf8[start...].firstIndex(of: first) {
      let rest = utf8[candidate...]
      if rest.starts(with: text.utf8) { return candidate..<utf8.index(candidate, offsetBy: text.utf8.count) }
      start = utf8.index(after: candidate)
    }
    return nil
  }

  /// How many spaces it starts with.
  var indentation: Int { prefix { $0 == " " }.count }
}
