import CLinux
public import LinuxIO
import Synchronization

/// Sends `byteCount` bytes over TCP from one namespace to a listener in another, and answers how many arrived as they
/// were sent.
///
/// - Parameter address: of the listener, 4 or 16 bytes.
public func streamBytes(
  _ byteCount: Int, from sender: NetworkNamespace, to receiver: NetworkNamespace, address: [UInt8], port: UInt16
) throws -> Int {
  let family = address.count == 4 ? AF_INET : AF_INET6
  let socketAddress = bytes(of: address, port: port)
  func makeSocket(in namespace: NetworkNamespace) throws -> OwnedDescriptor {
    let number = try namespace.run { socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    return OwnedDescriptor(adopting: try check(number))
  }
  let listener = try makeSocket(in: receiver)
  try withAddress(socketAddress) { bind(listener.number, $0, $1) }
  guard listen(listener.number, 1) == 0 else { throw Errno(rawValue: synthgate_errno()) }

  let listening = listener.number
  let count = ArrivalCount()
  let thread = try WorkerThread(name: "receiver") {
    let connection = synthgate_accept(listening)
    guard connection >= 0 else { return }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let received = read(connection, &buffer, buffer.count)
      if received <= 0 { break }
      let offset = count.value.load(ordering: .relaxed)
      let start = offset % 251
      // Comparing arrays takes most of the time of a build without optimization.
      let isSame = pattern.withUnsafeBytes { memcmp($0.baseAddress! + start, buffer, received) == 0 }
      if !isSame { break }
      count.value.store(offset + received, ordering: .relaxed)
    }
    _ = close(connection)
  }
  do {
    let connection = try makeSocket(in: sender)
    try withAddress(socketAddress) { connect(connection.number, $0, $1) }
    var offset = 0
    while offset < byteCount {
      let size = min(1 << 16, byteCount - offset)
      let start = offset % 251
      try writeAll(Array(pattern[start..<(start + size)]), to: connection.number)
      offset += size
    }
  } catch {
    // The receiver no longer waits for a connection.
    _ = shutdown(listener.number, Int32(SHUT_RDWR))
    thread.join()
    throw error
  }
  thread.join()
  return count.value.load(ordering: .relaxed)
}

private final class ArrivalCount: Sendable {
  let value = Atomic<Int>(0)
}

/// The stream repeats after a prime number of bytes; a part of it from any place fits in here.
private let pattern = (0..<((1 << 16) + 251)).map { UInt8(truncatingIfNeeded: $0 % 251) }

/// sockaddr_in or sockaddr_in6.
private func bytes(of address: [UInt8], port: UInt16) -> [UInt8] {
  let family = UInt8(address.count == 4 ? AF_INET : AF_INET6)
  let head = [family, 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
  let zeros = [UInt8](repeating: 0, count: address.count == 4 ? 8 : 4)
  return address.count == 4 ? head + address + zeros : head + zeros + address + zeros
}

private func withAddress(_ bytes: [UInt8], _ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Int32) throws {
  let result = bytes.withUnsafeBytes {
    body(
      __CONST_SOCKADDR_ARG(__sockaddr__: $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)),
      socklen_t(bytes.count))
  }
  guard result == 0 else { throw Errno(rawValue: synthgate_errno()) }
}
