import LinuxIO
import Synchronization
public import VMBusChannel
public import VMBusProtocol

/// The kernel's VMBus, as far as devices of it are bound to uio_hv_generic: the kernel runs the control plane, this process
/// the channels.
///
/// Devices that are taken back and offered again are found by looking at sysfs twice a second. The events of the kernel
/// (uevents) would tell sooner, but reach only the first network namespace, and can be lost; and that a device is gone its
/// drivers hear at once anyway, through the device node. A device that is offered again comes up at the driver of its class:
/// the bus binds it again.
public final class UIOBus: GuestBus {
  /// What holds for one bus.
  public struct Settings: Sendable {
    /// The devices to be used; others are left alone.
    public var instances: Set<GUID> = []
    /// The size of the pinned memory that the drivers get. All of it is taken at once.
    public var memoryByteCount = 32 << 20
    /// How long to wait for a device that is gone to be offered again.
    public var reconnectMilliseconds = 60_000
    /// Where sysfs shows the bus.
    public var sysfs = SysfsBus()
    /// Where device nodes are.
    public var deviceDirectory = "/dev"
    /// Loads kernel modules.
    public var loadModule: @Sendable (String) -> String? = loadKernelModule
    /// Told what happens, in order, on a thread of the bus's own; it may open devices.
    public var onEvent: @Sendable (GuestBusEvent) -> Void = { _ in }

    /// The default settings.
    public init() {}
  }

  /// A device that is gone.
  private struct Missing {
    /// When it was missed first, in nanoseconds.
    var since: UInt64
    /// What it was; a kernel may still show it for a while.
    var former: SysfsDevice
  }

  private struct State {
    var devices: [UIODevice] = []
    var missing: [GUID: Missing] = [:]
    var isStopping = false
  }

  /// What holds for this bus.
  public let settings: Settings
  private let pool: DMAPool
  private let state: Monitor<State>
  private let watcher = Mutex<WorkerThread?>(nil)

  /// How often sysfs is looked at.
  private static let turnMilliseconds = 500

  /// Takes the memory, finds the devices, and watches them from now on.
  ///
  /// - Throws: `.system` when the memory can't be had, or its page numbers are not told.
  public init(settings: Settings) throws(ChannelError) {
    self.settings = settings
    let pool: DMAPool
    do throws(Errno) { pool = try DMAPool(byteCount: settings.memoryByteCount) } catch {
      throw .system(what: "\(settings.memoryByteCount >> 20) MiB of memory that the host can reach", error)
    }
    self.pool = pool
    let found = settings.sysfs.devices().filter { settings.instances.contains($0.instance) && $0.uio != nil }
    state = Monitor(
      State(
        devices: found.map {
          UIODevice($0, bus: settings.sysfs, deviceDirectory: settings.deviceDirectory, pool: pool)
        }))
    do throws(Errno) {
      let thread = try WorkerThread(name: "vmbus-uio") { [weak self] in
        while let bus = self, bus.watch() {}
      }
      watcher.withLock { $0 = thread }
    } catch {
      throw .system(what: "starting a thread", error)
    }
  }

  /// What the memory is made of, for a log.
  public var memoryDescription: String { pool.description }

  /// The devices that are there now, in the order of their instances.
  public var devices: [UIODevice] { state.withLock { $0.devices } }

  /// The device of this class, and instance unless that is nil, waiting for it at most `milliseconds`.
  public func awaitDevice(class interfaceClass: GUID, instance: GUID?, milliseconds: Int) -> UIODevice? {
    let found: UIODevice?? = state.wait(milliseconds: milliseconds) { state -> UIODevice?? in
      if state.isStopping { return .some(nil) }
      let device = state.devices.first {
        $0.offer.interfaceClass == interfaceClass && (instance == nil || $0.offer.instance == instance) && !$0.isLost
      }
      return device.map { .some($0) }
    }
    return found ?? nil
  }

  /// Stops watching. The devices stay bound to uio_hv_generic; drivers should have closed them.
  public func disconnect() {
    state.withLock { $0.isStopping = true }
    watcher.withLock { $0.take() }?.join()
    state.withLock { $0.devices = [] }
  }

  // MARK: Watching

  /// One turn of the watching thread; false when it is to end.
  private func watch() -> Bool {
    let isStopping: Bool? = state.wait(milliseconds: Self.turnMilliseconds) { $0.isStopping ? true : nil }
    if isStopping != nil { return false }
    look()
    return true
  }

  /// Compares what is known with what is there, and tells the differences.
  func look() {
    let now = Dictionary(
      settings.sysfs.devices().filter { settings.instances.contains($0.instance) }.map { ($0.instance, $0) },
      uniquingKeysWith: { first, _ in first })
    for device in devices {
      if let found = now[device.offer.instance], found.isSameBinding(device.found) {
        guard device.isLost else { continue }
      }
      device.markLost()
      state.withLock { state in
        state.devices.removeAll { $0 === device }
        state.missing[device.offer.instance] = Missing(since: monotonicNanoseconds(), former: device.found)
      }
      settings.onEvent(.removed(device))
    }
    for (instance, missing) in state.withLock({ $0.missing }).sorted(by: { $0.key < $1.key }) {
      let found = now[instance].flatMap { $0.isSameBinding(missing.former) ? nil : $0 }
      look(for: instance, found, since: missing.since)
    }
  }

  /// Takes a device that was gone and is there again; gives up when it has been gone for too long.
  private func look(for instance: GUID, _ found: SysfsDevice?, since: UInt64) {
    var found = found
    if let seen = found, seen.uio == nil {
      found = try? DriverBinding(settings.sysfs, loadModule: settings.loadModule).attach(instance)
    }
    guard let found, found.uio != nil else {
      guard monotonicNanoseconds() - since >= UInt64(settings.reconnectMilliseconds) * 1_000_000 else { return }
      state.withLock { $0.missing[instance] = nil }
      return settings.onEvent(.gaveUp(reason: "the host does not offer \(instance) any more"))
    }
    let device = UIODevice(found, bus: settings.sysfs, deviceDirectory: settings.deviceDirectory, pool: pool)
    state.withLock { state in
      state.missing[instance] = nil
      state.devices = (state.devices + [device]).sorted { $0.offer.instance < $1.offer.instance }
    }
    settings.onEvent(.arrived(device))
  }
}
