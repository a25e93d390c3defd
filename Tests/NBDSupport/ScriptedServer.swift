import LinuxIO
import Synchronization

/// An NBD server inside the test, with a disk in memory, that answers as it is told: also wrongly, late or not at all.
public final class ScriptedServer: Sendable {
  /// A request as it came.
  public struct Request: Sendable {
    /// How many came before it, over all connections.
    public var number: Int
    /// NBD_CMD_*.
    public var type: UInt16
    /// NBD_CMD_FLAG_*.
    public var flags: UInt16
    /// Names it in the answer.
    public var cookie: UInt64
    /// First byte.
    public var offset: UInt64
    /// Length in bytes.
    public var length: UInt32
    /// Bytes of a write.
    public var payload: [UInt8]
  }

  /// What is done with a request.
  public enum Response: Sendable {
    /// It is carried out and answered.
    case proper
    /// It fails with this error of the wire.
    case error(UInt32)
    /// These bytes are the answer.
    case bytes([UInt8])
    /// It is carried out, but the connection ends instead of an answer.
    case carryOutAndEnd
    /// The connection ends.
    case end
    /// Nothing is answered.
    case silence
  }

  /// How it behaves.
  public struct Script: Sendable {
    /// Length of the disk.
    public var byteCount: UInt64 = 1 << 20
    /// NBD_FLAG_*: has flags, flush, FUA, trim, zeros.
    public var flags: UInt16 = 0x6d
    /// Whether it knows structured replies, and with them block status.
    public var isStructured = true
    /// Sent instead of the greeting, before the connection ends.
    public var greeting: [UInt8]?
    /// What is done with each request.
    public var response: @Sendable (Request) -> Response = { _ in .proper }

    /// A server without fault.
    public init() {}
  }

  /// Path of its socket.
  public let socket: String
  private let listener: StreamListener
  private let stopEvent: EventFD
  private let state: Mutex<State>

  private struct State {
    var script: Script
    var disk: [UInt8]
    var requestCount = 0
    var connectionCount = 0
    var threads: [WorkerThread] = []
  }

  /// Listens at `socket`.
  public init(at socket: String, _ script: Script = Script()) throws {
    self.socket = socket
    listener = try StreamListener(at: socket)
    stopEvent = try EventFD()
    state = Mutex(State(script: script, disk: [UInt8](repeating: 0, count: Int(script.byteCount))))
    let thread = try WorkerThread(name: "nbd-accept") { [self] in accept() }
    state.withLock { $0.threads.append(thread) }
  }

  /// Ends all connections and threads, and removes the socket. To be called once.
  public func stop() {
    stopEvent.signal()
    while let thread = state.withLock({ $0.threads.popLast() }) { thread.join() }
    try? removeFile(socket)
  }

  /// Another behaviour from the next request on.
  public func setScript(_ change: (inout Script) -> Void) { state.withLock { change(&$0.script) } }

  /// How many connections there have been.
  public var connectionCount: Int { state.withLock { $0.connectionCount } }
  /// The disk.
  public var disk: [UInt8] { state.withLock { $0.disk } }

  private func accept() {
    while waitForInput([stopEvent.descriptor, listener.descriptor], milliseconds: -1) & 1 == 0 {
      guard let socket = try? listener.accept() else { continue }
      let script = state.withLock { state in
        state.connectionCount += 1
        return state.script
      }
      let talk = Talk(socket, stop: stopEvent.descriptor)
      let thread = try? WorkerThread(name: "nbd-serve") { [self] in
        if (try? talk.greet(script)) != nil {
          while let request = try? talk.request(), (try? answer(request, talk)) == true {}
        }
        socket.shutdown()
      }
      if let thread { state.withLock { $0.threads.append(thread) } }
    }
  }

  /// Answers a request; false when the connection is to end.
  private func answer(_ request: Request, _ talk: Talk) throws -> Bool {
    var request = request
    if request.type == 2 { return false }
    let script = state.withLock { state in
      request.number = state.requestCount
      state.requestCount += 1
      return state.script
    }
    switch script.response(request) {
    case .proper: try talk.send(properAnswer(request, script))
    case .error(let number): try talk.send(Self.simple(request.cookie, number))
    case .bytes(let bytes): try talk.send(bytes)
    case .carryOutAndEnd:
      _ = properAnswer(request, script)
      return false
    case .end: return false
    case .silence: break
    }
    return true
  }

  /// Carries a request out, and answers what is to be sent.
  private func properAnswer(_ request: Request, _ script: Script) -> [UInt8] {
    guard request.offset + UInt64(request.length) <= script.byteCount else { return Self.simple(request.cookie, 22) }
    let range = Int(request.offset)..<Int(request.offset + UInt64(request.length))
    switch request.type {
    case 0:
      let bytes = state.withLock { Array($0.disk[range]) }
      if !script.isStructured { return Self.simple(request.cookie, 0) + bytes }
      return Self.chunk(request.cookie, type: 1, isLast: true, bigEndian(request.offset) + bytes)
    case 1: state.withLock { $0.disk.replaceSubrange(range, with: request.payload) }
    case 6: state.withLock { $0.disk.replaceSubrange(range, with: repeatElement(0, count: range.count)) }
    case 7:
      return Self.chunk(
        request.cookie, type: 5, isLast: true, bigEndian(UInt32(1)) + bigEndian(request.length) + bigEndian(UInt32(0)))
    default: break
    }
    return Self.simple(request.cookie, 0)
  }

  /// A simple reply.
  public static func simple(_ cookie: UInt64, _ error: UInt32) -> [UInt8] {
    bigEndian(UInt32(0x6744_6698)) + bigEndian(error) + bigEndian(cookie)
  }

  /// A chunk of a structured reply.
  public static func chunk(_ cookie: UInt64, type: UInt16, isLast: Bool, _ payload: [UInt8]) -> [UInt8] {
    bigEndian(UInt32(0x668e_33ef)) + bigEndian(UInt16(isLast ? 1 : 0)) + bigEndian(type) + bigEndian(cookie)
      + bigEndian(UInt32(payload.count)) + payload
  }
}

/// The bytes of a number as they are on the wire.
public func bigEndian<T: FixedWidthInteger>(_ number: T) -> [UInt8] {
  stride(from: T.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> T($0)) }
}
