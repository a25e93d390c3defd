/// One place that breaks a rule.
struct Finding: Comparable, CustomStringConvertible {
  /// Path from the root of the package.
  var path: String
  /// Line, from 1.
  var line: Int
  /// What is wrong, and what would be right.
  var text: String

  var description: String { "\(path):\(line): \(text)" }

  static func < (left: Finding, right: Finding) -> Bool {
    (left.path, left.line, left.text) < (right.path, right.line, right.text)
  }
}

/// A check of one file at a time.
struct HouseRule: Sendable {
  /// One word.
  var name: String
  /// What it asks for.
  var summary: String
  /// The findings in a file; none for a file that the rule is not about.
  var check: @Sendable (SourceFile) -> [Finding]
}

/// All rules, as `dev lint` runs them.
let houseRules: [HouseRule] = [
  unsafeRule, uncheckedRule, importRule, lengthRule, leftoverRule, asciiRule, wordRule,
]
