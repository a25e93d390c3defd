import Glibc

/// A TCP socket that listens on the loopback of the calling thread's namespace.
final class LoopbackListener {
  private let listener: Int32
  private var connection: Int32 = -1

  init(port: UInt16) throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0, listen(listener, 4) == 0 else { throw CommandError(description: "listen: \(errno)") }
  }

  deinit {
    if connection >= 0 { close(connection) }
    close(listener)
  }

  private func waitFor(_ descriptor: Int32, milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// What the next connection, or the one there is, sends; empty when nothing comes.
  func read(milliseconds: Int32) -> [UInt8] {
    if connection < 0 {
      guard waitFor(listener, milliseconds: milliseconds) else { return [] }
      connection = accept(listener, nil, nil)
    }
    guard waitFor(connection, milliseconds: milliseconds) else { return [] }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(connection, &bytes, bytes.count)
    return count > 0 ? Array(bytes[..<count]) : []
  }

  func write(_ bytes: [UInt8]) -> Bool { Glibc.write(connection, bytes, bytes.count) == bytes.count }
}
