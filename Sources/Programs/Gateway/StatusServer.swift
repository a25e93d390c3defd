import DiskFS
import FoundationEssentials
import LinuxIO
import Storvsc
import Synchronization

/// The live state of one mount, as `synthgate status` shows it. Keys are only ever added.
public struct MountStatus: Codable, Sendable, Equatable {
  /// Name of the mount.
  public var name: String
  /// The bus that carries it.
  public var bus: String
  /// Where it is mounted.
  public var directory: String
  /// `serving`, `waiting for the host`, or `ended`.
  public var state: String
  /// Requests that the files got.
  public var requests: UInt64
  /// Bytes read and written through the files.
  public var bytes: UInt64
  /// SCSI commands sent.
  public var commands: UInt64
  /// Doorbells rung towards the host.
  public var doorbells: UInt64
  /// Times that a worker slept and was woken.
  public var wakeups: UInt64
  /// Transfers that were copied because their memory was not the guest's.
  public var bounced: UInt64
  /// Commands sent again.
  public var retried: UInt64
  /// The process that serves it.
  public var process: Int32

  init(
    record: MountRecord, queues: [StorvscQueueStatistics], files: DiskFSCounters, isServing: Bool, isConnected: Bool
  ) {
    name = record.name
    bus = record.bus
    directory = record.directory
    state = !isServing ? "ended" : isConnected ? "serving" : "waiting for the host"
    requests = files.requests
    bytes = files.readBytes + files.writtenBytes
    commands = queues.reduce(0) { $0 + $1.commands }
    doorbells = queues.reduce(0) { $0 + $1.doorbells }
    wakeups = files.wakeUps
    bounced = queues.reduce(0) { $0 + $1.bounces }
    retried = queues.reduce(0) { $0 + $1.retries + $1.replays }
    process = record.process
  }
}

/// Answers each connection to a Unix socket with the live state as one packet of JSON.
final class StatusServer: Sendable {
  private let socket: PacketSocket
  private let path: String
  private let thread: WorkerThread
  private let isStopping: Stopping

  private final class Stopping: Sendable {
    let flag = Atomic<Bool>(false)
  }

  /// Listens at `path`; nil when that is not possible, which costs nothing but the live figures.
  init?<Status: Encodable & SendableMetatype>(path: String, status: @escaping @Sendable () -> Status) {
    guard let socket = try? PacketSocket.listen(at: path) else { return nil }
    let number = socket.descriptor
    let stopping = Stopping()
    let serve = { @Sendable in
      while !stopping.flag.load(ordering: .acquiring) {
        guard let client = try? PacketSocket.accept(from: number) else { return }
        if stopping.flag.load(ordering: .acquiring) { return }
        guard let json = try? JSONEncoder().encode(status()) else { continue }
        // A client that does not read is dropped: the send never waits.
        let bytes = Array(json)
        try? client.send(bytes)
      }
    }
    guard let thread = try? WorkerThread(name: "status", body: serve) else { return nil }
    self.path = path
    self.thread = thread
    isStopping = stopping
    self.socket = socket
  }

  /// Stops answering and removes the socket.
  func stop() {
    isStopping.flag.store(true, ordering: .releasing)
    // The connection wakes the thread, which then finds the flag.
    _ = try? PacketSocket.connect(to: path)
    socket.shutdown()
    thread.join()
    try? removeFile(path)
  }
}

/// The live state of every mount of this machine.
public func liveStatus() throws(GatewayError) -> [MountStatus] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  return runtime.mountNames().compactMap { name in
    queryStatus(MountStatus.self, at: runtime.mountDirectory(name) + "/control.sock")
  }
}

/// What the `StatusServer` at `path` answers; nil when nobody does.
func queryStatus<Status: Decodable>(_ type: Status.Type, at path: String) -> Status? {
  guard let socket = try? PacketSocket.connect(to: path),
    let packet = (try? socket.receive(maximum: 65536)) ?? nil
  else { return nil }
  return try? JSONDecoder().decode(type, from: Data(packet.bytes))
}
