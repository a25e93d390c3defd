import CLinux

/// A connected Unix stream socket: bytes without boundaries. Nothing here waits, whatever the flags of the descriptor.
public final class StreamSocket: Sendable {
  private let owned: OwnedDescriptor

  /// The descriptor to wait on.
  public var descriptor: Int32 { owned.number }

  /// How a read or write ended.
  public enum Outcome: Hashable, Sendable {
    /// So many bytes were moved, at least one.
    case moved(Int)
    /// Nothing can be moved now.
    case wouldBlock
    /// The peer has ended the connection (nil), or it failed.
    case ended(Errno?)
  }

  /// Takes over a connected socket.
  public init(adopting owned: consuming OwnedDescriptor) {
    self.owned = owned
  }

  /// Two sockets that are connected with each other.
  public static func pair() throws(Errno) -> (StreamSocket, StreamSocket) {
    var numbers: [Int32] = [-1, -1]
    // SAFETY: the kernel writes two numbers into an array of two.
    _ = try unsafe check(synthgate_stream_pair(&numbers))
    return (
      StreamSocket(adopting: OwnedDescriptor(adopting: numbers[0])),
      StreamSocket(adopting: OwnedDescriptor(adopting: numbers[1]))
    )
  }

  /// Connects to the socket at `path`, without waiting for the listener to accept.
  ///
  /// - Throws: ENOENT or ECONNREFUSED when nobody listens there, EAGAIN when its queue is full, EACCES, ENAMETOOLONG.
  public static func connect(to path: String) throws(Errno) -> StreamSocket {
    // SAFETY: the path is null-terminated during the call.
    StreamSocket(adopting: try unsafe OwnedDescriptor(adopting: check(synthgate_stream_connect(path))))
  }

  /// What a read would find now.
  public enum Pending: Hashable, Sendable {
    /// Bytes.
    case bytes
    /// Nothing yet.
    case nothing
    /// The end of the connection.
    case end
  }

  /// What a read would find now; nothing is taken.
  public var pending: Pending {
    switch synthgate_stream_peek(owned.number) {
    case 1: .bytes
    case -Errno.EAGAIN.rawValue: .nothing
    default: .end
    }
  }

  /// Reads what is there, as much as `target` holds.
  public func read(into target: inout MutableRawSpan) -> Outcome {
    // SAFETY: the kernel writes inside the span during the call.
    let count = unsafe target.withUnsafeMutableBytes { area in
      unsafe synthgate_stream_read(owned.number, area.baseAddress, area.count)
    }
    return outcome(count)
  }

  /// Writes as many of `bytes`, which must not be empty, as the socket takes now.
  public func write(_ bytes: RawSpan) -> Outcome {
    // SAFETY: the kernel reads inside the span during the call.
    let count = unsafe bytes.withUnsafeBytes { area in
      unsafe synthgate_stream_write(owned.number, area.baseAddress, area.count)
    }
    return outcome(count)
  }

  /// Ends the connection for both sides.
  public func shutdown() {
    _ = CLinux.shutdown(owned.number, Int32(SHUT_RDWR))
  }

  private func outcome(_ result: Int) -> Outcome {
    if result > 0 { return .moved(result) }
    if result == 0 { return .ended(nil) }
    let errno = Errno(rawValue: Int32(-result))
    return errno == .EAGAIN ? .wouldBlock : .ended(errno)
  }
}
