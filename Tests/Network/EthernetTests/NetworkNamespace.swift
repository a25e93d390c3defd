import CLinux
import LinuxIO
import Synchronization
import Testing

/// Runs `body` on a thread that is alone in a network namespace of its own; nothing is left of it afterwards.
func inNetworkNamespace(_ body: @escaping @Sendable () throws -> Void) throws {
  let box = FailureBox()
  let thread = try WorkerThread(name: "namespace") {
    do {
      guard unshare(CLONE_NEWNET) == 0 else { throw Errno(rawValue: synthgate_errno()) }
      try run("ip link set lo up")
      try body()
    } catch {
      let text = "\(error)"
      box.text.withLock { $0 = text }
    }
  }
  thread.join()
  if let text = box.text.withLock({ $0 }) { Issue.record("in the namespace: \(text)") }
}

private final class FailureBox: Sendable {
  let text = Mutex<String?>(nil)
}

/// A shell command failed.
struct CommandError: Error, CustomStringConvertible {
  var description: String
}

/// Runs a shell command in the namespace of the calling thread.
func run(_ command: String) throws {
  let process = try ProcessHandle.start(["/bin/sh", "-c", command])
  let code = process.exitCode()
  guard code == 0 else { throw CommandError(description: "\(command): exit code \(code)") }
}
