import FoundationEssentials
import LinuxIO

/// Why a measurement ends early.
enum BenchmarkError: Error, CustomStringConvertible {
  /// A signal came.
  case interrupted
  /// Something that the measurement needs does not work.
  case failed(String)

  var description: String {
    switch self {
    case .interrupted: "interrupted"
    case .failed(let why): why
    }
  }
}

/// A temporary directory and the processes that work in it; `close` ends and removes all of them, mounts too.
final class Workspace {
  /// The directory.
  let directory: String
  private let signals: SignalQueue
  private var children: [ProcessHandle] = []
  private var finalCommands: [[String]] = []

  /// A new directory below `parent`.
  init(below parent: String) throws {
    signals = try SignalQueue(endSignals)
    directory = "\(parent)/synthgate-benchmark-\(ownProcess())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
  }

  /// A path in the directory.
  func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Throws when a signal has asked for the end.
  func checkSignals() throws {
    if signals.next() != nil { throw BenchmarkError.interrupted }
  }

  /// Starts a program, cut off from the terminal so that Ctrl-C reaches only this process, which then ends it in order.
  ///
  /// - Parameter log: name of the file in the directory that takes what the program prints.
  func start(_ arguments: [String], log: String) throws -> ProcessHandle {
    let nothing = try OwnedDescriptor.open("/dev/null", flags: OpenFlag.readWrite)
    let output = try OwnedDescriptor.open(
      log.hasPrefix("/") ? log : path(log), flags: OpenFlag.appendOnly)
    let child = try ProcessHandle.start(
      arguments, input: nothing.number, output: output.number, error: output.number, newSession: true)
    children.append(child)
    return child
  }

  /// Runs a program to its end.
  ///
  /// - Throws: also when its exit code is not 0; with the end of what it has printed.
  func run(_ arguments: [String], log: String) throws {
    let child = try start(arguments, log: log)
    let bits = waitForInput([child.descriptor, signals.descriptor], milliseconds: -1)
    guard bits & 1 != 0 else { throw BenchmarkError.interrupted }
    let code = forget(child)
    if code != 0 { throw BenchmarkError.failed("\(arguments[0]) ended with \(code): \(tail(of: log))") }
  }

  /// Waits; a signal ends it with an error, the end of `child` with false.
  func pause(milliseconds: Int32, while child: ProcessHandle? = nil) throws -> Bool {
    let bits = waitForInput([signals.descriptor] + (child.map { [$0.descriptor] } ?? []), milliseconds: milliseconds)
    if bits & 1 != 0 { throw BenchmarkError.interrupted }
    return bits == 0
  }

  /// Waits until something is there that `child` makes, at most 20 seconds.
  func wait(
    for what: String, of title: String, while child: ProcessHandle?, log: String, _ isThere: () -> Bool
  ) throws {
    let deadline = monotonicNanoseconds() + 20_000_000_000
    while !isThere() {
      guard try pause(milliseconds: 1, while: child) else {
        throw BenchmarkError.failed("\(title) has ended: \(tail(of: log))")
      }
      guard monotonicNanoseconds() < deadline else {
        throw BenchmarkError.failed("\(title) did not make \(what) in 20 s: \(tail(of: log))")
      }
    }
  }

  /// Has a program run at the end, after all processes have ended, whatever happens until then.
  func atEnd(_ arguments: [String]) { finalCommands.append(arguments) }

  /// Ends a child: SIGTERM, and SIGKILL when that has not helped after ten seconds.
  func stop(_ child: ProcessHandle) {
    child.send(signal: 15)
    if !child.hasEnded(waiting: 10_000) {
      writeError("benchmark: process \(child.id) does not end; it is killed")
      child.send(signal: 9)
    }
    _ = forget(child)
  }

  private func forget(_ child: ProcessHandle) -> Int32 {
    children.removeAll { $0 === child }
    return child.exitCode()
  }

  /// The last lines of a log.
  func tail(of log: String) -> String {
    let lines = ((try? readTextFile(path(log))) ?? "").split(separator: "\n")
    return lines.isEmpty ? "it has printed nothing" : lines.suffix(5).joined(separator: " | ")
  }

  /// Takes away every mount below the directory.
  func unmountAll() {
    let mounts = ((try? mountTable()) ?? []).filter { $0.target.hasPrefix(directory + "/") }
    for mount in mounts.reversed() {
      do throws(Errno) { try unmountFilesystem(mount.target) } catch {
        try? unmountFilesystem(mount.target, lazily: true)
      }
    }
  }

  /// Ends everything and removes the directory.
  func close() {
    for child in children.reversed() { stop(child) }
    for command in finalCommands.reversed() {
      // Not `run`: a signal that waits would end it.
      let code = (try? start(command, log: "end.log")).map { forget($0) }
      if code != 0 { writeError("benchmark: \(command.joined(separator: " ")): \(tail(of: "end.log"))") }
    }
    unmountAll()
    guard ((try? mountTable()) ?? []).allSatisfy({ !$0.target.hasPrefix(directory + "/") }) else {
      return writeError("benchmark: \(directory) stays: something in it is still mounted")
    }
    try? FileManager.default.removeItem(atPath: directory)
  }
}

/// O_ flags of open(2).
private enum OpenFlag {
  static let readWrite: Int32 = 2
  /// O_WRONLY, O_CREAT, O_APPEND.
  static let appendOnly: Int32 = 0o1 | 0o100 | 0o2000
}
