import ArgumentParser
import FoundationEssentials
import LinuxIO

/// The path of a program, found as a shell would; nil when it is not installed.
func findProgram(_ name: String) -> String? {
  ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map { "\($0)/\(name)" }
    .first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// The path of this program.
func ownProgram() throws -> String { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") }

/// The path of synthgate: the one that is asked for, or the one next to this program; nil when it was not built.
func synthgateProgram(_ asked: String?) throws -> String? {
  let neighbour = try ownProgram().split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/synthgate"
  let program = asked ?? neighbour
  return FileManager.default.isExecutableFile(atPath: program) ? program : nil
}

extension Workspace {
  /// The first line that a program prints with --version.
  func version(of program: String) throws -> String? {
    let log = "version-" + (program.split(separator: "/").last.map(String.init) ?? "")
    try run([program, "--version"], log: log)
    return try readTextFile(path(log)).split(separator: "\n").first.map(String.init)
  }
}

/// Runs a benchmark that answers whether a peer did not work, and turns what happens into an exit code.
func endingWithCode(_ measure: () throws -> Bool) throws {
  do {
    if try measure() { throw ExitCode.failure }
  } catch BenchmarkError.interrupted {
    writeError("benchmark: interrupted; cleaning up")
    throw ExitCode(130)
  }
}

extension Array {
  /// The same elements, beginning with another one.
  func rotated(by count: Int) -> [Element] {
    guard !isEmpty else { return [] }
    let start = count % self.count
    return Array(self[start...] + self[..<start])
  }
}
