import Block
import LinuxIO
import SharedMemory
import StorvscProtocol
import Synchronization
import VMBusChannel

/// A queue of a disk on a channel that nobody else uses.
///
/// Everything here runs on the thread that owns the queue, in turns: `submit` cuts a request into SCSI commands and
/// writes them to the ring, `flushSubmissions` rings once, `reap` takes the answers. A command waits in a slot of a fixed
/// table while the ring is full, the disk is busy, or the channel is gone.
///
/// Ring interrupts stay masked until the owner says by `prepareToWait` that it is going to sleep: that unmasks them and
/// looks once more, so that a pair that is busy exchanges no signals and no signal is missed.
///
/// Memory that the host may touch stays untouched until the host has answered, or the channel is closed. A request that
/// is not answered in time therefore ends with `.timedOut` at once only if the host has nothing but buffers of the queue
/// (these stay with it); otherwise the supervisor is told, and `StorvscController.detach` ends the wait.
final class StorvscQueue: BlockQueue {
  let depth: Int
  let disk: StorvscDisk
  let port: StorvscPort
  let member: WriteGate.Member
  let gate: WriteGate
  let options: StorvscOptions
  let counters: StorvscQueueCounters
  let pinned: PinnedMemory
  let notify: @Sendable (StorvscEvent) -> Void

  var channel: Channel?
  /// Commands that a channel takes at a time; halved while the disk is busy.
  var commandLimit: Int
  var commandCount = 0
  var profileVersion: UInt32 = 0
  var geometry: DiskGeometry
  var isDiskGone = false

  var slots: [CommandSlot]
  var freeSlots: FixedQueue
  /// Slots to be sent, in order.
  var toSend: FixedQueue
  var entries: [RequestEntry]
  var freeEntries: FixedQueue
  /// Requests that have to be cut into commands.
  var ready: FixedQueue
  /// Writes that wait for another's gate.
  var deferred: FixedQueue
  /// Writes that need the gate.
  var gated: FixedQueue
  var finished: [BlockCompletion]
  var finishedHead = 0
  var finishedCount = 0
  var writesInFlight = 0
  var delayedCount = 0
  var sequence: UInt64 = 0
  var generation: UInt32
  var faultsInARow = 0
  var hasUnflushed = false
  var ringIsFull = false
  var isMasked = false
  /// Whether the owner may have slept on `readinessDescriptor` since the last `reap`.
  private var isWaiting = false
  var wantsCapacity = false
  var controlCommand: ControlCommand?

  /// The memory of the queue: a page for each slot, the bounce buffers, zeros.
  let memory: MemorySlice
  let memoryAddress: UInt64
  var freeBounces: FixedQueue

  let readiness: Epoll
  let timer: TimerFD
  var timerDue: UInt64 = 0
  var turns: UInt64 = 0
  /// When the channel was lost; zero while there is one. Beyond the limit requests fail.
  var outageSince: UInt64 = 0
  var isFailing = false
  /// Unknown writes that are sent again before anything else.
  var replaysOutstanding = 0
  var isReplaying = false

  /// Bytes of one vstor packet, filled for each command.
  var payload = [UInt8](repeating: 0, count: StorvscPacket.byteCount)

  var readinessDescriptor: Int32 { readiness.descriptor }

  /// Slots beyond those for requests: one for the queue's own commands, one for the control thread's.
  static let extraSlots = 2
  var ownSlot: Int { slots.count - 2 }
  var controlSlot: Int { slots.count - 1 }

  /// How much memory a queue needs.
  static func memoryByteCount(slotCount: Int, _ options: StorvscOptions) -> Int {
    slotCount * pageByteCount + (options.bounceCount + 1) * options.bounceByteCount
  }

  static func slotCount(depth: Int) -> Int {
    min(256, max(8, depth + 8)) + extraSlots
  }

  /// - Parameter memory: of `memoryByteCount`, at contiguous guest addresses from `address` on, zeroed.
  init(
    disk: StorvscDisk, port: StorvscPort, channel: Channel, generation: UInt32, depth: Int, memory: MemorySlice,
    address: UInt64, guestMemory: GuestMemory, options: StorvscOptions,
    notify: @escaping @Sendable (StorvscEvent) -> Void
  ) throws(Errno) {
    self.depth = depth
    self.disk = disk
    self.port = port
    self.channel = channel
    self.generation = generation
    self.memory = memory
    memoryAddress = address
    self.options = options
    self.notify = notify
    counters = port.counters
    gate = disk.gate
    member = disk.gate.members[port.index]
    pinned = PinnedMemory(guestMemory)
    profileVersion = disk.version.load(ordering: .acquiring)
    geometry = disk.geometry
    let slotCount = Self.slotCount(depth: depth)
    slots = Array(repeating: CommandSlot(), count: slotCount)
    commandLimit = slotCount - Self.extraSlots
    freeSlots = FixedQueue(capacity: slotCount)
    for slot in 0..<(slotCount - Self.extraSlots) { freeSlots.append(slot) }
    toSend = FixedQueue(capacity: slotCount)
    // A request that was reported early keeps its entry, and at least one slot, until the host has answered.
    let entryCount = depth + slotCount
    entries = Array(repeating: RequestEntry(), count: entryCount)
    freeEntries = FixedQueue(capacity: entryCount)
    for entry in 0..<entryCount { freeEntries.append(entry) }
    ready = FixedQueue(capacity: entryCount)
    deferred = FixedQueue(capacity: entryCount)
    gated = FixedQueue(capacity: entryCount)
    finished = Array(repeating: BlockCompletion(tag: 0), count: max(1, depth))
    freeBounces = FixedQueue(capacity: options.bounceCount)
    for bounce in 0..<options.bounceCount { freeBounces.append(bounce) }
    readiness = try Epoll(capacity: 4)
    timer = try TimerFD()
    try readiness.add(port.wake.descriptor, token: 1)
    try readiness.add(timer.descriptor, token: 2)
    if channel.waitDescriptor >= 0 { try readiness.add(channel.waitDescriptor, token: 0) }
  }

  // MARK: The protocol

  func submit(_ request: BlockRequest) {
    counters.requests.add(1)
    precondition(request.tag < depth && !freeEntries.isEmpty)
    // A new channel that waits in the mailbox ends the failing.
    if isFailing, port.hasMail.load(ordering: .acquiring) { takeMail() }
    if disk.version.load(ordering: .acquiring) != profileVersion { reloadProfile() }
    if let error = refusal(of: request) {
      finish(tag: request.tag, error: error, extent: nil)
      return
    }
    let index = freeEntries.removeFirst()
    entries[index] = RequestEntry()
    entries[index].request = request
    admit(index)
    cutReady()
  }

  func flushSubmissions() {
    guard hasUnflushed, let channel else { return }
    hasUnflushed = false
    let rung = channel.counters.doorbellsRung.value
    do throws(ChannelError) { try channel.flush() } catch { loseChannel() }
    counters.doorbells.add(channel.counters.doorbellsRung.value &- rung)
  }

  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    turns &+= 1
    if isWaiting { acknowledgeReadiness() }
    if port.hasMail.load(ordering: .acquiring) { takeMail() }
    if timerDue != 0, delayedCount > 0 || turns % 64 == 0 {
      let now = monotonicNanoseconds()
      if now >= timerDue { tick(now) }
    }
    // An answer may only lead to the next command, which an inline host carries out at once: go on until there is
    // something to tell, or nothing to do.
    for _ in 0..<16 {
      let worked = takePackets()
      cutReady()
      flushSubmissions()
      if finishedCount > 0 { break }
      if !worked { break }
    }
    return deliver(body)
  }

  func close() {
    let isUsable = slots.allSatisfy { $0.state != .retired && $0.state != .sent }
    if let channel {
      if channel.waitDescriptor >= 0 { readiness.remove(channel.waitDescriptor) }
      // Whoever gets the channel next wants to be woken by notices.
      _ = try? channel.unmaskInterrupts()
    }
    let handover = channel.map { ChannelHandover(channel: $0) }
    channel = nil
    port.unclaim(handover, generation: generation &+ 1, isUsable: isUsable)
    if isUsable { disk.controller.freeMemory(memory) }
  }

  // MARK: Turns

  /// Takes what the host has sent; answers whether there was anything.
  private func takePackets() -> Bool {
    guard let channel else { return false }
    channel.pollPeer()
    var count = 0
    do throws(ChannelError) {
      // A host that writes without end must not keep the owner from its other work.
      while count < 1024, let packet = try channel.receive({ HostPacket($0, $1) }) {
        count += 1
        handle(packet)
        if self.channel == nil { return true }
      }
      if count > 0 {
        if !isMasked {
          isMasked = true
          channel.maskInterrupts()
        }
        // Gives the space back, and sends what the answers have led to.
        hasUnflushed = true
      }
      if channel.isLost { throw .lost }
      if ringIsFull || !toSend.isEmpty { sendWaiting() }
    } catch {
      loseChannel()
      return true
    }
    return count > 0
  }

  func prepareToWait() -> Bool {
    if finishedCount > 0 || hasUnflushed { return true }
    if let channel {
      do throws(ChannelError) {
        isMasked = false
        if try channel.unmaskInterrupts() { return true }
      } catch {
        loseChannel()
        return true
      }
    }
    if timerDue == 0, freeEntries.count < entries.count || outageSince != 0 {
      setTimer(monotonicNanoseconds() + tickNanoseconds)
    }
    isWaiting = true
    return false
  }

  /// Resets what may have woken the owner.
  private func acknowledgeReadiness() {
    isWaiting = false
    let count = readiness.wait(milliseconds: 0)
    for index in 0..<count {
      switch readiness.token(at: index) {
      case 0: channel?.acknowledgeSignal()
      case 1:
        port.wake.drain()
        if port.hasMail.load(ordering: .acquiring) { takeMail() }
      default:
        timer.acknowledge()
        tick(monotonicNanoseconds())
      }
    }
  }

  private func deliver(_ body: (BlockCompletion) -> Void) -> Int {
    let count = finishedCount
    for _ in 0..<count {
      let completion = finished[finishedHead]
      finishedHead = finishedHead + 1 == finished.count ? 0 : finishedHead + 1
      finishedCount -= 1
      body(completion)
    }
    return count
  }

  func finish(tag: UInt32, error: BlockError?, extent: BlockCompletion.Extent?) {
    var tail = finishedHead + finishedCount
    if tail >= finished.count { tail -= finished.count }
    finished[tail] = BlockCompletion(tag: tag, error: error, extent: extent)
    finishedCount += 1
  }

  func reloadProfile() {
    profileVersion = disk.version.load(ordering: .acquiring)
    geometry = disk.geometry
    isDiskGone = disk.isGone
  }

  private func refusal(of request: BlockRequest) -> BlockError? {
    if isDiskGone || isFailing { return .gone }
    switch request.operation {
    case .flush: return nil
    case .read, .write:
      guard UInt64(request.memory?.byteCount ?? 0) == request.byteCount else { return .misaligned }
    case .discard, .writeZeroes, .extent: break
    }
    guard request.offset <= geometry.byteCount, request.byteCount <= geometry.byteCount - request.offset else {
      return .outOfRange
    }
    switch request.operation {
    case .write, .writeZeroes: return geometry.isReadOnly ? .readOnly : nil
    case .discard:
      if geometry.isReadOnly { return .readOnly }
      return geometry.usesUnmap ? nil : .notSupported
    case .extent: return request.offset == geometry.byteCount ? .outOfRange : nil
    default: return nil
    }
  }
}
