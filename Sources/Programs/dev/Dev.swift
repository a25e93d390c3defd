import ArgumentParser

/// The developer's tool: what the compiler and the formatter can't check.
@main
struct Dev: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev",
    abstract: "Checks of the Synthgate tree that neither the compiler nor swift-format makes.",
    discussion: """
      Run it in the package: `swift run dev lint`. appliance/test does so, after `swift format lint --strict`.
      """,
    subcommands: [LintCommand.self])
}
