import LinuxIO
import Support
import Synchronization
import Testing
import WireBytes

@testable import SyntheticHost

@Suite(.serialized) struct ControlTests {
  /// A control socket that answers with the command; `slow` after a while, `long` with too much for one write.
  private func withControl(_ body: (String) throws -> Void) throws {
    let path = temporarySocketPath()
    let control = try HostControl(path: path) { line in
      if line == "slow" { sleepThread(nanoseconds: 500_000_000) }
      if line == "long" { return "ok " + String(repeating: "x", count: 60_000) }
      return "ok \(line)"
    }
    try body(path)
    control.close()
    control.join()
    #expect(!isSocketFile(path))
    #expect(throws: Errno.ENOENT) { _ = try HostControl.request(socket: path, command: "a") }
  }

  @Test func requests() throws {
    try withControl { path in
      try #expect(HostControl.request(socket: path, command: "status") == "ok status")
      try #expect(HostControl.request(socket: path, command: "") == "ok ")
      try #expect(HostControl.request(socket: path, command: "gr\u{fc}n") == "ok gr\u{fc}n")
      try #expect(HostControl.request(socket: path, command: "long").utf8.count == 60_003)
      let longest = String(repeating: "a", count: HostControl.maximumCommandByteCount)
      try #expect(HostControl.request(socket: path, command: longest) == "ok \(longest)")
      #expect(throws: Errno.EINVAL) { _ = try HostControl.request(socket: path, command: "a\nb") }
      #expect(throws: Errno.EMSGSIZE) { _ = try HostControl.request(socket: path, command: longest + "a") }
      #expect(throws: Errno.ETIMEDOUT) { _ = try HostControl.request(socket: path, command: "slow", milliseconds: 50) }
    }
  }

  @Test func onlyTheUserMayConnect() throws {
    try withControl { path in
      let mode = try readOutput("stat", "-c", "%a %F", path)
      #expect(mode == "600 socket\n")
    }
  }

  /// Sends bytes; answers everything that comes until the end of the connection or the time.
  private func exchange(_ path: String, _ bytes: [UInt8], milliseconds: Int32 = 2000) throws -> (String, ended: Bool) {
    let socket = try StreamSocket.connect(to: path)
    var sent = 0
    while sent < bytes.count {
      guard case .moved(let count) = socket.write(bytes.rawSpan.extracting(droppingFirst: sent)) else { break }
      sent += count
    }
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while waitForInput([socket.descriptor], milliseconds: milliseconds) != 0 {
      guard case .moved(let count) = buffer.withMutableBytes({ socket.read(into: &$0) }) else {
        return (String(decoding: received, as: UTF8.self), true)
      }
      received += buffer.prefix(count)
    }
    return (String(decoding: received, as: UTF8.self), false)
  }

  @Test func severalLinesAndBrokenOnes() throws {
    try withControl { path in
      let several = try exchange(path, Array("a\r\nb\n\nslow\nc".utf8), milliseconds: 900)
      #expect(several.0 == "ok a\nok b\nok \nok slow\n" && !several.ended)
      let broken = try exchange(path, [0xff, 0xfe, 0x0a] + Array("a\n".utf8), milliseconds: 300)
      #expect(broken.0 == "error the line is no UTF-8\nok a\n")
      let long = try exchange(path, [UInt8](repeating: 0x61, count: 20_000))
      #expect(long.0 == "error the line is too long\n" && long.ended)
      let zeros = try exchange(path, [0, 0, 0x0a], milliseconds: 300)
      #expect(zeros.0 == "ok \u{0}\u{0}\n")
    }
  }

  /// Clients that connect and say nothing, or do not read, keep nobody waiting: the idlest has to go.
  @Test func silentClientsAndGreedyOnes() throws {
    try withControl { path in
      var silent: [StreamSocket] = []
      for _ in 0..<(3 * HostControl.maximumClientCount) {
        let socket = try StreamSocket.connect(to: path)
        _ = socket.write(Array("half a li".utf8).rawSpan)
        silent.append(socket)
        // The queue of the listener is short.
        try #expect(HostControl.request(socket: path, command: "a", milliseconds: 5000) == "ok a")
      }
      let greedy = try StreamSocket.connect(to: path)
      let commands = Array(String(repeating: "long\n", count: 100).utf8)
      _ = greedy.write(commands.rawSpan)
      for _ in 0..<20 { try #expect(HostControl.request(socket: path, command: "b", milliseconds: 5000) == "ok b") }
      let gone = silent.filter { waitForInput([$0.descriptor], milliseconds: 0) != 0 }
      #expect(gone.count >= 2 * HostControl.maximumClientCount - 2)
      greedy.shutdown()
      for socket in silent { socket.shutdown() }
    }
  }

  @Test func manyAtOnce() throws {
    try withControl { path in
      let good = Atomic<Int>(0)
      let threads = try (0..<16).map { number in
        try WorkerThread(name: "client") {
          for round in 0..<50
          where
            (try? HostControl.request(socket: path, command: "\(number).\(round)")) == "ok \(number).\(round)"
          {
            good.add(1, ordering: .relaxed)
          }
        }
      }
      for thread in threads { thread.join() }
      #expect(good.load(ordering: .relaxed) == 800)
    }
  }

  @Test func whatIsInTheWay() throws {
    let path = temporarySocketPath()
    _ = try OwnedDescriptor.open(path, flags: 0o102)
    #expect(throws: Errno.EADDRINUSE) { _ = try HostControl(path: path) { $0 } }
    try removeFile(path)
    // A socket that nobody listens at is replaced, one with a listener is not.
    do { _ = try StreamListener(at: path) }
    #expect(isSocketFile(path))
    let first = try HostControl(path: path) { $0 }
    #expect(throws: Errno.EADDRINUSE) { _ = try HostControl(path: path) { $0 } }
    first.close()
    first.join()
  }

  @Test func theHostEndsWhileClientsWait() throws {
    let path = temporarySocketPath()
    let control = try HostControl(path: path) { line in
      sleepThread(nanoseconds: 300_000_000)
      return "ok"
    }
    let idle = try StreamSocket.connect(to: path)
    let outcome = Mutex<Errno?>(nil)
    let thread = try WorkerThread(name: "client") {
      do throws(Errno) { _ = try HostControl.request(socket: path, command: "a") } catch {
        outcome.withLock { $0 = error }
      }
    }
    sleepThread(nanoseconds: 100_000_000)
    control.close()
    control.join()
    thread.join()
    #expect(outcome.withLock { $0 } == .ECONNRESET)
    #expect(waitForInput([idle.descriptor], milliseconds: 1000) != 0)
  }
}

/// What a program prints.
func readOutput(_ words: String...) throws -> String {
  let file = "/tmp/synthgate-output-\(monotonicNanoseconds())"
  let output = try OwnedDescriptor.open(file, flags: 0o1102)
  defer { try? removeFile(file) }
  let null = try OwnedDescriptor.open("/dev/null", flags: 2)
  let process = try ProcessHandle.start(
    ["/usr/bin/env"] + words, input: null.number, output: output.number, error: null.number)
  _ = process.exitCode()
  return try readTextFile(file)
}
