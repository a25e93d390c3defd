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
    let deadline = monotonicNanoseconds() + 2_000_000_000
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

  /// The end of a sub-channel, waiting until the host has offered it and the kernel has opened it.
  ///
  /// - Throws: `.timedOut`, `.lost`; `.refused` where this kernel can't signal it.
  func subChannel(
    _ index: Int, pageTable: GuestPageTable?, bus: SysfsBus, milliseconds: Int
  ) throws(ChannelError) -> Channel {
    let (entry, region) = try awaitSubChannel(index, bus, milliseconds: milliseconds)
    let own: UIOFile
    do throws(Errno) { own = try UIOFile(path: node) } catch { throw .system(what: "opening \(node)", error) }
    let doorbell = monitorDoorbell(entry.monitor)
    if doorbell == nil, !signalsSubChannels(region) {
      throw .refused(
        what: "sub-channel \(index), which this kernel does not let a program signal,",
        status: MessageStatus.unspecifiedFailure.rawValue)
    }
    return try channel(
      relid: entry.relid, rings: region, file: own, doorbell: doorbell, pageTable: pageTable,
      owner: SubChannelOwner(session: self, region: region, file: own))
  }

  private func awaitSubChannel(
    _ index: Int, _ bus: SysfsBus, milliseconds: Int
  ) throws(ChannelError) -> (SysfsDevice.Channel, MemoryRegion) {
    let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      guard !isLost, let now = bus.device(device.instance) else { throw .lost }
      let found = now.channels.first { $0.subChannelIndex == index && !formerChannels.contains($0.relid) }
      if let found, let region = try mapRings(of: found) { return (found, region) }
      guard monotonicNanoseconds() < deadline else { throw .timedOut(what: "the offer of sub-channel \(index)") }
      sleepThread(nanoseconds: 5_000_000)
    }
  }

  /// The rings of a sub-channel, which are as long as those of the primary channel; nil until the kernel has opened it.
  private func mapRings(of channel: SysfsDevice.Channel) throws(ChannelError) -> MemoryRegion? {
    guard let path = channel.ringPath else { return nil }
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
      doorbell: doorbell ?? UIODoorbell(file, interruptMask: mask), waitDescriptor: file.descriptor,
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
