import LinuxIO
import Synchronization

/// Takes lines that a guest writes to a serial port, and writes the answers back: how a guest asks its host for something.
final class GuestCommandPort: Sendable {
  private struct State {
    var line: [UInt8] = []
    var lines: [String] = []
    var port: SerialPort?
    var isClosed = false
  }

  private let state = Mutex(State())
  private let event: EventFD
  private let command: @Sendable (String) -> String
  private let thread = Mutex<WorkerThread?>(nil)

  /// The longest line, in bytes; what is more is cut off.
  private static let maximumLineByteCount = 1024
  /// The most lines that wait; more are lost.
  private static let maximumLineCount = 16

  init(_ command: @escaping @Sendable (String) -> String) throws(Errno) {
    event = try EventFD()
    self.command = command
    let started = try WorkerThread(name: "vm-commands") { [self] in serve() }
    thread.withLock { $0 = started }
  }

  /// Where the answers go.
  func connect(to port: SerialPort) {
    state.withLock { $0.port = port }
  }

  /// A byte of the guest; on the thread of a processor, so that nothing is done here.
  func receive(_ byte: UInt8) {
    let isComplete = state.withLock { state in
      guard byte == 0x0A || byte == 0x0D else {
        if state.line.count < Self.maximumLineByteCount { state.line.append(byte) }
        return false
      }
      let line = String(decoding: state.line, as: UTF8.self)
      state.line = []
      // A terminal that echoes sends our answers back.
      let isEcho = line.hasPrefix("ok") || line.hasPrefix("error")
      guard !line.isEmpty, !isEcho, state.lines.count < Self.maximumLineCount else { return false }
      state.lines.append(line)
      return true
    }
    if isComplete { event.signal() }
  }

  /// Ends the thread.
  func close() {
    state.withLock { $0.isClosed = true }
    event.signal()
    let ending = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    ending?.join()
    state.withLock { $0.port = nil }
  }

  private func serve() {
    while true {
      _ = waitForInput([event.descriptor], milliseconds: -1)
      event.drain()
      let (lines, port, isClosed) = state.withLock { state in
        defer { state.lines = [] }
        return (state.lines, state.port, state.isClosed)
      }
      if isClosed { return }
      for line in lines { port?.receive(Array((command(line) + "\n").utf8)) }
    }
  }
}
