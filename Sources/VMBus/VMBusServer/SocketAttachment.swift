import LinuxIO
import SharedMemory
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The host's side of a guest behind a SEQPACKET socket (`TransportFrame`); it belongs to the guest's control thread.
final class SocketAttachment: GuestAttachment {
  private struct Outgoing {
    let frame: TransportFrame
    /// Kept until the frame is sent; their descriptors travel with it.
    let doorbells: [EventFD]
  }

  private let socket: PacketSocket
  private let mailbox: Mailbox<GuestCommand>
  private let settings: VMBusServer.Settings
  private let guestID: UInt64
  private var queue: [Outgoing] = []
  private var stalledSince: UInt64 = 0
  /// Why the connection is over; nothing is sent or taken any more then.
  private var ending: String?

  /// The most ranges of memory that a guest may have.
  private static let maximumRangeCount = 16
  /// How long a guest may take to introduce itself, or a closing end to end before it is helped.
  private static let helloMilliseconds = 10_000
  private static let tickMilliseconds: Int32 = 10
  /// The most frames that are taken before the mailbox is looked at.
  private static let framesPerTurn = 64

  init(
    _ socket: consuming PacketSocket, guestID: UInt64, settings: VMBusServer.Settings, mailbox: Mailbox<GuestCommand>
  ) {
    self.socket = socket
    self.guestID = guestID
    self.settings = settings
    self.mailbox = mailbox
  }

  var peerProcess: Int32 { socket.peerProcess }

  // MARK: Sending

  func send(_ message: [UInt8], vp: UInt32) {
    enqueue(TransportFrame(.message, payload: message))
  }

  func discardQueue() {
    queue.removeAll { $0.frame.kind != .goodbye }
  }

  func announce(relid: UInt32, doorbells: [EventFD]) {
    enqueue(TransportFrame(.doorbells, value: relid), doorbells: doorbells)
  }

  private func enqueue(_ frame: TransportFrame, doorbells: [EventFD] = []) {
    guard ending == nil else { return }
    if queue.isEmpty { stalledSince = monotonicNanoseconds() }
    queue.append(Outgoing(frame: frame, doorbells: doorbells))
    flush()
  }

  private func flush() {
    guard !queue.isEmpty, ending == nil else { return }
    var sent = 0
    defer { queue.removeFirst(sent) }
    while sent < queue.count {
      do throws(Errno) {
        try socket.send(queue[sent].frame.encoded().rawSpan, descriptors: queue[sent].doorbells.map(\.descriptor))
        sent += 1
        stalledSince = monotonicNanoseconds()
      } catch {
        if error == .EAGAIN { break }
        ending = "sending failed: \(error)"
        return
      }
    }
    if queue.count - sent > settings.queuedMessageCount {
      ending = "the guest does not take its messages"
    }
  }

  private func checkStall() {
    guard !queue.isEmpty else { return }
    let stalled = (monotonicNanoseconds() - stalledSince) / 1_000_000
    if stalled > UInt64(settings.stallMilliseconds) { ending = "the guest has not taken its messages in time" }
  }

  // MARK: Serving

  /// Serves the guest until it, the server, or a fault ends it; answers why.
  func serve() -> String {
    do throws(ChannelError) {
      let control = try introduce()
      loop(control)
    } catch {
      ending = ending ?? "\(error)"
    }
    let reason = ending ?? "ended"
    try? socket.send(TransportFrame.goodbye(reason).encoded().rawSpan)
    socket.shutdown()
    return reason
  }

  private func loop(_ control: GuestControl) {
    var isReleasing = false
    while true {
      // While the guest does not take its messages, none of its own is taken.
      let isListening = ending == nil && queue.isEmpty
      let descriptors = isListening ? [mailbox.descriptor, socket.descriptor] : [mailbox.descriptor]
      let needsTick = (ending == nil && !queue.isEmpty) || control.isClosing
      let ready = waitForInput(descriptors, milliseconds: needsTick ? Self.tickMilliseconds : -1)
      if needsTick {
        flush()
        checkStall()
        control.tick()
      }
      for command in mailbox.take() {
        if case .stop(let reason) = command {
          ending = ending ?? reason
        } else {
          control.perform(command)
        }
      }
      if ready & 2 != 0 { takeFrames(control) }
      if ending != nil, !isReleasing {
        isReleasing = true
        control.end()
      }
      if isReleasing, control.isIdle { return }
    }
  }

  private func takeFrames(_ control: GuestControl) {
    for _ in 0..<Self.framesPerTurn {
      guard ending == nil, queue.isEmpty, waitForInput([socket.descriptor], milliseconds: 0) != 0 else { return }
      do throws(ChannelError) {
        guard let (frame, packet) = try receive() else { return }
        guard frame.kind == .message, packet.descriptorCount == 0 else {
          throw .protocolFault("an unexpected frame (kind \(frame.kind.rawValue))")
        }
        control.receive(frame.payload, connectionID: frame.value)
      } catch {
        ending = "\(error)"
      }
    }
  }

  /// The next frame, a goodbye excepted; nil when the connection is over.
  private func receive() throws(ChannelError) -> (TransportFrame, Packet)? {
    let received: Packet?
    do throws(Errno) {
      received = try socket.receive(maximum: TransportFrame.maximumByteCount)
    } catch {
      throw .system(what: "receiving", error)
    }
    guard let packet = received else {
      ending = "the guest is gone"
      return nil
    }
    let bytes = packet.bytes
    guard let frame = TransportFrame(parsing: bytes.rawSpan) else { throw .protocolFault("a malformed frame") }
    if frame.kind == .goodbye {
      ending = "the guest has left: \(frame.reason)"
      return nil
    }
    return (frame, packet)
  }

  // MARK: Introduction

  /// Takes hello and memory, up to the first control message.
  private func introduce() throws(ChannelError) -> GuestControl {
    let deadline = monotonicNanoseconds() + UInt64(Self.helloMilliseconds) * 1_000_000
    var isGreeted = false
    var files: [(guestAddress: UInt64, file: MemoryFile)] = []
    var ranges: [GuestMemory.Range] = []
    var early: [GuestCommand] = []
    while true {
      let now = monotonicNanoseconds()
      guard now < deadline else { throw .timedOut(what: "the guest's introduction") }
      let remaining = Int32((deadline - now) / 1_000_000) + 1
      let ready = waitForInput([mailbox.descriptor, socket.descriptor], milliseconds: remaining)
      for command in mailbox.take() {
        if case .stop(let reason) = command {
          ending = reason
          throw .lost
        }
        early.append(command)
      }
      guard ready & 2 != 0 else { continue }
      guard let (frame, packet) = try receive() else { throw .lost }
      switch frame.kind {
      case .hello where !isGreeted:
        guard frame.isHello else { throw .protocolFault("a guest of another transport version") }
        isGreeted = true
        enqueue(.hello)
      case .memory where isGreeted:
        guard ranges.count < Self.maximumRangeCount else { throw .protocolFault("too many ranges of memory") }
        let (range, file) = try map(frame, packet)
        let end = range.guestAddress + UInt64(range.region.byteCount)
        for other in ranges
        where range.guestAddress < other.guestAddress + UInt64(other.region.byteCount) && other.guestAddress < end {
          throw .protocolFault("ranges of memory overlap")
        }
        ranges.append(range)
        files.append((range.guestAddress, file))
      case .message where !ranges.isEmpty && packet.descriptorCount == 0:
        let control = GuestControl(
          guestID: guestID, settings: settings, mailbox: mailbox, memory: GuestMemory(ranges), files: files,
          attachment: self)
        for command in early { control.perform(command) }
        control.receive(frame.payload, connectionID: frame.value)
        return control
      default: throw .protocolFault("an unexpected frame (kind \(frame.kind.rawValue))")
      }
    }
  }

  private func map(
    _ frame: TransportFrame, _ packet: Packet
  ) throws(ChannelError) -> (GuestMemory.Range, MemoryFile) {
    guard let (guestAddress, byteCount) = frame.memoryRange, packet.descriptorCount == 1,
      guestAddress % UInt64(pageByteCount) == 0, guestAddress < 1 << 51, byteCount > 0,
      byteCount <= UInt64(settings.guestMemoryByteCount)
    else { throw .protocolFault("a malformed range of memory") }
    do throws(Errno) {
      guard let descriptor = packet.takeDescriptor() else { throw .EBADF }
      let file = try MemoryFile(adopting: descriptor)
      guard UInt64(file.byteCount) == byteCount else { throw .EINVAL }
      return (GuestMemory.Range(guestAddress: guestAddress, region: try MemoryRegion(sharing: file)), file)
    } catch {
      throw .system(what: "mapping the guest's memory", error)
    }
  }

  // MARK: Ends of channels

  func makeEnd(
    _ opening: ChannelOpening, rings: MappedRings, memory: GuestMemory, session: any HostDeviceSession
  ) throws(ChannelError) -> any ChannelEnd {
    do throws(Errno) {
      let hostRings = try EventFD()
      let worker = try ChannelWorker(spinNanoseconds: UInt64(settings.spinMicroseconds) * 1000) {
        EventDoorbell(hostRings)
      }
      let thread = try worker.start(opening, rings: rings, memory: memory, session: session, mailbox: mailbox)
      return SocketEnd(
        relid: opening.relid, worker: worker, hostRings: hostRings, thread: thread, attachment: self)
    } catch {
      throw .system(what: "starting a worker", error)
    }
  }
}

/// The host's end of a channel of a guest behind a socket.
final class SocketEnd: ChannelEnd {
  private let relid: UInt32
  private let worker: ChannelWorker
  /// The host signals it; the guest has it, too.
  private let hostRings: EventFD
  private let thread: WorkerThread
  private unowned let attachment: SocketAttachment

  init(
    relid: UInt32, worker: ChannelWorker, hostRings: EventFD, thread: WorkerThread, attachment: SocketAttachment
  ) {
    self.relid = relid
    self.worker = worker
    self.hostRings = hostRings
    self.thread = thread
    self.attachment = attachment
  }

  var kick: EventFD? { worker.kick }

  func announce() {
    attachment.announce(relid: relid, doorbells: [worker.guestRings, hostRings])
  }

  func close() { worker.stop() }

  /// Lets a thread go on that waits because the guest has made `hostRings` blocking and filled it.
  func unblock() {
    // A signal that the guest has not seen yet is not ours to take: its own control plane wakes it the same way.
    if hostRings.isFull { hostRings.drain() }
  }

  func join() { thread.join() }
}
