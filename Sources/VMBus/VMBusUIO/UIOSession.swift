import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol
import VMBusRing

/// A device between the first open of its node and the last close, which are OPEN_CHANNEL and CLOSE_CHANNEL to the host.
///
/// Every mapping counts as an open file, too. So all of it hangs on this object: each channel keeps it, and when device and
/// channels have let go, the kernel closes the channel.
final class UIOSession: Sendable {
  /// A buffer of a NIC that the kernel has announced to the host.
  struct Buffer: Sendable {
    let region: MemoryRegion
    let gpadl: UInt32
  }

  /// The device as it was when it was opened.
  let device: SysfsDevice
  let receiveBuffer: Buffer?
  let sendBuffer: Buffer?
  private let uio: SysfsUIO
  private let node: String
  private let file: UIOFile
  private let rings: MemoryRegion
  private let monitorPage: MemoryRegion?
  private let formerChannels: Set<UInt32>
  private let counters = Mutex<[ChannelCounters]>([])
  private let lost = Atomic<Bool>(false)

  /// Opens the device. The kernel then opens the primary channel.
  ///
  /// - Throws: `.system` with EBUSY when somebody else has it open; `.lost` when it is gone; `.system` otherwise.
  init(_ device: SysfsDevice, deviceDirectory: String, bus: SysfsBus) throws(ChannelError) {
    guard let uio = device.uio, let ringMap = uio.rings else { throw .lost }
    guard systemPageByteCount() == pageByteCount else {
      throw .system(what: "pages of \(systemPageByteCount()) bytes; only 4096 are supported", .EOPNOTSUPP)
    }
    let settled = Self.settle(device, bus)
    if settled.isOpen {
      throw .system(what: "another process drives the device", .EBUSY)
    }
    // To signal the host is to write the masks of all channels, also of those that have no rings any more.
    if settled.channels.count > 1, settled.monitor == nil {
      throw .system(what: "sub-channels of the last user have not gone yet", .EBUSY)
    }
    self.device = settled
    self.uio = uio
    formerChannels = Set(settled.channels.map(\.relid))
    node = try UIONode.path(of: uio, in: deviceDirectory)
    do throws(Errno) {
      file = try UIOFile(path: node)
      rings = try Self.map(ringMap, file)
      // Only channels with a monitor id ring through the page.
      monitorPage = if let map = uio.monitorPage { try Self.map(map, file) } else { nil }
      receiveBuffer = try Self.buffer(uio.receiveBuffer, of: device, file)
      sendBuffer = try Self.buffer(uio.sendBuffer, of: device, file)
    } catch {
      throw .system(what: "opening \(node)", error)
    }
  }

  /// Waits for the sub-channels of the last session to go.
  private static func settle(_ device: SysfsDevice, _ bus: SysfsBus) -> SysfsDevice {
    var now = bus.device(device.instance) ?? device
    let deadline = monotonicNanoseconds() + 3_000_000_000
    while now.isOpen || now.channels.count > 1, monotonicNanoseconds() < deadline {
      sleepThread(nanoseconds: 20_000_000)
      now = bus.device(device.instance) ?? now
    }
    return now
  }

  private static func map(_ map: SysfsUIO.Map, _ file: UIOFile) throws(Errno) -> MemoryRegion {
    // A page that the kernel says to be longer than it is must not be mapped beyond it.
    try MemoryRegion(
      device: file.descriptor, byteCount: map.byteCount & ~(pageByteCount - 1),
      offset: UInt64(map.index) * UInt64(systemPageByteCount()))
  }

  private static func buffer(
    _ map: SysfsUIO.Map?, of device: SysfsDevice, _ file: UIOFile
  ) throws(Errno) -> Buffer? {
    // Before 6.14 every device has the two buffers; only a NIC uses them.
    guard device.interfaceClass == .network, let map, let gpadl = map.gpadl else { return nil }
    return Buffer(region: try Self.map(map, file), gpadl: gpadl)
  }

  // MARK: Channels

  /// The end of the primary channel.
  func primary(pageTable: GuestPageTable?) throws(ChannelError) -> Channel {
    try channel(
      relid: device.relid, rings: rings, file: file, doorbell: monitorDoorbell(device.monitor), pageTable: pageTable,
      owner: self)
  }

  /// The ends of the sub-channels 1 to `count`, as far as the host offers and the kernel opens them in time.
  ///
  /// Where a sub-channel has no monitor id it is signalled by a system call, which writes the interrupt masks of all
  /// channels. Kernels follow a null pointer then for one that is offered and not open. So nothing is signalled until all
  /// are open, and never again if one of them can't be opened.
  ///
  /// - Throws: `.lost`; `.system` when the kernel has not opened what the host has offered.
  func subChannels(
    _ count: Int, pageTable: GuestPageTable?, bus: SysfsBus, milliseconds: Int
  ) throws(ChannelError) -> [Channel] {
    var open: [(entry: SysfsDevice.Channel, region: MemoryRegion)] = []
    var offered: [SysfsDevice.Channel] = []
    let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    while open.count < count {
      guard !isLost, let now = bus.device(device.instance) else { throw .lost }
      offered = now.channels.filter { $0.subChannelIndex > 0 && !formerChannels.contains($0.relid) }
      if let next = offered.first(where: { $0.subChannelIndex == open.count + 1 }),
        let region = try mapRings(of: next)
      {
        open.append((next, region))
        continue
      }
      guard monotonicNanoseconds() < deadline else { break }
      sleepThread(nanoseconds: 5_000_000)
    }
    let needsCall = device.monitor == nil || open.contains { $0.entry.monitor == nil }
    if needsCall, offered.contains(where: { !$0.hasRings }) {
      markLost()
      throw .system(what: "the kernel did not open a sub-channel, and would crash at the next signal", .ENOMEM)
    }
    let isSignalled = needsCall && !open.isEmpty && signalsSubChannels(open[0].region)
    var channels: [Channel] = []
    for (entry, region) in open {
      guard let channel = try subChannel(entry, region, isSignalled: isSignalled, pageTable) else { break }
      channels.append(channel)
    }
    return channels
  }

  /// Nil where this kernel does not let a program signal it.
  private func subChannel(
    _ entry: SysfsDevice.Channel, _ region: MemoryRegion, isSignalled: Bool, _ pageTable: GuestPageTable?
  ) throws(ChannelError) -> Channel? {
    let doorbell = monitorDoorbell(entry.monitor)
    guard doorbell != nil || isSignalled else { return nil }
    let own: UIOFile
    do throws(Errno) { own = try UIOFile(path: node) } catch { throw .system(what: "opening \(node)", error) }
    return try channel(
      relid: entry.relid, rings: region, file: own, doorbell: doorbell, pageTable: pageTable,
      owner: SubChannelOwner(session: self, region: region, file: own))
  }

  /// The rings of a sub-channel, which are as long as those of the primary channel; nil until the kernel has opened it.
  private func mapRings(of channel: SysfsDevice.Channel) throws(ChannelError) -> MemoryRegion? {
    guard let path = channel.ringPath, channel.hasRings else { return nil }
    do throws(Errno) {
      let readWrite: Int32 = 2
      let file = try OwnedDescriptor.open(path, flags: readWrite)
      return try MemoryRegion(device: file.number, byteCount: rings.byteCount, offset: 0)
    } catch {
      if error == .ENODEV || error == .ENOENT { return nil }
      throw .system(what: "mapping \(path)", error)
    }
  }

  /// Whether the system call that signals the primary channel does so for sub-channels, too (commit d062463edf17).
  ///
  /// The same change makes it write the interrupt mask of all channels; that can be seen. Its back-ports to kernels before
  /// 6.10 write the masks but signal nothing.
  private func signalsSubChannels(_ region: MemoryRegion) -> Bool {
    guard KernelVersion.running?.signalsWithoutMonitor ?? false else { return false }
    let mask = Self.incoming(region).word32(at: RingLayout.interruptMask)
    mask.storeReleasing(1)
    fullMemoryFence()
    try? file.setInterrupts(enabled: true)
    return mask.exchange(0) == 0
  }

  private func monitorDoorbell(_ monitor: UInt8?) -> MonitorDoorbell? {
    guard let monitor, let page = monitorPage?.slice, page.byteCount >= pageByteCount else { return nil }
    return MonitorDoorbell(
      pending: page.word32(at: MonitorPage.pendingOffset(of: monitor)), bit: Int(monitor) % MonitorPage.idsPerGroup)
  }

  private static func incoming(_ region: MemoryRegion) -> MemorySlice {
    region.slice.dropFirst(region.byteCount / 2)
  }

  private func channel(
    relid: UInt32, rings: MemoryRegion, file: UIOFile, doorbell: MonitorDoorbell?, pageTable: GuestPageTable?,
    owner: any AnyObject & Sendable
  ) throws(ChannelError) -> Channel {
    guard RingPairLayout(byteCount: rings.byteCount) != nil else {
      throw .ring(.invalidMemory(byteCount: rings.byteCount))
    }
    let outgoing = rings.slice.slice(at: 0, count: rings.byteCount / 2)
    let incoming = Self.incoming(rings)
    // The kernel sets the indices, and leaves these words as the last user has left them, or holds interrupts back.
    let mask = incoming.word32(at: RingLayout.interruptMask)
    mask.storeReleasing(0)
    outgoing.word32(at: RingLayout.pendingSendSize).storeReleasing(0)
    let channel = try Channel(
      relid: relid, outgoing: outgoing, incoming: incoming, acceptedTypes: .fromHost,
      doorbell: doorbell ?? UIODoorbell(file, interruptMask: mask) { [weak self] in self?.isLost == false },
      waitDescriptor: file.descriptor,
      listener: UIOListener(file) { [weak self] in self?.markLost() }, pageTable: pageTable, owner: owner)
    counters.withLock { $0.append(channel.counters) }
    if isLost { channel.counters.markLost() }
    return channel
  }

  // MARK: The end

  /// Whether the host has taken the device back.
  var isLost: Bool { lost.load(ordering: .acquiring) }

  /// The device is gone. Whoever waits on a channel is awake already: the kernel makes its descriptor readable.
  func markLost() {
    lost.store(true, ordering: .releasing)
    for counters in counters.withLock({ $0 }) { counters.markLost() }
  }
}

/// What an open sub-channel keeps.
private final class SubChannelOwner: Sendable {
  private let session: UIOSession
  private let region: MemoryRegion
  private let file: UIOFile

  init(session: UIOSession, region: MemoryRegion, file: UIOFile) {
    self.session = session
    self.region = region
    self.file = file
  }
}
