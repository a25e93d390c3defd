import ArgumentParser
import LinuxIO

/// Measurements of Synthgate against its peers, and the small servers that they need.
@main
struct Benchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measure Synthgate against its peers on this machine.",
    subcommands: [
      StorageCommand.self, ImagesCommand.self, NetworkCommand.self, FramesCommand.self, ServeNull.self,
      ServeDirect.self, OpenImage.self, ForwardFrames.self,
    ])
}
