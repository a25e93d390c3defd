import LinuxIO
import WireBytes

/// One connection of a `ScriptedServer`: bytes in both directions, with waiting. (The protocol: doc/proto.md of the NBD
/// project.)
struct Talk: Sendable {
  private let socket: StreamSocket
  private let stop: Int32

  struct Ended: Error {}

  init(_ socket: StreamSocket, stop: Int32) {
    self.socket = socket
    self.stop = stop
  }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      switch socket.write(Array(rest).rawSpan) {
      case .moved(let count): rest = rest.dropFirst(count)
      case .wouldBlock:
        if waitForInput([stop], milliseconds: 1) != 0 { throw Ended() }
      case .ended: throw Ended()
      }
    }
  }

  func receive(_ count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var part = [UInt8](repeating: 0, count: count - bytes.count)
      switch part.withMutableBytes({ socket.read(into: &$0) }) {
      case .moved(let moved): bytes += part[..<moved]
      case .wouldBlock:
        if waitForInput([stop, socket.descriptor], milliseconds: -1) & 1 != 0 { throw Ended() }
      case .ended: throw Ended()
      }
    }
    return bytes
  }

  private func number<T: FixedWidthInteger>(_ bytes: some Sequence<UInt8>, as type: T.Type) -> T {
    bytes.reduce(0) { $0 << 8 | T($1) }
  }

  /// The fixed newstyle handshake, up to the answer to NBD_OPT_GO.
  func greet(_ script: ScriptedServer.Script) throws {
    if let greeting = script.greeting {
      try send(greeting)
      throw Ended()
    }
    try send(Array("NBDMAGICIHAVEOPT".utf8) + bigEndian(UInt16(3)))
    _ = try receive(4)
    while true {
      let head = try receive(16)
      let option = number(head[8..<12], as: UInt32.self)
      _ = try receive(Int(number(head[12..<16], as: UInt32.self)))
      func reply(_ type: UInt32, _ data: [UInt8] = []) throws {
        try send(
          bigEndian(UInt64(0x0003_e889_0455_65a9)) + bigEndian(option) + bigEndian(type)
            + bigEndian(UInt32(data.count)) + data)
      }
      switch option {
      case 8 where script.isStructured: try reply(1)
      case 10 where script.isStructured:
        try reply(4, bigEndian(UInt32(1)) + Array("base:allocation".utf8))
        try reply(1)
      case 7:
        try reply(3, bigEndian(UInt16(0)) + bigEndian(script.byteCount) + bigEndian(script.flags))
        return try reply(1)
      case 2:
        try reply(1)
        throw Ended()
      default: try reply(0x8000_0001)
      }
    }
  }

  func request() throws -> ScriptedServer.Request {
    let head = try receive(28)
    let type = number(head[6..<8], as: UInt16.self)
    let length = number(head[24..<28], as: UInt32.self)
    return ScriptedServer.Request(
      number: 0, type: type, flags: number(head[4..<6], as: UInt16.self), cookie: number(head[8..<16], as: UInt64.self),
      offset: number(head[16..<24], as: UInt64.self), length: length,
      payload: type == 1 ? try receive(Int(min(length, 1 << 26))) : [])
  }
}
