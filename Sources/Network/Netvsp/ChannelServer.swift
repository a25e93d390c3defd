import Ethernet
import LinuxIO
import NetvscProtocol
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The work of the host's end of one channel of a NIC, owned by one thread.
///
/// A struct, so that the compiler checks the access to its parts, and not the runtime with every frame. A packet is taken
/// from the ring only while nothing waits for room in the other ring or in the port, so that what waits is bounded.
struct ChannelServer: ~Copyable {
  /// An answer that the ring had no room for.
  struct OwedCompletion {
    var transactionID: UInt64
    var completion: NVSPCompletion
    var byteCount: Int
  }

  /// The most packets, or frames, that a round takes, so that neither direction waits for long.
  private static let roundLimit = 256
  /// How often a queue may say that something is there when nothing was found.
  private static let idleLimit = 4
  /// How many rounds there are before the thread may look whether it is to stop.
  private static let runLimit = 64

  let session: NICSession
  let signal: EndpointSignal
  let counters: NetvspCounters
  let index: Int
  let channel: Channel
  let sink: GuestSink

  private(set) var fault: ChannelError?
  /// Nothing is written any more.
  var isSilent = false

  var plan = ChannelPlan()
  private var knownGeneration: UInt64 = 0
  var transmit: TransmitPath
  private let queue: any EthernetQueue
  /// The send buffer, while a packet waits that may lie in it.
  private var heldBuffer: GPADLMapping?

  var owed: [OwedCompletion] = []
  var reply = [UInt8](repeating: 0, count: 128)
  /// What only the primary channel has.
  var negotiation = NegotiationState()
  var device: DeviceState
  var control = ControlReplies()

  private let readiness: Epoll
  /// Whether `readiness` watches the queue: not while the guest has no room for what it would tell.
  private var isWatching = true
  private var isGuestFull = false
  /// Whether the last round left something that no descriptor tells: it stopped at a limit, or did other work than to move
  /// packets and frames.
  private var mustLookAgain = false

  /// A server whose `readiness` watches `signal` and `queue` already.
  init(
    _ session: NICSession, _ channel: Channel, index: Int, queue: any EthernetQueue, signal: EndpointSignal,
    readiness: Epoll, counters: NetvspCounters
  ) throws(Errno) {
    let sink = try GuestSink(channel, counters: counters)
    let transmit = try TransmitPath(counters: counters)
    self.counters = counters
    self.sink = sink
    self.transmit = transmit
    self.session = session
    self.channel = channel
    self.index = index
    self.queue = queue
    self.signal = signal
    self.readiness = readiness
    device = DeviceState(address: session.nic.address)
  }

  var isPrimary: Bool { index == 0 }

  // MARK: The loop

  mutating func run() -> Bool {
    var worked = false
    var idleCount = 0
    var roundCount = 0
    while true {
      mustLookAgain = false
      let hasWorked = round()
      if hasWorked {
        worked = true
        roundCount += 1
        if roundCount == Self.runLimit {
          // There may be more: whoever runs this comes back.
          signal.raise()
          return true
        }
        // A queue that was drained is not read once more: the descriptor that it is waited for by tells what comes.
        if mustLookAgain { continue }
      }
      guard !isSilent else { return worked }
      let isBlocked = transmit.transfer != nil
      watch(!queue.isEnded && (!isGuestFull || isBlocked))
      // While the guest is full, frames that have come are no reason to look again.
      guard queue.prepareToWait(forRoom: isBlocked), !isGuestFull else { return worked }
      if hasWorked { continue }
      idleCount += 1
      if idleCount >= Self.idleLimit { return true }
    }
  }

  /// One pass over ring and queue; false when there was nothing to do.
  private mutating func round() -> Bool {
    signal.consume()
    guard !isSilent else { return false }
    if session.generation.load(ordering: .acquiring) != knownGeneration {
      refreshPlan()
      mustLookAgain = true
    }
    // Looked at before the ring is drained: what the guest wrote before it wanted its buffers back is served.
    let isRevoked = plan.isRevoked
    var worked = sendOwed()
    if plan.isRevoked || worked { mustLookAgain = true }
    worked = takePackets() || worked
    if isRevoked, transmit.transfer == nil, owed.isEmpty { worked = letGoOfBuffers() || worked }
    if isPrimary, serveControl() {
      worked = true
      mustLookAgain = true
    }
    worked = forward() || worked
    if let error = sink.fault { fail(error) }
    if worked, !isSilent {
      do throws(ChannelError) { try channel.flush() } catch { fail(error) }
    }
    return worked
  }

  /// Ends the service: the guest has broken the rules, or the channel is gone. The guest's memory is let go.
  mutating func fail(_ error: ChannelError) {
    if fault == nil { fault = error }
    isSilent = true
    _ = transmit.finish()
    heldBuffer = nil
    plan = ChannelPlan()
    sink.apply(plan, index: index)
    if isPrimary { session.update { $0 = ChannelPlan() } }
    watch(false)
  }

  mutating func refreshPlan() {
    knownGeneration = session.generation.load(ordering: .acquiring)
    plan = session.plan
    transmit.frameByteCount = plan.frameByteCount
    sink.apply(plan, index: index)
  }

  /// Changes the plan of all channels.
  mutating func update(_ change: (inout ChannelPlan) -> Void) {
    session.update(change)
    refreshPlan()
  }

  /// The guest wants its buffers back without having said so in the ring: no channel uses them any more.
  private mutating func letGoOfBuffers() -> Bool {
    guard plan.isRevoked else { return false }
    update { plan in
      if plan.receive?.mapping.isRevoked == true { plan.receive = nil }
      if plan.send?.mapping.isRevoked == true { plan.send = nil }
    }
    return true
  }

  /// Takes what there is, as long as nothing waits.
  private mutating func takePackets() -> Bool {
    var worked = continueTransfer()
    let channel = channel
    var count = 0
    while !isSilent, count < Self.roundLimit, owed.isEmpty, transmit.transfer == nil {
      do throws(ChannelError) {
        guard try channel.receive({ descriptor, packet in handle(descriptor, packet) }) != nil else { break }
      } catch {
        fail(error)
        break
      }
      count += 1
    }
    if count > 0 {
      worked = true
      queue.flush()
    }
    if worked, count == Self.roundLimit || !owed.isEmpty || transmit.transfer != nil { mustLookAgain = true }
    return worked
  }

  /// Goes on with the packet for which the port had no room; whether it got further.
  private mutating func continueTransfer() -> Bool {
    guard let offset = transmit.transfer?.offset else { return false }
    sendFrames()
    guard transmit.transfer?.offset != offset else { return false }
    queue.flush()
    return true
  }

  /// Lends the frames of the packet that was gathered to the port, and answers it when all are sent.
  mutating func sendFrames() {
    switch queue.isEnded ? .done : transmit.send(to: queue) {
    case .blocked: heldBuffer = plan.send?.mapping ?? heldBuffer
    case .fault(let type): fail(.protocolFault("RNDIS message 0x\(String(type, radix: 16)) among frames"))
    case .done:
      heldBuffer = nil
      guard let transfer = transmit.finish(), transfer.wantsCompletion else { return }
      complete(transfer.transactionID, transfer.hasFailed ? .failure : .success)
    }
  }

  /// Moves frames to the guest; whether there were any.
  private mutating func forward() -> Bool {
    guard !isSilent else { return false }
    if isGuestFull {
      guard sink.isStuck || sink.takeRoomNotice() else { return false }
      isGuestFull = false
    }
    if sink.isStuck {
      // The packet that waits for room goes first.
      sink.flush()
      if sink.isStuck {
        isGuestFull = true
        return false
      }
    }
    let result = queue.forward(to: sink, limit: Self.roundLimit)
    sink.flush()
    if result.frameCount > 0 { queue.flush() }
    isGuestFull = result.isBlocked || sink.isStuck
    if isGuestFull { _ = sink.takeRoomNotice() }
    if isGuestFull || result.frameCount >= Self.roundLimit { mustLookAgain = true }
    return result.frameCount > 0
  }

  private mutating func watch(_ wanted: Bool) {
    guard wanted != isWatching else { return }
    isWatching = wanted
    if wanted {
      do throws(Errno) { try readiness.add(queue.readinessDescriptor, token: 1) } catch {
        fail(.system(what: "watching a queue", error))
      }
    } else {
      readiness.remove(queue.readinessDescriptor)
    }
  }

  // MARK: The end

  mutating func close() {
    // CLOSE overtakes what the guest wrote into the ring before it: that is served first, a ring's worth at most.
    var rounds = 0
    while !isSilent, rounds < 64, takePackets() {
      _ = sendOwed()
      rounds += 1
    }
    isSilent = true
    _ = transmit.finish()
    heldBuffer = nil
    plan = ChannelPlan()
    sink.apply(plan, index: index)
    watch(false)
    queue.close()
    if isPrimary { session.reset() }
    session.endpointClosed(signal)
  }
}
