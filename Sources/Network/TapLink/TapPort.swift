public import Ethernet
import LinuxIO
import NetlinkRoute
import Synchronization

/// A Linux TAP: an ordinary link, for which this process is the medium.
///
/// The link is not persistent: it vanishes with its addresses and routes when the port is closed, or the process ends. Of
/// what an administrator changes meanwhile, nothing is changed back.
///
/// Each queue is a descriptor that is opened when the port is made and detached until somebody wants it, so that queues
/// need no privilege. The carrier is on while it is wanted and at least one queue is in use.
public final class TapPort: EthernetPort {
  let route: NetlinkRoute
  let watcher: LinkWatcher
  let options: TapOptions
  let use: Mutex<Use>

  /// Who uses what.
  struct Use {
    /// One for each queue that can be in use; none when the port is closed.
    var devices: [TapDevice]
    var isInUse: [Bool]
    var wantsCarrier: Bool
    var hasCarrier = false
    var isClosed = false
  }

  private let counters: [TapQueueCounters]
  /// The number of the link in its namespace.
  public let index: Int32

  private init(
    _ options: TapOptions, _ devices: [TapDevice], _ route: NetlinkRoute, _ watcher: LinkWatcher, _ index: Int32
  ) {
    self.options = options
    self.route = route
    self.watcher = watcher
    self.index = index
    counters = devices.map { _ in TapQueueCounters() }
    let isInUse = devices.map { _ in false }
    use = Mutex(Use(devices: devices, isInUse: isInUse, wantsCarrier: options.hasCarrier))
  }

  deinit {
    close()
  }

  /// Makes a link. If anything fails, nothing is left of it.
  ///
  /// - Throws: see `TapError`.
  public static func open(_ options: TapOptions) throws(TapError) -> TapPort {
    try options.checkName()
    let namespace = try open(namespace: options.namespace)
    let devices = try makeDevices(options, in: namespace)
    let route: NetlinkRoute
    let monitor: LinkMonitor
    let state: LinkState?
    do throws(NetlinkError) {
      route = try NetlinkRoute.open(in: namespace)
      guard let link = try route.link(named: devices[0].name) else {
        throw NetlinkError(operation: "find the new link", errno: .ENODEV)
      }
      // It listens before the state is asked for, so that nothing is missed in between.
      monitor = try LinkMonitor.open(index: link.index, in: namespace, route: route)
      state = try route.link(index: link.index).map { LinkState($0) }
    } catch {
      throw TapError(error)
    }
    guard let state else { throw .lost }
    let port = TapPort(options, devices, route, try makeWatcher(state, monitor), state.index)
    try port.configure()
    return port
  }

  private static func open(namespace name: String?) throws(TapError) -> NetworkNamespace? {
    guard let name else { return nil }
    do {
      return try NetworkNamespace(name)
    } catch {
      switch error {
      case .ENOENT, .EINVAL, .ENOTDIR: throw .namespaceMissing(name)
      case .EPERM, .EACCES: throw .notPermitted("open the network namespace \(name)")
      default: throw .system(what: "open the network namespace \(name)", error)
      }
    }
  }

  /// The queues, all detached.
  private static func makeDevices(_ options: TapOptions, in namespace: NetworkNamespace?) throws(TapError)
    -> [TapDevice]
  {
    let count = min(max(1, options.queueCount), TapOptions.maximumQueueCount)
    let make: @Sendable () -> Result<[TapDevice], Errno> = {
      do throws(Errno) {
        var devices: [TapDevice] = []
        for index in 0..<count {
          let device = try TapDevice(
            devices.first?.name ?? options.name, index == 0 ? .new : .existing, hasCarrier: false)
          try device.setAttached(false)
          devices.append(device)
        }
        return .success(devices)
      } catch {
        return .failure(error)
      }
    }
    let made: Result<[TapDevice], Errno>
    do {
      made = try namespace.map { (space) throws(Errno) in try space.run(make) } ?? make()
    } catch {
      // It can be opened, and is something else.
      if error == .EINVAL { throw .namespaceMissing(options.namespace ?? "") }
      if error == .EPERM { throw .notPermitted("enter the network namespace \(options.namespace ?? "")") }
      throw .system(what: "enter the network namespace \(options.namespace ?? "")", error)
    }
    switch made {
    case .success(let devices): return devices
    case .failure(let errno): throw TapError(making: options.name, errno)
    }
  }

  private static func makeWatcher(_ state: LinkState, _ monitor: LinkMonitor) throws(TapError) -> LinkWatcher {
    do {
      return try LinkWatcher(state, monitor)
    } catch {
      throw .system(what: "follow the link", error)
    }
  }

  // MARK: EthernetPort

  /// Address and MTU of the link. Frames can pass while the administrator has it up.
  public var info: EthernetPortInfo {
    let state = watcher.state
    return EthernetPortInfo(address: state.address, mtu: state.mtu, hasCarrier: state.isUp && !state.isGone)
  }

  /// The queues that were asked for.
  public var maximumQueueCount: Int { counters.count }

  /// Attaches a queue; its frames are those that the kernel's flow table or hash gives it.
  ///
  /// - Throws: `.busy`, `.lost`, `.system`.
  public func makeQueue() throws(EthernetError) -> any EthernetQueue {
    let (slot, device) = try attach()
    do {
      return try TapQueue(port: self, slot: slot, device: device, counters: counters[slot])
    } catch {
      release(slot)
      throw .system(what: "memory of a queue", error)
    }
  }

  private func attach() throws(EthernetError) -> (slot: Int, device: TapDevice) {
    try use.withLock { use throws(EthernetError) -> (slot: Int, device: TapDevice) in
      if use.isClosed { throw .lost }
      guard let slot = use.isInUse.firstIndex(of: false) else { throw .busy }
      do throws(Errno) {
        try use.devices[slot].setAttached(true)
        use.isInUse[slot] = true
        try applyCarrier(&use)
      } catch {
        throw error == .EBADFD ? .lost : .system(what: "attach a queue", error)
      }
      return (slot, use.devices[slot])
    }
  }

  /// Gives a queue back.
  func release(_ slot: Int) {
    use.withLock { use in
      use.isInUse[slot] = false
      if use.isClosed { return }
      // The link may be gone, and then there is nothing to be done.
      try? applyCarrier(&use)
      try? use.devices[slot].setAttached(false)
    }
  }

  /// Switches the carrier to what is wanted, as far as a queue is there to serve it.
  func applyCarrier(_ use: inout Use) throws(Errno) {
    let isOn = use.wantsCarrier && use.isInUse.contains(true)
    guard isOn != use.hasCarrier, let device = use.devices.first else { return }
    try device.setCarrier(isOn)
    use.hasCarrier = isOn
  }

  /// Which unfinished frames the kernel gives to the queues. TCP to be cut needs partial checksums.
  public func setOffloads(_ offloads: OffloadSet) {
    // The bits are those of TUNSETOFFLOAD.
    let bits = offloads.contains(.checksum) ? Int32(offloads.intersection(.all).rawValue) : 0
    use.withLock { use in try? use.devices.first?.setOffloads(bits) }
  }

  /// See `EthernetPort`; the link's state is told to the observer of `observeLink`.
  public func observe(_ body: @escaping @Sendable () -> Void) {
    watcher.observePort(body)
  }

  /// What the queues have done so far.
  public var statistics: TapStatistics {
    var sum = TapStatistics()
    for queue in counters { sum.add(queue) }
    return sum
  }
}
