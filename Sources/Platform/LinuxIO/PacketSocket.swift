import CLinux

/// A Unix SEQPACKET socket: packets with boundaries, and descriptors that travel with them.
public struct PacketSocket: ~Copyable, Sendable {
  /// The most descriptors that one packet can carry.
  public static let maximumDescriptors = 8

  private let owned: OwnedDescriptor

  /// The descriptor to wait on.
  public var descriptor: Int32 { owned.number }

  /// Takes over a connected or listening socket.
  public init(adopting owned: consuming OwnedDescriptor) {
    self.owned = owned
  }

  /// Two sockets that are connected with each other.
  public static func pair() throws(Errno) -> Pair {
    var numbers: [Int32] = [-1, -1]
    // SAFETY: the kernel writes two numbers into an array of two.
    _ = try unsafe checkErrno(
      socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &numbers))
    return Pair(
      first: PacketSocket(adopting: OwnedDescriptor(adopting: numbers[0])),
      second: PacketSocket(adopting: OwnedDescriptor(adopting: numbers[1])))
  }

  /// Two sockets that are connected with each other.
  public struct Pair: ~Copyable {
    /// One end.
    public let first: PacketSocket
    /// The other end.
    public let second: PacketSocket
  }

  /// Connects to the socket at `path`.
  ///
  /// - Throws: ENOENT or ECONNREFUSED when nobody listens there, EACCES without permission, ENAMETOOLONG.
  public static func connect(to path: String) throws(Errno) -> PacketSocket {
    // SAFETY: the path is null-terminated during the call.
    try unsafe PacketSocket(adopting: OwnedDescriptor(adopting: check(synthgate_connect(path))))
  }

  /// Listens at `path`, which must not exist.
  ///
  /// - Parameter mode: permissions of the socket file.
  /// - Throws: EADDRINUSE when `path` exists.
  public static func listen(at path: String, mode: UInt32 = 0o600) throws(Errno) -> PacketSocket {
    // SAFETY: the path is null-terminated during the call.
    try unsafe PacketSocket(adopting: OwnedDescriptor(adopting: check(synthgate_listen(path, mode))))
  }

  /// The next connection; waits for it.
  public borrowing func accept() throws(Errno) -> PacketSocket {
    try PacketSocket(adopting: OwnedDescriptor(adopting: check(synthgate_accept(owned.number))))
  }

  /// The next connection of the listening socket `number`, which somebody else owns; waits for it.
  public static func accept(from number: Int32) throws(Errno) -> PacketSocket {
    try PacketSocket(adopting: OwnedDescriptor(adopting: check(synthgate_accept(number))))
  }

  /// Process id of the peer, 0 when it is unknown.
  public var peerProcess: Int32 { max(0, synthgate_peer_process(owned.number)) }

  /// Sends one packet without waiting.
  ///
  /// - Throws: EAGAIN when the peer does not take its packets, EPIPE or ECONNRESET when it is gone.
  public borrowing func send(_ bytes: RawSpan, descriptors: [Int32] = []) throws(Errno) {
    // SAFETY: both areas are read during the call only.
    let sent = unsafe bytes.withUnsafeBytes { area in
      unsafe synthgate_send(owned.number, area.baseAddress, area.count, descriptors, Int32(descriptors.count))
    }
    _ = try check(sent)
  }

  /// Sends one packet without waiting; see `send(_:descriptors:)`.
  public borrowing func send(_ bytes: [UInt8]) throws(Errno) {
    // SAFETY: a byte has no padding.
    try unsafe send(bytes.span.bytes)
  }

  /// Waits for one packet of at most `maximum` bytes; nil at the end of the connection.
  ///
  /// - Throws: EMSGSIZE for a packet that is longer or brings more than eight descriptors, ECONNRESET.
  public borrowing func receive(maximum: Int) throws(Errno) -> Packet? {
    var bytes = [UInt8](repeating: 0, count: maximum)
    var numbers = [Int32](repeating: -1, count: Self.maximumDescriptors)
    var count = Int32(numbers.count)
    // SAFETY: the kernel writes at most `maximum` bytes and `count` numbers, the sizes of the two arrays.
    let received = try unsafe check(synthgate_receive(owned.number, &bytes, maximum, &numbers, &count))
    let packet = Packet(bytes: Array(bytes[..<received]), adopting: Array(numbers[..<Int(count)]))
    return received == 0 ? nil : packet
  }

  /// Ends the connection for both sides; a waiting `receive` or `accept` returns.
  public borrowing func shutdown() {
    _ = CLinux.shutdown(owned.number, Int32(SHUT_RDWR))
  }

}

/// Removes a file, for example a socket that nobody listens to any more (unlink(2)).
///
/// - Throws: ENOENT where there is none.
public func removeFile(_ path: String) throws(Errno) {
  // SAFETY: a null-terminated text during the call.
  _ = try unsafe checkErrno(unlink(path))
}

/// One received packet with its descriptors, each of which is closed unless it is taken.
public final class Packet {
  /// The bytes of the packet.
  public let bytes: [UInt8]
  private var numbers: [Int32]

  init(bytes: [UInt8], adopting numbers: [Int32]) {
    self.bytes = bytes
    self.numbers = numbers
  }

  deinit {
    for number in numbers { _ = close(number) }
  }

  /// How many descriptors have not been taken yet.
  public var descriptorCount: Int { numbers.count }

  /// Takes the first descriptor that has not been taken yet; nil when there is none.
  public func takeDescriptor() -> OwnedDescriptor? {
    numbers.isEmpty ? nil : OwnedDescriptor(adopting: numbers.removeFirst())
  }
}
