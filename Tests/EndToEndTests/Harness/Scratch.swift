import Foundation
import Testing

/// A directory of its own for one test, with a Synthgate that keeps its state in it. Whatever the test does, nothing of
/// it stays: no mount, no loop device, no link, no namespace, no process, no file.
final class Scratch {
  let path: String
  /// Those of `namespace(_:)`.
  var namespaces: [Namespace] = []

  private init() throws {
    path = try must("mktemp", "-d", "/var/tmp/synthgate-test.XXXXXX").trimmingCharacters(in: .newlines)
    for name in ["run", "mnt", "native"] { try must("mkdir", "\(path)/\(name)") }
  }

  /// Runs `body` with a new scratch directory; afterwards checks that the test has left nothing running in it.
  static func with(_ body: (Scratch) throws -> Void) throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    do { try body(scratch) } catch {
      scratch.showLogs()
      throw error
    }
    scratch.expectNothingLeft()
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }
  /// Where Synthgate mounts.
  var mountPoint: String { file("mnt") }
  /// Where the kernel mounts the image itself, for comparison.
  var nativePoint: String { file("native") }
  var environment: [String: String] { ["SYNTHGATE_RUNTIME_DIR": file("run")] }

  func directory(_ name: String) throws -> String {
    try must("mkdir", "-p", file(name))
    return file(name)
  }

  // MARK: Synthgate

  /// Runs `synthgate` to its end.
  func synthgate(_ arguments: String..., timeLimit: Double = 60) throws -> CommandResult {
    try run([try Program.path] + arguments, environment: environment, directory: path, timeLimit: timeLimit)
  }

  /// Starts `synthgate` beside the test.
  func startSynthgate(_ arguments: String...) throws -> Command {
    try Command([try Program.path] + arguments, environment: environment, directory: path)
  }

  /// Mounts; the arguments follow SOURCE and DIR.
  @discardableResult
  func mount(_ source: String, _ options: String...) throws -> Double {
    let arguments = [try Program.path, "mount", source, mountPoint] + options
    let result = try run(arguments, environment: environment, directory: path, timeLimit: 60)
    guard result.code == 0 else {
      throw CommandFailure(description: "mount \(options) ended with \(result.code): \(result.error)")
    }
    #expect(result.error == "", "a mount that succeeds is silent")
    return result.seconds
  }

  func unmount() throws {
    let result = try synthgate("umount", mountPoint)
    guard result.code == 0 else {
      throw CommandFailure(description: "umount ended with \(result.code): \(result.error)")
    }
    expectNothingLeft()
  }

  /// Mounts, runs `body`, unmounts.
  func mounted(_ source: String, options: [String] = [], _ body: () throws -> Void) throws {
    let arguments = [try Program.path, "mount", source, mountPoint] + options
    let result = try run(arguments, environment: environment, directory: path, timeLimit: 60)
    guard result.code == 0 else {
      throw CommandFailure(description: "mount \(options) ended with \(result.code): \(result.error)")
    }
    try body()
    try unmount()
  }

  /// The process that serves the only mount.
  func gatewayProcess() throws -> Int32 {
    let files = try must("find", file("run/mounts"), "-name", "state.json").split(separator: "\n")
    let data = try Data(contentsOf: URL(filePath: String(try #require(files.first))))
    let state = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    return Int32(try #require(state["process"] as? Int))
  }

  // MARK: What is left

  /// Mount points at or below the scratch directory, the innermost last.
  var mounts: [String] {
    let table = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
    return table.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count > 4 && fields[4].hasPrefix(path) ? String(fields[4]) : nil
    }
  }

  /// Loop devices over files of the scratch directory.
  var loopDevices: [String] {
    let list = (try? must("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")) ?? ""
    return list.split(separator: "\n").filter { $0.contains(path) }.compactMap { $0.split(separator: " ").first }
      .map(String.init)
  }

  /// Processes that name the scratch directory on their command line or in their environment.
  var processes: [Int32] {
    let own = getpid()
    return ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap(Int32.init).filter { id in
      if id == own { return false }
      return ["cmdline", "environ"].contains { name in
        guard let data = FileManager.default.contents(atPath: "/proc/\(id)/\(name)") else { return false }
        return String(decoding: data, as: UTF8.self).contains(path)
      }
    }
  }

  /// State of mounts, views of disks, sockets.
  var stateFiles: [String] {
    let list = try? must("find", file("run"), "-mindepth", "2", "-o", "-type", "s")
    return (list ?? "").split(separator: "\n").map(String.init)
  }

  /// Fails the test for everything that a finished Synthgate has left.
  func expectNothingLeft(_ location: SourceLocation = #_sourceLocation) {
    // The process itself ends just after the command that told it to.
    try? waitUntil("nothing is left", seconds: 3) {
      mounts.isEmpty && loopDevices.isEmpty && processes.isEmpty && stateFiles.isEmpty && links.isEmpty
    }
    #expect(mounts == [], "mounts are left", sourceLocation: location)
    #expect(loopDevices == [], "loop devices are left", sourceLocation: location)
    #expect(links == [], "links are left", sourceLocation: location)
    #expect(processes == [], "processes are left", sourceLocation: location)
    #expect(stateFiles == [], "state is left", sourceLocation: location)
  }

  /// Prints the logs of the mount and link processes, for a test that has failed.
  func showLogs() {
    let logs = (try? must("find", file("run"), "-name", "log")) ?? ""
    for log in logs.split(separator: "\n") {
      let text = (try? String(contentsOfFile: String(log), encoding: .utf8)) ?? ""
      print("-- \(log)\n\(text.suffix(4000))")
    }
  }

  private func remove() {
    for id in processes { kill(id, SIGCONT) }
    for point in mounts.reversed() { _ = try? run(["umount", "--lazy", point], timeLimit: 20) }
    for id in processes { kill(id, SIGKILL) }
    for device in loopDevices { _ = try? run(["losetup", "--detach", device], timeLimit: 20) }
    for point in mounts.reversed() { _ = try? run(["umount", "--lazy", point], timeLimit: 20) }
    for namespace in namespaces { namespace.remove() }
    _ = try? run(["rm", "-rf", "--one-file-system", path], timeLimit: 60)
  }
}

/// The program under test.
enum Program {
  /// SYNTHGATE_BINARY, or what stands in the build directory beside the test bundle.
  static var path: String {
    get throws {
      let named = ProcessInfo.processInfo.environment["SYNTHGATE_BINARY"]
      let beside = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/synthgate"
      let path = named ?? beside
      guard FileManager.default.isExecutableFile(atPath: path) else {
        throw CommandFailure(description: "there is no program \(path); build it, or set SYNTHGATE_BINARY")
      }
      return path
    }
  }

  /// Whether minutes of load are wanted instead of seconds.
  static var isLong: Bool { ProcessInfo.processInfo.environment["SYNTHGATE_LONG"] == "1" }
}

/// All suites, one test at a time: they share the machine's loop devices, memory and processors.
@Suite(.serialized) struct EndToEnd {}
