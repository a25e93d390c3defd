import CLinux

/// A Unix stream socket that takes connections at a path. Nothing here waits.
public final class StreamListener: Sendable {
  private let owned: OwnedDescriptor

  /// The descriptor to wait on: readable while a connection waits.
  public var descriptor: Int32 { owned.number }

  /// Listens at `path`. The socket of a process that is gone is replaced.
  ///
  /// - Parameter mode: permissions of the socket file.
  /// - Throws: EADDRINUSE when `path` exists and is not such a socket, EACCES, ENAMETOOLONG, ENOENT.
  public init(at path: String, mode: UInt32 = 0o600) throws(Errno) {
    let connect = { () throws(Errno) in _ = try StreamSocket.connect(to: path) }
    owned = try replacingAbandonedSocket(at: path, connect: connect) { () throws(Errno) in
      // SAFETY: the path is null-terminated during the call.
      try unsafe OwnedDescriptor(adopting: check(synthgate_stream_listen(path, mode)))
    }
  }

  /// The next connection; nil when none waits.
  ///
  /// - Throws: EMFILE, ENFILE, ENOMEM.
  public func accept() throws(Errno) -> StreamSocket? {
    do throws(Errno) {
      return StreamSocket(adopting: OwnedDescriptor(adopting: try check(synthgate_stream_accept(owned.number))))
    } catch .EAGAIN {
      return nil
    } catch .ECONNABORTED {
      return nil
    }
  }
}

/// Whether there is a socket at `path` itself. Connecting does not tell: what is no socket refuses like one that nobody
/// listens at.
public func isSocketFile(_ path: String) -> Bool {
  // SAFETY: the path is null-terminated during the call.
  unsafe synthgate_is_socket(path) != 0
}

/// Listens at `path`, where a socket may stand whose process is gone: such a one is removed, everything else stays.
///
/// - Parameter connect: tries to reach a listener there.
/// - Throws: EADDRINUSE when something stands in the way; what `listen` throws.
public func replacingAbandonedSocket<Listener: ~Copyable>(
  at path: String, connect: () throws(Errno) -> Void, listen: () throws(Errno) -> Listener
) throws(Errno) -> Listener {
  do throws(Errno) { return try listen() } catch { guard error == .EADDRINUSE else { throw error } }
  guard isSocketFile(path) else { throw .EADDRINUSE }
  do throws(Errno) { try connect() } catch {
    guard error == .ECONNREFUSED else { throw .EADDRINUSE }
    try removeFile(path)
    return try listen()
  }
  throw .EADDRINUSE
}
