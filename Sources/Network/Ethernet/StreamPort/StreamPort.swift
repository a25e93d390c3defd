public import LinuxIO
import Synchronization

/// A port at a Unix stream socket of QEMU (`-netdev stream`), passt, or whatever speaks their framing: each frame after its
/// length, 32 bits big-endian.
///
/// While the peer is gone there is no carrier; the port connects again once a second. The stream has no word for
/// unfinished frames: what is sent is finished in software, its tag put in. It has one queue.
public final class StreamPort: EthernetPort {
  private let connection: StreamConnection
  private let thread: Mutex<WorkerThread?>

  /// A port that connects to the socket at `path`, now if somebody listens there, else later.
  public convenience init(
    connectingTo path: String, options: StreamPortOptions = StreamPortOptions()
  ) throws(EthernetError) {
    try self.init(path: path, socket: nil, options)
  }

  /// A port at a connected socket. It ends with the connection.
  public convenience init(
    adopting socket: StreamSocket, options: StreamPortOptions = StreamPortOptions()
  ) throws(EthernetError) {
    try self.init(path: nil, socket: socket, options)
  }

  private init(path: String?, socket: StreamSocket?, _ options: StreamPortOptions) throws(EthernetError) {
    do throws(Errno) {
      let connection = try StreamConnection(path: path, socket: socket, options)
      self.connection = connection
      thread = Mutex(try WorkerThread(name: "stream") { connection.run() })
    } catch {
      throw .system(what: "stream port", error)
    }
  }

  deinit {
    end()
  }

  /// What the port is now.
  public var info: EthernetPortInfo { connection.info }

  /// One.
  public var maximumQueueCount: Int { 1 }

  /// The queue.
  public func makeQueue() throws(EthernetError) -> any EthernetQueue {
    try connection.claimQueue()
    do throws(Errno) {
      return try StreamQueue(connection)
    } catch {
      connection.releaseQueue()
      throw .system(what: "stream queue", error)
    }
  }

  /// Has `body` called when the peer comes or goes.
  public func observe(_ body: @escaping @Sendable () -> Void) {
    connection.observe(body)
  }

  /// What passed, and what did not.
  public var counters: StreamCounters { connection.counters }

  /// How often the peer was lost.
  public var disconnectCount: Int { connection.disconnectCount }

  /// Why there is no connection, in words; nil while there is one.
  public var disconnectReason: String? { connection.reason }

  /// Ends the connection and the port; its queue is of no use any more. Later calls do nothing.
  public func end() {
    connection.end()
    let worker = thread.withLock { worker in
      defer { worker = nil }
      return worker
    }
    worker?.join()
  }
}

/// How a stream port works.
public struct StreamPortOptions: Hashable, Sendable {
  /// The MTU of the link, in bytes; the stream itself has none.
  public var mtu: Int
  /// How long to wait before connecting again, in milliseconds.
  public var reconnectMilliseconds: Int
  /// How long a peer may take nothing before frames to it are dropped instead of held back, in milliseconds.
  public var stallMilliseconds: Int

  /// Options as given.
  public init(mtu: Int = 1500, reconnectMilliseconds: Int = 1000, stallMilliseconds: Int = 1000) {
    self.mtu = mtu
    self.reconnectMilliseconds = max(1, reconnectMilliseconds)
    self.stallMilliseconds = max(0, stallMilliseconds)
  }
}

/// What passed through a stream port: words that the queue's thread adds to and anybody may read.
public final class StreamCounters: Sendable {
  /// Frames that the peer sent.
  public let framesReceived = Counter()
  /// Frames put into the stream, each segment counted.
  public let framesSent = Counter()
  /// Frames dropped because the peer was gone, or took nothing for too long.
  public let framesDropped = Counter()
  /// Frames dropped because they contradict themselves or are too long.
  public let framesMalformed = Counter()

  init() {}
}
