import IntegrationServices
import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import VMBusServer
import WireBytes

/// A host with services, and a connected guest, over real rings.
final class ServiceBed: Sendable {
  let server: VMBusServer
  let client: VMBusClient
  let keys: [DeviceKey]
  private let path: String

  init(_ attachment: TestBus.Attachment, _ devices: [any HostDevice]) throws {
    server = VMBusServer()
    keys = devices.map { [server] in server.add($0) }
    path = temporarySocketPath()
    let transport: any BusTransport
    switch attachment {
    case .embedded: transport = server.embeddedTransport()
    case .socket:
      try server.listen(at: path)
      transport = SocketTransport(path: path)
    }
    client = try VMBusClient(transport: transport)
    try client.connect()
  }

  /// The service as the guest sees it.
  func device(_ interfaceClass: GUID) throws -> ClientDevice {
    try #require(client.awaitDevice(class: interfaceClass, milliseconds: 10_000))
  }

  func stop() {
    client.disconnect()
    server.stop()
    try? removeFile(path)
  }
}

/// A guest end like `hv_utils`: answers what the host sends in place, on a thread of its own.
final class UtilGuest: Sendable {
  /// Makes the answers to a message that is no negotiation.
  typealias Handler = @Sendable (_ header: ICHeader, _ payload: [UInt8]) -> [[UInt8]]

  /// What a guest does with a negotiation.
  enum Negotiating: Sendable {
    /// Agrees on the newest of these versions.
    case versions([ICVersion])
    /// Nothing.
    case silence
    /// Sends these bytes.
    case bytes([UInt8])
  }

  private let device: ClientDevice
  private let thread: WorkerThread
  private let mustStop: Flag
  /// The headers of all messages so far.
  let headers: Headers

  final class Flag: Sendable {
    let value = Atomic<Bool>(false)
  }

  final class Headers: Sendable {
    private let list = Mutex<[ICHeader]>([])
    func add(_ header: ICHeader) { list.withLock { $0.append(header) } }
    var all: [ICHeader] { list.withLock { $0 } }
  }

  /// Opens the service with 4 pages a ring, as Linux does.
  init(_ device: ClientDevice, _ negotiating: Negotiating, handler: @escaping Handler) throws {
    self.device = device
    let flag = Flag()
    mustStop = flag
    let headers = Headers()
    self.headers = headers
    // A channel belongs to one thread: it is opened there.
    let opened = Monitor<Result<Void, ChannelError>?>(nil)
    thread = try WorkerThread(name: "util-guest") {
      let channel: Channel
      do throws(ChannelError) { channel = try device.openPrimary(ringByteCount: 4 * 4096) } catch {
        opened.withLock { $0 = .failure(error) }
        return
      }
      opened.withLock { $0 = .success(()) }
      Self.serve(channel, negotiating, handler, flag, headers)
    }
    try #require(opened.wait(milliseconds: 10_000) { $0 }).get()
  }

  private static func serve(
    _ channel: Channel, _ negotiating: Negotiating, _ handler: Handler, _ flag: Flag, _ headers: Headers
  ) {
    while !flag.value.load(ordering: .acquiring), !channel.isLost {
      channel.pollPeer()
      let packet = try? channel.receive { descriptor, packet in packet.array(from: descriptor.payloadOffset) }
      guard let payload = packet ?? nil else {
        try? channel.flush()
        _ = waitForInput([channel.waitDescriptor], milliseconds: 2)
        channel.acknowledgeSignal()
        continue
      }
      guard let header = try? ICHeader(parsing: payload.rawSpan) else {
        Issue.record("the host has sent \(payload.count) bytes that are no message")
        return
      }
      headers.add(header)
      let answers = header.type == .negotiate ? negotiation(negotiating, header, payload) : handler(header, payload)
      for answer in answers {
        _ = try? channel.sendInBand(transactionID: 77, requestsCompletion: false, payload: answer.rawSpan)
      }
      try? channel.flush()
    }
  }

  private static func negotiation(_ negotiating: Negotiating, _ header: ICHeader, _ payload: [UInt8]) -> [[UInt8]] {
    switch negotiating {
    case .silence: return []
    case .bytes(let bytes): return [bytes]
    case .versions(let versions):
      let offered = try? ICNegotiate(parsing: payload.rawSpan, header: header)
      let choice = offered?.choice(frameworks: [ICVersion(3, 0), ICVersion(1, 0)], messages: versions)
      var answer = payload
      answer.withMutableBytes { ICNegotiate.answer(choice, header: header, in: &$0) }
      return [answer]
    }
  }

  /// Closes the service.
  func stop() {
    mustStop.value.store(true, ordering: .releasing)
    thread.join()
    device.close()
  }

  /// The message with another header.
  static func answer(_ payload: [UInt8], _ header: ICHeader) -> [UInt8] {
    var answer = payload
    answer.withMutableBytes { header.store(into: &$0) }
    return answer
  }
}
