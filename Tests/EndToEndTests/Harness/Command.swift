import Foundation
import LinuxIO

/// What a program left: its exit code (128 + signal when it was killed) and what it printed.
struct CommandResult {
  var code: Int32
  var output: String
  var error: String
  var seconds: Double
}

/// A program that failed where it had to succeed, or that did not end in time.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
}

/// A program that runs beside the test, with its output in files, so that no pipe can fill or stay open.
final class Command {
  let arguments: [String]
  private let process: ProcessHandle
  private let outputFile: String
  private let errorFile: String
  private let start = Date()
  private var exitCode: Int32?

  /// Starts `arguments`, the first of which is looked up in PATH.
  init(_ arguments: [String], environment: [String: String] = [:], directory: String? = nil) throws {
    self.arguments = arguments
    let base = FileManager.default.temporaryDirectory.path + "/synthgate-command." + UUID().uuidString
    outputFile = base + ".out"
    errorFile = base + ".err"
    let create: Int32 = O_WRONLY | O_CREAT | O_TRUNC
    let null = try OwnedDescriptor.open("/dev/null", flags: O_RDONLY)
    let output = try OwnedDescriptor.open(outputFile, flags: create)
    let error = try OwnedDescriptor.open(errorFile, flags: create)
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    var words = ["/usr/bin/env", "PATH=\(path):/usr/sbin:/sbin", "LC_ALL=C"]
    if let directory { words += ["--chdir", directory] }
    // Options of env stand before the variables.
    words = [words[0]] + words.dropFirst(3) + words[1...2] + environment.map { "\($0)=\($1)" } + arguments
    process = try ProcessHandle.start(words, input: null.number, output: output.number, error: error.number)
  }

  deinit {
    if exitCode == nil {
      process.send(signal: SIGKILL)
      _ = process.exitCode()
    }
    for file in [outputFile, errorFile] { try? FileManager.default.removeItem(atPath: file) }
  }

  var id: Int32 { process.id }
  var isRunning: Bool { !process.hasEnded() }
  var output: String { Self.read(outputFile) }
  var error: String { Self.read(errorFile) }

  func send(_ signal: Int32) { process.send(signal: signal) }

  /// Waits for the end. After `timeLimit` seconds the program is killed and an error thrown.
  func wait(timeLimit: Double) throws -> CommandResult {
    if exitCode == nil, !process.hasEnded(waiting: Int32(timeLimit * 1000)) {
      send(SIGKILL)
      throw CommandFailure(
        description: "`\(arguments.joined(separator: " "))` did not end within \(timeLimit) s\n\(output)\(error)")
    }
    let code = exitCode ?? process.exitCode()
    exitCode = code
    return CommandResult(code: code, output: output, error: error, seconds: Date().timeIntervalSince(start))
  }

  private static func read(_ file: String) -> String {
    String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
  }
}

/// Runs a program to its end, whatever its exit code.
func run(
  _ arguments: [String], environment: [String: String] = [:], directory: String? = nil, timeLimit: Double = 120
) throws -> CommandResult {
  try Command(arguments, environment: environment, directory: directory).wait(timeLimit: timeLimit)
}

/// Runs a program that must succeed, and answers what it printed.
@discardableResult
func must(_ arguments: String..., directory: String? = nil, timeLimit: Double = 120) throws -> String {
  let result = try run(arguments, directory: directory, timeLimit: timeLimit)
  guard result.code == 0 else {
    throw CommandFailure(
      description: "`\(arguments.joined(separator: " "))` ended with \(result.code)\n\(result.output)\(result.error)")
  }
  return result.output
}

/// Runs a shell script that must succeed, with `values` as $1, $2, ...
@discardableResult
func shell(_ script: String, _ values: String..., directory: String? = nil, timeLimit: Double = 120) throws -> String {
  let arguments = ["bash", "-c", "set -euo pipefail\n" + script, "test"] + values
  let result = try run(arguments, directory: directory, timeLimit: timeLimit)
  guard result.code == 0 else {
    throw CommandFailure(
      description: "the script ended with \(result.code):\n\(script)\n\(result.output)\(result.error)")
  }
  return result.output
}

/// Waits until `condition` holds, at most `seconds`.
func waitUntil(_ what: String, seconds: Double = 10, _ condition: () throws -> Bool) throws {
  let end = Date() + seconds
  while try !condition() {
    guard Date() < end else { throw CommandFailure(description: "after \(seconds) s still not: \(what)") }
    usleep(20_000)
  }
}
