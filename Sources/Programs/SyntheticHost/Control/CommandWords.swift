/// The words of a command line, and back. Words stand between blanks; one with blanks, quotes or control characters stands
/// in double quotes, where `\` makes the next character an ordinary one, and `\n`, `\r` and `\t` are what they are in C.
enum CommandWords {
  /// The words of `line`; nil when a quote is not closed.
  static func split(_ line: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    var isEscaped = false
    for character in line.unicodeScalars {
      if isEscaped {
        let meant: Unicode.Scalar =
          switch character {
          case "n": "\n"
          case "r": "\r"
          case "t": "\t"
          default: character
          }
        word?.unicodeScalars.append(meant)
        isEscaped = false
      } else if isQuoted, character == "\\" {
        isEscaped = true
      } else if character == "\"" {
        isQuoted.toggle()
        word = word ?? ""
      } else if !isQuoted, character == " " || character == "\t" {
        if let full = word { words.append(full) }
        word = nil
      } else {
        word = word ?? ""
        word?.unicodeScalars.append(character)
      }
    }
    if isQuoted { return nil }
    if let full = word { words.append(full) }
    return words
  }

  /// `word` as it stands in a line: what came from a guest or a path can't end the line or begin another word.
  static func quote(_ word: String) -> String {
    let isPlain = word.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f && $0 != "\"" && $0 != "\\" }
    return isPlain && !word.isEmpty ? word : alwaysQuote(word)
  }

  /// `word` in quotes.
  static func alwaysQuote(_ word: String) -> String {
    var text = "\""
    for character in word.unicodeScalars {
      switch character {
      case "\"", "\\": text += "\\\(character)"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where character.value < 0x20 || character.value == 0x7f: text += "?"
      default: text.unicodeScalars.append(character)
      }
    }
    return text + "\""
  }
}
