import LinuxIO
public import SharedMemory
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// A device of the kernel's bus that is bound to uio_hv_generic, from its offer until the host takes it back.
public final class UIODevice: GuestDevice {
  private struct State {
    var session: UIOSession?
    /// The memory of drivers, and the buffers of the session.
    var memory: GuestMemory
  }

  /// The offer of the primary channel, as far as sysfs tells it.
  public let offer: ChannelOffer
  /// The device when it was found.
  public let found: SysfsDevice
  private let bus: SysfsBus
  private let deviceDirectory: String
  private let pool: DMAPool
  private let lost = Atomic<Bool>(false)
  private let state: Mutex<State>

  init(_ found: SysfsDevice, bus: SysfsBus, deviceDirectory: String, pool: DMAPool) {
    self.found = found
    self.bus = bus
    self.deviceDirectory = deviceDirectory
    self.pool = pool
    offer = ChannelOffer(
      interfaceClass: found.interfaceClass, instance: found.instance, relid: found.relid, monitorID: found.monitor,
      connectionID: 0)
    state = Mutex(State(memory: GuestMemory([pool.range])))
  }

  /// The pinned memory of the bus, and the buffers of the device while it is open.
  public var memory: GuestMemory { state.withLock { $0.memory } }

  /// Whether the host has taken the device back.
  public var isLost: Bool { lost.load(ordering: .acquiring) || state.withLock { $0.session?.isLost ?? false } }

  func markLost() {
    lost.store(true, ordering: .releasing)
    state.withLock { $0.session }?.markLost()
  }

  /// Zeroed pinned memory, at contiguous guest addresses.
  ///
  /// - Throws: `.system` with ENOMEM.
  public func allocateMemory(byteCount: Int) throws(ChannelError) -> MemorySlice {
    try pool.allocate(byteCount: byteCount)
  }

  /// The buffer that the kernel has announced to the host for this purpose, whole. Opens the device.
  ///
  /// - Throws: `.system` with ENODEV where the device has none; what `openPrimary` throws.
  public func allocateBuffer(_ purpose: BufferPurpose, byteCount: Int) throws(ChannelError) -> MemorySlice {
    guard let buffer = buffer(purpose, of: try session()) else {
      throw .system(what: "a buffer of the device", .ENODEV)
    }
    return buffer.region.slice
  }

  /// Gives memory of `allocateMemory` back. Buffers belong to the device.
  public func freeMemory(_ slice: MemorySlice) {
    pool.free(slice)
  }

  private func buffer(_ purpose: BufferPurpose, of session: UIOSession) -> UIOSession.Buffer? {
    switch purpose {
    case .receive: session.receiveBuffer
    case .send: session.sendBuffer
    }
  }

  /// Opens the primary channel. The length of the rings is the kernel's.
  ///
  /// - Throws: `.system`, with EBUSY while another process has the device open; `.lost`.
  public func openPrimary(ringByteCount: Int) throws(ChannelError) -> Channel {
    try session().primary(pageTable: pool.range.pageTable)
  }

  /// Not possible alone: see `openSubChannels`.
  ///
  /// - Throws: `.refused`.
  public func openSubChannel(_ index: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> Channel {
    throw .refused(what: "one sub-channel alone", status: MessageStatus.unspecifiedFailure.rawValue)
  }

  /// None for a device without a monitor id.
  ///
  /// The host of such a device is signalled by a system call, and kernels that signal sub-channels thus go through all of
  /// them in the same call, right after the primary one: seen with 6.12.95, they follow a null pointer when the host has
  /// answered the request for sub-channels meanwhile. Nothing that a program does can keep the two apart.
  public var maximumSubChannelCount: Int { found.monitor == nil ? 0 : .max }

  /// Opens the sub-channels 1 to `count`, as far as they come and this kernel can signal them.
  ///
  /// - Throws: `.lost`; `.system` when the kernel has not opened what the host has offered: the device is lost then.
  public func openSubChannels(_ count: Int, ringByteCount: Int, milliseconds: Int) throws(ChannelError) -> [Channel] {
    try session().subChannels(count, pageTable: pool.range.pageTable, bus: bus, milliseconds: milliseconds)
  }

  private func session() throws(ChannelError) -> UIOSession {
    if lost.load(ordering: .acquiring) { throw .lost }
    return try state.withLock { state throws(ChannelError) in
      if let session = state.session { return session }
      let session = try UIOSession(found, deviceDirectory: deviceDirectory, bus: bus)
      state.session = session
      state.memory = Self.memory(pool, session)
      return session
    }
  }

  /// The buffers stand at addresses of their own for each session; the host knows them by number, and no packet names them.
  private static func memory(_ pool: DMAPool, _ session: UIOSession) -> GuestMemory {
    var ranges = [pool.range]
    for buffer in [session.receiveBuffer, session.sendBuffer] {
      guard let region = buffer?.region else { continue }
      let number = bufferCount.wrappingAdd(1, ordering: .relaxed).newValue
      ranges.append(
        GuestMemory.Range(guestAddress: 1 << 47 + (number % (1 << 16)) << 30, region: region, pages: []))
    }
    return GuestMemory(ranges)
  }

  private static let bufferCount = Atomic<UInt64>(0)

  /// The number of a buffer of `allocateBuffer`, whole. Only the kernel can announce other memory.
  ///
  /// - Throws: `.refused` for any other memory.
  public func createGPADL(_ slice: MemorySlice) throws(ChannelError) -> UInt32 {
    let session = state.withLock { $0.session }
    for buffer in [session?.receiveBuffer, session?.sendBuffer] {
      if let buffer, buffer.region.slice == slice { return buffer.gpadl }
    }
    throw .refused(what: "a GPADL of a program", status: MessageStatus.unspecifiedFailure.rawValue)
  }

  /// True: the kernel keeps its buffers announced, whoever uses them.
  public func tearDownGPADL(_ gpadl: UInt32) -> Bool { true }

  /// Lets go of the channels. The kernel closes them for the host when the drivers have let go of them, too.
  public func close() {
    let session = state.withLock { state in
      defer {
        state.session = nil
        state.memory = GuestMemory([pool.range])
      }
      if state.session?.isLost ?? false { lost.store(true, ordering: .releasing) }
      return state.session
    }
    // Outside of the lock: what ends with it are system calls that may take long.
    _ = session
  }
}
