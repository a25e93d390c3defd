import Block
import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
import Synchronization
import VMBusChannel
import VMBusProtocol
import WireBytes

/// The work of the host's end of one channel of a SCSI controller, owned by one thread.
///
/// A struct, so that the compiler checks the access to its parts, and not the runtime with every I/O.
///
/// Each command has a slot of a fixed table while it runs. A packet is taken from the ring only while a slot is free
/// and the outgoing ring has room for its answer, so that a finished command never waits for the guest.
struct ChannelServer: ~Copyable {
  /// The most slots of a channel.
  static let maximumDepth = 256
  /// The room that a completion takes in the ring, trailer included: 16 + 64 + 8 bytes.
  static let completionByteCount = 88
  /// The most packets that a round takes, so that finished I/O is answered in between.
  private static let roundLimit = 512

  let session: ControllerSession
  let signal: EndpointSignal
  let counters = StorvspCounters()
  let isPrimary: Bool
  let channel: Channel
  let maximumTransferByteCount: Int
  let depth: Int

  private(set) var fault: ChannelError?
  /// No completion is written any more.
  var isSilent = false

  var negotiation = NegotiationState()
  /// What packets look like; of use once I/O may start.
  var version = StorvscVersion.v6_2

  var slots: [IOSlot]
  var freeSlots: [Int]
  var tables: [256 of ScatterTable]
  var parts: [256 of ScatterTable]
  /// Lists of UNMAP with more than one extent, by slot.
  var extents: [[BlockExtent]]
  /// Memory of `writePattern`, by slot.
  var bounces: [MemoryRegion?]
  var reply = [UInt8](repeating: 0, count: StorvscPacket.byteCount)

  /// Disks in use; a place is reused after its disk went.
  var units: [ChannelUnit?] = []
  /// By address: the place in `units`, or -1.
  var unitIndex = [Int16](repeating: -1, count: DiskAddress.count)
  private var knownGeneration: UInt64 = 0

  /// Packets taken whose answers are not written yet, and how many more may be taken: the ring has room for all of
  /// them.
  private var owedReplies = 0
  private var credits = 0

  private let readiness: Epoll

  var readinessDescriptor: Int32 { readiness.descriptor }

  /// A server whose `readiness` watches `signal` already.
  init(
    _ session: ControllerSession, _ channel: Channel, isPrimary: Bool, signal: EndpointSignal, readiness: Epoll
  ) {
    self.session = session
    self.channel = channel
    self.isPrimary = isPrimary
    self.signal = signal
    self.readiness = readiness
    let options = session.controller.options
    maximumTransferByteCount = options.maximumTransferByteCount
    depth = options.channelDepth
    slots = Array(repeating: IOSlot(), count: depth)
    freeSlots = Array((0..<depth).reversed())
    // One piece for each page at most, plus one where the first does not start at a page.
    let pieces = options.maximumTransferByteCount / pageByteCount + 1
    tables = .init { _ in ScatterTable(capacity: pieces) }
    parts = .init { _ in ScatterTable(capacity: pieces) }
    extents = Array(repeating: [], count: depth)
    bounces = Array(repeating: nil, count: depth)
  }

  // MARK: The loop

  mutating func run() -> Bool {
    var worked = false
    while round() { worked = true }
    return worked
  }

  /// One pass over ring and queues; false when there was nothing to do.
  private mutating func round() -> Bool {
    signal.consume()
    if !isSilent, session.generation.load(ordering: .acquiring) != knownGeneration { refreshUnits() }
    let taken = isSilent ? 0 : takePackets()
    let reaped = reapQueues()
    var hasNotice = false
    if !isSilent, isPrimary, session.isEnumerationDue { hasNotice = sendEnumeration() }
    if !isSilent, taken + reaped > 0 || hasNotice {
      do throws(ChannelError) { try channel.flush() } catch { fail(error) }
    }
    return taken + reaped > 0 || hasNotice
  }

  /// Ends the service: the guest has broken the rules, or the channel is gone.
  mutating func fail(_ error: ChannelError) {
    if fault == nil { fault = error }
    isSilent = true
  }

  /// Takes what there is, as long as there are slots and room for answers.
  private mutating func takePackets() -> Int {
    if !isPrimary {
      // Requests that come early wait in the ring.
      guard let version = session.ioVersion else { return 0 }
      self.version = version
    }
    let channel = channel
    var count = 0
    while !isSilent, count < Self.roundLimit, !freeSlots.isEmpty {
      do throws(ChannelError) {
        if credits == 0, try !findRoom() { break }
        guard try channel.receive({ descriptor, packet in handle(descriptor, packet) }) != nil else { break }
      } catch {
        fail(error)
        break
      }
      count += 1
    }
    if count > 0 { flushSubmissions() }
    return count
  }

  /// Looks for room for as many answers as there are free slots, or for fewer; false when there is none. The guest then
  /// tells when there is.
  private mutating func findRoom() throws(ChannelError) -> Bool {
    var count = freeSlots.count
    while count > 0 {
      let needed = (owedReplies + count) * Self.completionByteCount - 8
      if try channel.requestSpace(forPacketOf: needed) {
        credits = count
        return true
      }
      count /= 2
    }
    return false
  }

  /// A packet was taken: its answer has room in the ring from now on.
  mutating func owe() {
    credits -= 1
    owedReplies += 1
  }

  private mutating func flushSubmissions() {
    for case let unit? in units where unit.hasSubmissions {
      unit.hasSubmissions = false
      unit.queue?.flushSubmissions()
    }
  }

  /// Answers what has finished; finished steps start the next ones.
  private mutating func reapQueues() -> Int {
    var count = 0
    for index in units.indices {
      guard let unit = units[index] else { continue }
      if let queue = unit.queue { count += queue.reap { finishStep($0) } }
      if unit.isRetired, unit.outstanding == 0 { letGo(index) }
    }
    if count > 0 { flushSubmissions() }
    return count
  }

  // MARK: Answers

  /// Writes `reply` as the answer to `transactionID`.
  mutating func sendReply(_ transactionID: UInt64, byteCount: Int) {
    owedReplies -= 1
    if isSilent { return }
    let channel = channel
    do throws(ChannelError) {
      let isSent = try reply.withMutableBytes { bytes throws(ChannelError) in
        try channel.sendCompletion(transactionID: transactionID, payload: bytes.bytes.extracting(first: byteCount))
      }
      guard isSent else { throw .protocolFault("the guest took room in the ring back") }
    } catch {
      fail(error)
    }
  }

  /// ENUMERATE_BUS, when there is room for it; else it stays due.
  private mutating func sendEnumeration() -> Bool {
    guard negotiation.step == .ready else { return false }
    do throws(ChannelError) {
      if credits == 0, try !findRoom() { return false }
      guard session.takeEnumeration() else { return false }
      guard negotiation.version.hasBusEnumeration else { return false }
      credits -= 1
      let count = negotiation.version.packetByteCount
      let channel = channel
      let isSent = try reply.withMutableBytes { bytes throws(ChannelError) in
        bytes.zero(from: 0, count: StorvscPacket.byteCount)
        StorvscPacket(operation: .enumerateBus).store(into: &bytes)
        return try channel.sendInBand(
          transactionID: 0, requestsCompletion: false, payload: bytes.bytes.extracting(first: count))
      }
      guard isSent else { throw .protocolFault("the guest took room in the ring back") }
      return true
    } catch {
      fail(error)
      return false
    }
  }

  // MARK: Disks

  /// The unit at an address of the guest; nil when there is none.
  @inline(__always)
  mutating func unit(path: UInt8, target: UInt8, lun: UInt8) -> Int? {
    if session.generation.load(ordering: .acquiring) != knownGeneration { refreshUnits() }
    guard path == 0, target < 2, lun < 64 else { return nil }
    let index = unitIndex[Int(target) * 64 + Int(lun)]
    return index < 0 ? nil : Int(index)
  }

  private mutating func refreshUnits() {
    knownGeneration = session.generation.load(ordering: .acquiring)
    let nexuses = session.nexuses
    for address in 0..<DiskAddress.count {
      let place = Int(unitIndex[address])
      let known = place < 0 ? nil : units[place]
      if let known, known.nexus === nexuses[address] {
        known.profile = known.nexus.disk.profile
        continue
      }
      if let known {
        known.isRetired = true
        unitIndex[address] = -1
        if known.outstanding == 0 { letGo(place) }
      }
      guard let nexus = nexuses[address] else { continue }
      let free = units.firstIndex { $0 == nil } ?? units.count
      if free == units.count { units.append(nil) }
      units[free] = ChannelUnit(nexus)
      unitIndex[address] = Int16(free)
    }
  }

  /// Ends the queue of a unit that has nothing in flight, and forgets the unit.
  mutating func letGo(_ index: Int) {
    if let queue = units[index]?.queue {
      readiness.remove(queue.readinessDescriptor)
      queue.close()
    }
    units[index] = nil
  }

  /// The queue of a unit, made at its first use.
  mutating func queue(of unit: ChannelUnit) throws(BlockError) -> any BlockQueue {
    if let queue = unit.queue { return queue }
    let queue = try unit.nexus.disk.device.makeQueue(depth: depth)
    guard queue.depth >= depth else {
      queue.close()
      throw .busy
    }
    do throws(Errno) { try readiness.add(queue.readinessDescriptor, token: 1) } catch {
      queue.close()
      throw BlockError(error)
    }
    unit.queue = queue
    return queue
  }

  // MARK: The end

  mutating func close() {
    isSilent = true
    drain()
    // What the guest wrote last should survive also when it closes without a word.
    for index in units.indices {
      guard let unit = units[index], unit.hasWritten, unit.profile.hasWriteCache, !unit.profile.isReadOnly else {
        continue
      }
      if freeSlots.isEmpty { drain() }
      start(IOSlot(work: .flush, unit: Int16(index)))
    }
    drain()
    for index in units.indices { letGo(index) }
    units = []
    unitIndex = Array(repeating: -1, count: DiskAddress.count)
    knownGeneration = 0
    if isPrimary { session.reset() }
    session.endpointClosed(signal)
  }

  /// Waits until nothing is in flight.
  private mutating func drain() {
    flushSubmissions()
    while freeSlots.count < depth {
      signal.consume()
      if reapQueues() == 0, freeSlots.count < depth { _ = readiness.wait(milliseconds: 100) }
    }
  }
}
