import CLinux
import LinuxIO

/// The other end of a stream, spoken to in whole frames or in any pieces.
final class StreamPeer {
  let socket: StreamSocket
  private var received: [UInt8] = []

  init(_ socket: StreamSocket) {
    self.socket = socket
  }

  /// A frame as it stands in the stream.
  static func framed(_ frame: [UInt8]) -> [UInt8] {
    be16(frame.count >> 16) + be16(frame.count & 0xffff) + frame
  }

  /// Writes all bytes, at most `pieceByteCount` at a time.
  func write(_ bytes: [UInt8], pieceByteCount: Int = .max) -> Bool {
    var start = 0
    let deadline = monotonicNanoseconds() + 5_000_000_000
    while start < bytes.count {
      let end = start + min(pieceByteCount, bytes.count - start)
      switch socket.write(bytes.span.bytes.extracting(start..<end)) {
      case .moved(let count): start += count
      case .wouldBlock:
        guard monotonicNanoseconds() < deadline else { return false }
        sleepThread(nanoseconds: 1_000_000)
      case .ended: return false
      }
    }
    return true
  }

  /// Reads at most `byteCount` bytes that are there; false at the end of the stream.
  func read(atMost byteCount: Int = 65_536) -> Bool {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    var span = bytes.mutableSpan
    var target = span.mutableBytes
    switch socket.read(into: &target) {
    case .moved(let count):
      received += bytes[..<count]
      return true
    case .wouldBlock: return true
    case .ended: return false
    }
  }

  /// The next whole frame; nil when none comes in time.
  func nextFrame(milliseconds: Int = 3000, atMost byteCount: Int = 65_536) -> [UInt8]? {
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while true {
      if received.count >= 4 {
        let count = received[..<4].reduce(0) { $0 << 8 | Int($1) }
        if received.count >= 4 + count {
          defer { received.removeFirst(4 + count) }
          return Array(received[4..<(4 + count)])
        }
      }
      guard read(atMost: byteCount), monotonicNanoseconds() < deadline else { return nil }
      _ = waitForInput([socket.descriptor], milliseconds: 20)
    }
  }
}

/// A listening stream socket at a path of its own.
final class StreamListener {
  let path: String
  private var number: Int32 = -1

  init(_ name: String) {
    path = "/tmp/synthgate-\(name)-\(getpid()).sock"
    unlink(path)
  }

  deinit {
    stop()
  }

  func listen() throws {
    number = CLinux.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var bytes = [UInt8](repeating: 0, count: 110)
    bytes[0] = UInt8(AF_UNIX)
    bytes.replaceSubrange(2..<(2 + path.utf8.count), with: path.utf8)
    let result = bytes.withUnsafeBytes { bytes in
      CLinux.bind(
        number, __CONST_SOCKADDR_ARG(__sockaddr__: bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)), 110)
    }
    guard result == 0, CLinux.listen(number, 4) == 0 else { throw Errno(rawValue: synthgate_errno()) }
  }

  func accept(milliseconds: Int32) throws -> StreamPeer? {
    guard waitForInput([number], milliseconds: milliseconds) != 0 else { return nil }
    return StreamPeer(StreamSocket(adopting: OwnedDescriptor(adopting: try check(synthgate_accept(number)))))
  }

  func stop() {
    if number >= 0 { close(number) }
    number = -1
    unlink(path)
  }
}
