public import LinuxIO
import WireBytes

/// One end of a control connection: lines come in, lines go out.
final class ControlConnection {
  private let socket: StreamSocket
  private let stopping: EventFD?
  private var received: [UInt8] = []
  private var buffer = [UInt8](repeating: 0, count: 4096)

  /// How long the other end may take none of what is sent.
  private static let sendMilliseconds: Int32 = 10_000

  init(_ socket: StreamSocket, stopping: EventFD? = nil) {
    self.socket = socket
    self.stopping = stopping
  }

  /// Answers each line until the connection or the host ends, or the client does what it may not.
  func serve(_ perform: (String) -> String) {
    while true {
      do throws(Errno) {
        guard let bytes = try readLine(maximumByteCount: HostControl.maximumCommandByteCount, milliseconds: -1) else {
          return
        }
        guard let line = String(validating: bytes, as: UTF8.self) else {
          try send(SyntheticHost.failure("the line is no UTF-8"))
          continue
        }
        try send(perform(line))
      } catch {
        if error == .EMSGSIZE { try? send(SyntheticHost.failure("the line is too long")) }
        return
      }
    }
  }

  /// Sends a line.
  ///
  /// - Throws: ETIMEDOUT when the other end takes nothing for ten seconds, and what ended the connection.
  func send(_ line: String) throws(Errno) {
    let bytes = Array(line.utf8) + [0x0a]
    var sent = 0
    while sent < bytes.count {
      switch socket.write(bytes.rawSpan.extracting(droppingFirst: sent)) {
      case .moved(let count): sent += count
      case .wouldBlock:
        guard waitForOutput(socket.descriptor, milliseconds: Self.sendMilliseconds) else { throw .ETIMEDOUT }
      case .ended(let errno): throw errno ?? .EPIPE
      }
    }
  }

  /// The next line without its end; nil at the end of the connection, or when the host ends.
  ///
  /// - Parameter milliseconds: how long in all; -1: no limit.
  /// - Throws: EMSGSIZE for a line that is too long, ETIMEDOUT, and what ended the connection.
  func readLine(maximumByteCount: Int, milliseconds: Int) throws(Errno) -> [UInt8]? {
    let deadline = monotonicNanoseconds() &+ UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      if let end = received.firstIndex(of: 0x0a) {
        guard end <= maximumByteCount else { throw .EMSGSIZE }
        var line = Array(received[..<end])
        received.removeFirst(end + 1)
        if line.last == 0x0d { line.removeLast() }
        return line
      }
      guard received.count <= maximumByteCount else { throw .EMSGSIZE }
      switch buffer.withMutableBytes({ socket.read(into: &$0) }) {
      case .moved(let count): received += buffer.prefix(count)
      case .ended(nil): return nil
      case .ended(let errno?): throw errno
      case .wouldBlock:
        var rest: Int32 = -1
        if milliseconds >= 0 {
          let now = monotonicNanoseconds()
          guard now < deadline else { throw .ETIMEDOUT }
          rest = Int32(clamping: (deadline - now) / 1_000_000 + 1)
        }
        let descriptors = [socket.descriptor] + (stopping.map { [$0.descriptor] } ?? [])
        if waitForInput(descriptors, milliseconds: rest) & 2 != 0 { return nil }
      }
    }
  }
}

extension HostControl {
  /// Sends a command to the host that takes commands at `socket`, and waits for its answer: a line that starts with `ok` or
  /// `error`.
  ///
  /// - Parameters:
  ///   - command: one line without its end; see `SyntheticHost.perform`. Words with blanks are quoted by `command(words:)`.
  ///   - milliseconds: how long the answer may take. A guest's key-value daemon may need half a minute.
  /// - Throws: ENOENT or ECONNREFUSED when no host is there, EACCES; EINVAL for a command of more than one line, EMSGSIZE for
  ///   one that is too long; ETIMEDOUT; ECONNRESET when the host ends meanwhile.
  public static func request(
    socket path: String, command: String, milliseconds: Int = 120_000
  ) throws(Errno) -> String {
    guard !command.utf8.contains(0x0a) else { throw .EINVAL }
    guard command.utf8.count <= maximumCommandByteCount else { throw .EMSGSIZE }
    let connection = ControlConnection(try connect(path, milliseconds: milliseconds))
    try connection.send(command)
    guard
      let answer = try connection.readLine(maximumByteCount: maximumAnswerByteCount, milliseconds: milliseconds)
    else { throw .ECONNRESET }
    return String(decoding: answer, as: UTF8.self)
  }

  /// The command line of these words; those with blanks or quotes are quoted.
  public static func command(words: [String]) -> String {
    words.map(CommandWords.quote).joined(separator: " ")
  }

  private static func connect(_ path: String, milliseconds: Int) throws(Errno) -> StreamSocket {
    let deadline = monotonicNanoseconds() &+ UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      do throws(Errno) { return try StreamSocket.connect(to: path) } catch {
        // Many others connect at the same moment.
        guard error == .EAGAIN, monotonicNanoseconds() < deadline else { throw error }
        sleepThread(nanoseconds: 10_000_000)
      }
    }
  }
}
