public import LinuxIO
import Synchronization

/// A network namespace that is removed, with all links in it, when the last reference ends.
public final class TestNamespace: Sendable {
  private static let count = Atomic<Int>(0)

  /// Its name, as `ip netns` knows it.
  public let name: String

  /// A new namespace with its loopback link up.
  public init() throws {
    let number = TestNamespace.count.add(1, ordering: .relaxed).newValue
    name = "sgtest-\(ownProcess())-\(number)"
    try command("ip netns add \(name)")
    try run("ip link set lo up")
  }

  deinit {
    _ = try? command("ip netns del \(name)")
  }

  /// The namespace, opened.
  public func open() throws -> NetworkNamespace { try NetworkNamespace(name) }

  /// Runs a shell command inside and answers what it printed; throws when it fails.
  @discardableResult
  public func run(_ text: String) throws -> String {
    try command("ip netns exec \(name) \(text)")
  }
}

/// A command that failed, with what it printed.
public struct CommandFailure: Error, CustomStringConvertible {
  /// The command, its exit code and its output.
  public let description: String
}

/// Runs a shell command and answers what it printed, on both outputs; throws when it fails.
@discardableResult
public func command(_ text: String) throws -> String {
  let pipe = try LinePipe()
  let process = try ProcessHandle.start(
    ["/bin/sh", "-c", text], output: pipe.writer.number, error: pipe.writer.number)
  var output: [UInt8] = []
  while true {
    let ready = waitForInput([pipe.reader.number, process.descriptor], milliseconds: -1)
    if ready & 1 != 0 {
      output += try readAvailable(pipe.reader.number)
    } else if ready & 2 != 0 {
      break
    }
  }
  let code = process.exitCode()
  let printed = String(decoding: output, as: UTF8.self)
  guard code == 0 else { throw CommandFailure(description: "`\(text)` ended with \(code): \(printed)") }
  return printed
}

/// Tries for some seconds until `condition` holds; answers whether it does.
public func eventually(seconds: Int = 10, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
  while true {
    if try condition() { return true }
    if monotonicNanoseconds() > deadline { return false }
    sleepThread(nanoseconds: 10_000_000)
  }
}
