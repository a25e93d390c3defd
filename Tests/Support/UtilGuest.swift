import LinuxIO
import Synchronization
import VMBusChannel
public import VMBusClient
public import VMBusProtocol
import WireBytes

/// A guest end like `hv_utils`: answers what the host sends in place, on a thread of its own.
public final class UtilGuest: Sendable {
  /// Makes the answers to a message that is no negotiation.
  public typealias Handler = @Sendable (_ header: ICHeader, _ payload: [UInt8]) -> [[UInt8]]

  /// What a guest does with a negotiation.
  public enum Negotiating: Sendable {
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
  public let headers: Headers

  private final class Flag: Sendable {
    let value = Atomic<Bool>(false)
  }

  /// Headers of messages.
  public final class Headers: Sendable {
    private let list = Mutex<[ICHeader]>([])
    fileprivate func add(_ header: ICHeader) { list.withLock { $0.append(header) } }
    /// All so far.
    public var all: [ICHeader] { list.withLock { $0 } }
  }

  /// Opens the service with 4 pages a ring, as Linux does.
  public init(_ device: ClientDevice, _ negotiating: Negotiating, handler: @escaping Handler) throws {
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
    guard let result = opened.wait(milliseconds: 10_000, until: { $0 }) else {
      throw ChannelError.timedOut(what: "opening a service")
    }
    try result.get()
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
      // A host that sends nonsense is not answered, which shows.
      guard let header = try? ICHeader(parsing: payload.rawSpan) else { return }
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
  public func stop() {
    mustStop.value.store(true, ordering: .releasing)
    thread.join()
    device.close()
  }

  /// The message with another header.
  public static func answer(_ payload: [UInt8], _ header: ICHeader) -> [UInt8] {
    var answer = payload
    answer.withMutableBytes { header.store(into: &$0) }
    return answer
  }
}
