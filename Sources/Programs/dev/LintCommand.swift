import ArgumentParser

struct LintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lint",
    abstract: "Check the house rules over the whole tree.",
    discussion: """
      Prints a line `FILE:LINE: what is wrong` for each finding, and exits with 1 if there is any.

      The rules:
      \(houseRules.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
      """)

  @Option(help: "The root of the package.")
  var root = "."

  func run() throws {
    let files = try SourceTree(root: root).files()
    guard files.contains(where: { $0.path == "Package.swift" }) else {
      throw ValidationError("\(root) is no package: there is no Package.swift; run it in the package, or give --root")
    }
    var findings: [Finding] = []
    for file in files {
      for rule in houseRules { findings += rule.check(file) }
    }
    findings.sort()
    findings.forEach { print($0) }
    guard findings.isEmpty else {
      print("\(findings.count) findings in \(files.count) files")
      throw ExitCode(1)
    }
    print("lint: \(files.count) files, \(houseRules.count) rules, no finding")
  }
}
