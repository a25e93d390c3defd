import Block
import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// The guest's driver of a SCSI controller of the bus (a virtualization service consumer, storvsc): its disks.
///
/// The controller is control plane; its calls may wait and may come from any thread but those that own a queue. Each of
/// its channels (the primary one and the sub-channels that the host gives) serves one queue of one disk: one owner, so
/// that nothing on the way of a request is locked. Queues get the sub-channels first, so that the primary channel, which
/// also carries notices of the host and commands of the control thread, stays free as long as possible. Once a queue has
/// it, that queue passes notices on, and carries the commands out on its own thread by way of a mailbox.
///
/// When the channels are lost, requests wait in their queues; `reattach` goes on over a new device of the same bus.
public final class StorvscController: Sendable {
  /// What the controller was told to do.
  public let options: StorvscOptions

  let ports: [StorvscPort]
  private let notify: @Sendable (StorvscEvent) -> Void
  private let busChange = Atomic<Bool>(false)
  let hostGone = Atomic<Bool>(false)
  let state: Monitor<State>
  private let isWorking = Monitor(false)

  struct State {
    var device: any GuestDevice
    var session: ControlExchange.Session
    var disks: [StorvscDisk] = []
    var generation: UInt32 = 1
    /// Memory that a command which was given up may still be using stays out of this.
    var controlMemory: MemorySlice?
  }

  /// The bytes of a parameter list or of what a control command reads.
  static let controlByteCount = 4096

  /// Opens the device, runs the initialization, opens sub-channels, and finds the disks.
  ///
  /// - Throws: what the device's opening throws; `.refused`, `.protocolFault`, `.timedOut` of the initialization. The
  ///   device is closed then.
  public init(
    device: any GuestDevice, options: StorvscOptions = StorvscOptions(),
    events: @escaping @Sendable (StorvscEvent) -> Void = { _ in }
  ) throws(ChannelError) {
    let options = options.clamped
    self.options = options
    notify = events
    do throws(ChannelError) {
      let (channels, session) = try Self.open(device, options, subChannelCount: options.subChannelCount)
      var ports: [StorvscPort] = []
      for (index, channel) in channels.enumerated() {
        do throws(Errno) {
          let port = try StorvscPort(index: index)
          let handover = ChannelHandover(channel: channel)
          port.state.withLock { $0.channel = handover }
          ports.append(port)
        } catch {
          throw .system(what: "eventfd", error)
        }
      }
      self.ports = ports
      state = Monitor(State(device: device, session: session))
      try findDisks()
    } catch {
      device.close()
      throw error
    }
  }

  /// Instance of the device on the bus.
  public var instance: GUID { state.withLock { $0.device }.offer.instance }

  /// The disks that are there, in the order of target and LUN.
  public var disks: [StorvscDisk] { state.withLock { $0.disks }.filter { !$0.isGone } }

  /// The negotiated version of the protocol, in words.
  public var protocolVersion: String { state.withLock { $0.session.version }.description }

  /// The channels: the primary one and the sub-channels.
  public var channelCount: Int { ports.count }

  /// What the queues on each channel did.
  public var queueStatistics: [StorvscQueueStatistics] { ports.map(\.counters.snapshot) }

  /// Whether the device was lost, or the channels were closed by `detach` or `close`.
  public var isHostGone: Bool { hostGone.load(ordering: .acquiring) || state.withLock { $0.device }.isLost }

  // MARK: Opening

  /// Opens the channels of `device` and runs the protocol up to the point where I/O may start.
  static func open(
    _ device: any GuestDevice, _ options: StorvscOptions, subChannelCount: Int
  ) throws(ChannelError) -> ([Channel], ControlExchange.Session) {
    let primary = try device.openPrimary(ringByteCount: options.ringByteCount)
    let exchange = ControlExchange(channel: primary, milliseconds: options.stepMilliseconds, busChanged: {})
    let limit = min(options.maximumTransferByteCount, max(4096, (primary.maximumOutgoingByteCount - 256) / 8 * 4096))
    let session = try exchange.initialize(maximumTransferByteCount: limit)
    var channels = [primary]
    let count = min(subChannelCount, session.maximumSubChannelCount, device.maximumSubChannelCount)
    guard count > 0 else { return (channels, session) }
    try exchange.createSubChannels(count)
    channels += try device.openSubChannels(
      count, ringByteCount: options.ringByteCount, milliseconds: options.stepMilliseconds)
    return (channels, session)
  }

  // MARK: Control commands

  /// Runs `body` while no other control operation runs.
  func exclusively<R: Sendable>(_ body: () throws(ChannelError) -> R) throws(ChannelError) -> R {
    let isMine: Bool? = isWorking.wait(milliseconds: 4 * options.stepMilliseconds) { isTaken -> Bool? in
      if isTaken { return nil }
      isTaken = true
      return true
    }
    guard isMine != nil else { throw .timedOut(what: "another control operation") }
    defer { isWorking.withLock { $0 = false } }
    return try body()
  }

  /// Carries a command out on the primary channel, whoever has it.
  func execute(
    _ cdb: CommandDescriptorBlock, target: UInt8, lun: UInt8, byteCount: Int
  ) throws(ChannelError) -> (ControlReply, [UInt8]) {
    let memory = try controlMemory()
    let (device, version, generation) = state.withLock { state in
      state.generation &+= 1
      return (state.device, state.session.version, state.generation)
    }
    guard let address = device.memory.guestAddress(of: memory) else {
      throw .protocolFault("control memory outside the guest's memory")
    }
    memory.fill(0)
    let command = ControlCommand(
      cdb: cdb, target: target, lun: lun, direction: byteCount == 0 ? .none : .read, byteCount: byteCount,
      guestAddress: address)
    do throws(ChannelError) {
      let reply = try onPrimary { exchange throws(ChannelError) in
        guard let exchange else {
          return try ports[0].execute(command, milliseconds: options.stepMilliseconds)
        }
        return try exchange.execute(command, version: version, generation: generation)
      }
      let count = min(Int(clamping: reply.request.dataTransferByteCount), byteCount)
      return (reply, Array(memory.bytes().prefix(count)))
    } catch {
      // The host may still write to it.
      state.withLock { $0.controlMemory = nil }
      throw error
    }
  }

  private func controlMemory() throws(ChannelError) -> MemorySlice {
    let (known, device) = state.withLock { ($0.controlMemory, $0.device) }
    if let known { return known }
    let memory = try device.allocateMemory(byteCount: Self.controlByteCount)
    state.withLock { $0.controlMemory = memory }
    return memory
  }

  /// Borrows the primary channel; nil goes to `body` when a queue has it.
  private func onPrimary<R: Sendable>(
    _ body: (ControlExchange?) throws(ChannelError) -> R
  ) throws(ChannelError) -> R {
    let port = ports[0]
    let (borrowed, isClaimed) = port.state.withLock { state -> (ChannelHandover?, Bool) in
      guard let channel = state.channel, !state.isClaimed else { return (nil, state.isClaimed) }
      state.isBorrowed = true
      return (channel, false)
    }
    guard let borrowed else {
      if isClaimed { return try body(nil) }
      throw .lost
    }
    do throws(ChannelError) {
      let result = try body(
        ControlExchange(
          channel: borrowed.channel, milliseconds: options.stepMilliseconds, busChanged: { self.noteBusChanged() }))
      port.state.withLock { $0.isBorrowed = false }
      return result
    } catch {
      // A channel on which a control command failed is of no use to a queue either.
      port.state.withLock { state in
        state.isBorrowed = false
        state.channel = nil
      }
      notify(.channelLost)
      throw error
    }
  }

  /// Looks at the primary channel for notices, if no queue does. To be called now and then, for example every second.
  public func poll() {
    guard state.withLock({ !$0.device.isLost }) else { return }
    try? exclusively { () throws(ChannelError) in
      try onPrimary { exchange throws(ChannelError) in
        try exchange?.poll()
      }
    }
  }

  /// A notice of the host: told once until the next `rescan`.
  func noteBusChanged() {
    if !busChange.exchange(true, ordering: .sequentiallyConsistent) { notify(.busChanged) }
  }

  // MARK: Queues and memory

  func makeQueue(for disk: StorvscDisk, depth: Int) throws(BlockError) -> any BlockQueue {
    precondition(depth > 0)
    var claimed: (port: StorvscPort, handover: ChannelHandover, generation: UInt32)?
    for port in ports.dropFirst() + ports.prefix(1) {
      if let (handover, generation) = port.claim() {
        claimed = (port, handover, generation)
        break
      }
    }
    guard let claimed else { throw isHostGone ? .gone : .busy }
    let (port, handover, generation) = claimed
    do throws(BlockError) {
      let slots = StorvscQueue.slotCount(depth: depth)
      let memory = try allocateMemory(byteCount: StorvscQueue.memoryByteCount(slotCount: slots, options))
      let guestMemory = state.withLock { $0.device }.memory
      guard let address = guestMemory.guestAddress(of: memory), address % UInt64(pageByteCount) == 0 else {
        freeMemory(memory)
        throw .noMemory
      }
      do throws(Errno) {
        return try StorvscQueue(
          disk: disk, port: port, channel: handover.channel, generation: generation, depth: depth, memory: memory,
          address: address, guestMemory: guestMemory, options: options, notify: notify)
      } catch {
        freeMemory(memory)
        throw BlockError(error)
      }
    } catch {
      port.unclaim(handover, generation: generation, isUsable: true)
      throw error
    }
  }

  func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    do throws(ChannelError) {
      return try state.withLock { $0.device }.allocateMemory(byteCount: byteCount)
    } catch {
      throw .noMemory
    }
  }

  func freeMemory(_ memory: MemorySlice) {
    state.withLock { $0.device }.freeMemory(memory)
  }

  // MARK: Disks

  /// Looks for disks anew: new ones appear in `disks`, missing ones are gone. Answers whether anything changed.
  ///
  /// - Throws: `.lost`, `.timedOut`.
  @discardableResult
  public func rescan() throws(ChannelError) -> Bool {
    try exclusively { () throws(ChannelError) in
      busChange.store(false, ordering: .sequentiallyConsistent)
      return try matchDisks(isNewHost: false)
    }
  }

  private func findDisks() throws(ChannelError) {
    try exclusively { () throws(ChannelError) in _ = try matchDisks(isNewHost: false) }
  }

  /// Compares what is there with what is known, by the names of the disks.
  @discardableResult
  func matchDisks(isNewHost: Bool) throws(ChannelError) -> Bool {
    let scanner = DiskScanner(controller: self, transfer: state.withLock { $0.session.maximumTransferByteCount })
    let found = try scanner.scan()
    var known = state.withLock { $0.disks }
    var changed = false
    for disk in known {
      let index = found.firstIndex { $0.target == disk.target && $0.lun == disk.lun }
      let profile = index.map { found[$0].profile }
      let isSame =
        profile.map {
          $0.designator == disk.designator && $0.info.sectorByteCount == disk.info.sectorByteCount
        } ?? false
      guard isSame, let profile else {
        if disk.setGone(true) {
          changed = true
          notify(.diskGone(disk))
        }
        continue
      }
      if isNewHost, disk.isClaimed, (try? command(.reserve6, for: disk)) == nil {
        // Somebody else has it now: what this controller still wants to write must not be written.
        disk.dropClaim()
        if disk.setGone(true) { notify(.diskGone(disk)) }
        changed = true
        continue
      }
      if disk.replaceProfile(profile) { notify(.capacityChanged(disk)) }
      if !disk.setGone(false) { changed = true }
    }
    for entry in found where !known.contains(where: { $0.target == entry.target && $0.lun == entry.lun && !$0.isGone })
    {
      known.removeAll { $0.target == entry.target && $0.lun == entry.lun }
      known.append(StorvscDisk(entry.profile, controller: self, target: entry.target, lun: entry.lun))
      changed = true
    }
    known.sort { ($0.target, $0.lun) < ($1.target, $1.lun) }
    let result = known
    state.withLock { $0.disks = result }
    return changed
  }

  /// A command without data to a disk, from the control thread.
  func command(_ cdb: CommandDescriptorBlock, for disk: StorvscDisk) throws(BlockError) {
    let scanner = DiskScanner(controller: self, transfer: 4096)
    let outcome: DiskScanner.Outcome
    do throws(ChannelError) {
      outcome = try scanner.command(cdb, target: disk.target, lun: disk.lun, byteCount: 0)
    } catch {
      if case .timedOut = error { throw .timedOut }
      throw .gone
    }
    if let error = outcome.error { throw error }
  }
}
