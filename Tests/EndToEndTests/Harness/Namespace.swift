import Foundation
import LinuxIO

/// A network namespace of a test: a machine of its own, as far as the network goes.
final class Namespace {
  /// Its name, as `ip netns` knows it.
  let name: String

  init(_ name: String) throws {
    self.name = name
    try must("ip", "netns", "add", name)
    try must("ip", "-n", name, "link", "set", "lo", "up")
  }

  /// What stands before a command that is to run inside.
  var prefix: [String] { ["ip", "netns", "exec", name] }

  func open() throws -> NetworkNamespace { try NetworkNamespace(name) }

  /// Runs a program inside to its end, whatever its exit code.
  func attempt(_ arguments: String..., timeLimit: Double = 60) throws -> CommandResult {
    try EndToEndTests.run(prefix + arguments, timeLimit: timeLimit)
  }

  /// Runs a shell command inside that must succeed, and answers what it printed.
  @discardableResult
  func run(_ text: String, timeLimit: Double = 60) throws -> String {
    let result = try EndToEndTests.run(prefix + ["bash", "-c", text], timeLimit: timeLimit)
    guard result.code == 0 else {
      throw CommandFailure(
        description: "in \(name): `\(text)` ended with \(result.code)\n\(result.output)\(result.error)")
    }
    return result.output
  }

  /// Starts a program inside, beside the test.
  func start(_ arguments: [String], environment: [String: String] = [:]) throws -> Command {
    try Command(prefix + arguments, environment: environment)
  }

  /// What `ip --json` prints about `words`.
  func ip(_ words: String) throws -> [[String: Any]] {
    let text = try must("bash", "-c", "ip -n \(name) --json \(words)")
    return try array(text.isEmpty ? "[]" : text)
  }

  /// The one object that `ip --json link show` prints about a link; nil where there is no such link.
  func link(_ name: String) throws -> [String: Any]? {
    try ip("link show").first { $0["ifname"] as? String == name }
  }

  /// Index of a link.
  func index(_ name: String) throws -> Int32 {
    guard let index = try link(name)?["ifindex"] as? Int else {
      throw CommandFailure(description: "\(self.name) has no link \(name)")
    }
    return Int32(index)
  }

  /// Names of its TAPs.
  var taps: [String] {
    let list = (try? must("ip", "-n", name, "-o", "link", "show", "type", "tun")) ?? ""
    return list.split(separator: "\n").map { "\(name) \($0.split(separator: " ")[1])" }
  }

  /// Processes in it.
  var processes: [Int32] {
    let list = (try? must("ip", "netns", "pids", name)) ?? ""
    return list.split(separator: "\n").compactMap { Int32($0) }
  }

  func remove() {
    for id in processes { kill(id, SIGKILL) }
    _ = try? EndToEndTests.run(["ip", "netns", "del", name], timeLimit: 20)
  }
}

extension Scratch {
  /// A new namespace with the loopback link up, which is removed after the test.
  func namespace(_ role: String) throws -> Namespace {
    let namespace = try Namespace("sge\(getpid())-\(path.suffix(6))-\(role)")
    namespaces.append(namespace)
    return namespace
  }

  /// TAPs in the namespaces of the test.
  var links: [String] { namespaces.flatMap(\.taps) }
}
