import LinuxIO
import SharedMemory
import Synchronization
public import VMBusChannel
import WireBytes

/// The transport to a host in another process, behind a Unix socket (`TransportFrame`).
public final class SocketTransport: BusTransport {
  private let path: String
  private static let helloMilliseconds: Int32 = 10_000

  /// A host that listens at `path`.
  public init(path: String) {
    self.path = path
  }

  /// Connects, hands the memory over, and waits for the host's greeting.
  ///
  /// - Throws: `.system` when nobody listens, `.timedOut`, `.refused`, `.protocolFault`.
  public func connect(memory: SharedGuestMemory, receiver: any BusReceiver) throws(ChannelError) -> any BusLink {
    do throws(Errno) {
      let socket = try PacketSocket.connect(to: path)
      try socket.send(TransportFrame.hello.encoded().rawSpan)
      try socket.send(
        TransportFrame.memory(guestAddress: memory.guestAddress, byteCount: memory.file.byteCount).encoded().rawSpan,
        descriptors: [memory.file.descriptor])
      guard waitForInput([socket.descriptor], milliseconds: Self.helloMilliseconds) != 0 else { throw .ETIMEDOUT }
      guard let packet = try socket.receive(maximum: TransportFrame.maximumByteCount) else { throw .ECONNRESET }
      let bytes = packet.bytes
      guard let frame = TransportFrame(parsing: bytes.rawSpan), frame.isHello else { throw .EPROTO }
      let link = try SocketLink(socket, receiver: receiver)
      try link.start()
      return link
    } catch {
      throw .system(what: "connecting to \(path)", error)
    }
  }
}

/// A connection with a host behind a socket.
final class SocketLink: BusLink {
  private struct Outgoing: Sendable {
    var frames: [TransportFrame] = []
    var stalledSince: UInt64 = 0
    var ending: String?
  }

  private let socket: PacketSocket
  private let receiver: any BusReceiver
  private let outgoing = Mutex(Outgoing())
  private let doorbells = Mutex<[UInt32: (guestRings: EventFD, hostRings: EventFD)]>([:])
  private let wake: EventFD
  private let thread = Mutex<WorkerThread?>(nil)

  private static let maximumQueuedFrames = 65536
  private static let stallNanoseconds: UInt64 = 10_000_000_000
  private static let maximumRelid: UInt32 = 2047

  init(_ socket: consuming PacketSocket, receiver: any BusReceiver) throws(Errno) {
    self.socket = socket
    self.receiver = receiver
    wake = try EventFD()
  }

  func start() throws(Errno) {
    let started = try WorkerThread(name: "vmbus-client") { [self] in
      let reason = serve()
      socket.shutdown()
      receiver.ended(reason: reason)
    }
    thread.withLock { $0 = started }
  }

  func join() {
    let ending = thread.withLock { $0.take() }
    ending?.join()
  }

  func send(_ message: [UInt8], connectionID: UInt32) {
    enqueue(TransportFrame(.message, value: connectionID, payload: message))
  }

  func takeWiring(relid: UInt32) -> GuestWiring? {
    guard let pair = doorbells.withLock({ $0.removeValue(forKey: relid) }) else { return nil }
    return GuestWiring(
      doorbell: EventDoorbell(pair.guestRings), waitDescriptor: pair.hostRings.descriptor,
      listener: EventListener(pair.hostRings), wake: pair.hostRings)
  }

  func end(reason: String) {
    enqueue(.goodbye(reason))
    outgoing.withLock { $0.ending = $0.ending ?? reason }
    wake.signal()
  }

  private func enqueue(_ frame: TransportFrame) {
    let isBlocked = outgoing.withLock { outgoing in
      if outgoing.frames.isEmpty { outgoing.stalledSince = monotonicNanoseconds() }
      outgoing.frames.append(frame)
      flush(&outgoing)
      return !outgoing.frames.isEmpty
    }
    if isBlocked { wake.signal() }
  }

  private func flush(_ outgoing: inout Outgoing) {
    var sent = 0
    defer { outgoing.frames.removeFirst(sent) }
    while sent < outgoing.frames.count, outgoing.ending == nil {
      do throws(Errno) {
        try socket.send(outgoing.frames[sent].encoded().rawSpan)
        sent += 1
        outgoing.stalledSince = monotonicNanoseconds()
      } catch {
        if error != .EAGAIN { outgoing.ending = "sending failed: \(error)" }
        break
      }
    }
    guard sent < outgoing.frames.count, outgoing.ending == nil else { return }
    if outgoing.frames.count - sent > Self.maximumQueuedFrames
      || monotonicNanoseconds() - outgoing.stalledSince > Self.stallNanoseconds
    {
      outgoing.ending = "the host does not take its messages"
    }
  }

  /// Takes what comes until either side ends; answers why.
  private func serve() -> String {
    while true {
      let (isBlocked, ending) = outgoing.withLock { outgoing in
        flush(&outgoing)
        return (!outgoing.frames.isEmpty, outgoing.ending)
      }
      if let ending { return ending }
      let ready = waitForInput([wake.descriptor, socket.descriptor], milliseconds: isBlocked ? 1 : -1)
      if ready & 1 != 0 { wake.drain() }
      guard ready & 2 != 0 else { continue }
      do throws(Errno) {
        guard let packet = try socket.receive(maximum: TransportFrame.maximumByteCount) else {
          return "the host is gone"
        }
        if let reason = take(packet) { return reason }
      } catch {
        return "receiving failed: \(error)"
      }
    }
  }

  /// Takes one frame; answers why the connection must end, if it must.
  private func take(_ packet: Packet) -> String? {
    let bytes = packet.bytes
    guard let frame = TransportFrame(parsing: bytes.rawSpan) else { return "the host has sent a malformed frame" }
    switch frame.kind {
    case .message where packet.descriptorCount == 0:
      receiver.received(frame.payload)
      return nil
    case .doorbells where packet.descriptorCount == 2 && frame.value <= Self.maximumRelid:
      guard let guestRings = packet.takeDescriptor(), let hostRings = packet.takeDescriptor() else {
        return "no doorbells"
      }
      let pair = (guestRings: EventFD(adopting: guestRings), hostRings: EventFD(adopting: hostRings))
      doorbells.withLock { $0[frame.value] = pair }
      return nil
    case .goodbye: return "the host has left: \(frame.reason)"
    default: return "the host has sent an unexpected frame (kind \(frame.kind.rawValue))"
    }
  }
}
