import LinuxIO
import Synchronization
public import VMBusChannel
public import VMBusClient
import VMBusProtocol
public import VMBusServer

/// A server with an echo device and a connected client, in this process.
public final class TestBus: Sendable {
  /// What joins the two.
  public enum Attachment: Sendable, CaseIterable {
    /// Memory only.
    case embedded
    /// A Unix socket.
    case socket
    /// Message slots, event flags and signals, as a hypervisor has them.
    case hypervisor

    /// What joins a guest with `server`.
    ///
    /// - Parameter path: of the socket, if there is one.
    public func transport(to server: VMBusServer, path: String) throws -> any BusTransport {
      switch self {
      case .embedded: return server.embeddedTransport()
      case .socket:
        try server.listen(at: path)
        return SocketTransport(path: path)
      case .hypervisor: return HypervisorTransport(server: server)
      }
    }
  }

  /// The host.
  public let server: VMBusServer
  /// The guest.
  public let client: VMBusClient
  /// The device of the host.
  public let device = EchoDevice()
  /// The name of the device at the server.
  public let key: DeviceKey
  /// The socket.
  public let path: String
  /// What the server told.
  public let events: EventLog

  /// Starts both, and connects them.
  public init(
    _ attachment: Attachment, host: VMBusServer.Settings = VMBusServer.Settings(),
    guest: VMBusClient.Settings = VMBusClient.Settings()
  ) throws {
    let events = EventLog()
    var host = host
    host.onEvent = { events.add("\($0)") }
    self.events = events
    server = VMBusServer(host)
    key = server.add(device)
    path = temporarySocketPath()
    client = try VMBusClient(transport: attachment.transport(to: server, path: path), settings: guest)
    try client.connect()
  }

  /// The echo device as the guest sees it.
  public var echo: ClientDevice? {
    client.awaitDevice(class: EchoDevice.interfaceClass, milliseconds: 10_000)
  }

  /// Whether `condition` holds within a minute.
  public func settled(_ condition: () -> Bool) -> Bool {
    Support.settled(condition)
  }

  /// Ends both.
  public func stop() {
    client.disconnect()
    server.stop()
    try? removeFile(path)
  }
}

/// Texts that several threads add.
public final class EventLog: Sendable {
  private let texts = Mutex<[String]>([])

  /// Nothing yet.
  public init() {}

  /// Adds a text.
  public func add(_ text: String) { texts.withLock { $0.append(text) } }

  /// All texts so far.
  public var all: [String] { texts.withLock { $0 } }
}

/// Whether `condition` holds within a minute.
public func settled(_ condition: () -> Bool) -> Bool {
  let deadline = monotonicNanoseconds() + 60_000_000_000
  while monotonicNanoseconds() < deadline {
    if condition() { return true }
    sleepThread(nanoseconds: 1_000_000)
  }
  return condition()
}

private let socketCount = Atomic<Int>(0)

/// A path where nothing is.
public func temporarySocketPath() -> String {
  let number = socketCount.add(1, ordering: .relaxed).newValue
  let path = "/tmp/vmbus-\(monotonicNanoseconds())-\(number).sock"
  return path
}
