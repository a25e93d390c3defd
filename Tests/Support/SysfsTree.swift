public import LinuxIO
import Synchronization
public import VMBusProtocol

/// A made-up sysfs with a VMBus, and what a kernel does when its attributes are written.
public final class SysfsTree: Sendable {
  /// The directory that stands for /sys.
  public let root: String
  /// A directory that stands for /dev. Nodes of UIO devices are /dev/zero: memory of zeros, events without end.
  public let devices: String
  private struct State {
    var uioCount = 0
    /// Drivers that take no device.
    var refusing: Set<String> = []
    var written: [String] = []
  }
  private let state = Mutex(State())

  /// The length of each ring of a UIO device here, in bytes.
  public static let ringByteCount = 16384

  /// An empty bus with the drivers for disks and NICs.
  public init(drivers: [String] = ["hv_storvsc", "hv_netvsc", "uio_hv_generic"]) throws(Errno) {
    root = try temporaryDirectory("sysfs")
    devices = root + "/dev"
    for directory in ["dev", "bus/vmbus/devices", "devices/vmbus", "class/block", "class/net", "kernel"] {
      try makeDirectories("\(root)/\(directory)")
    }
    for driver in drivers { try addDriver(driver) }
  }

  deinit {
    removeTree(root)
  }

  /// Registers a driver.
  public func addDriver(_ name: String) throws(Errno) {
    try makeDirectories("\(root)/bus/vmbus/drivers/\(name)")
  }

  /// Has a driver take no device any more, or again.
  public func setRefusing(_ driver: String, _ isRefusing: Bool) {
    state.withLock { state in
      if isRefusing { state.refusing.insert(driver) } else { state.refusing.remove(driver) }
    }
  }

  /// The attributes that were written, each as `PATH=TEXT`, the path below the root.
  public var written: [String] { state.withLock { $0.written } }

  // MARK: Devices

  private func path(_ instance: GUID) -> String { "\(root)/devices/vmbus/\(instance)" }

  /// Offers a device, bound to `driver`.
  public func add(
    _ instance: GUID, class interfaceClass: GUID, relid: UInt32, monitor: UInt8? = nil, driver: String?
  ) throws(Errno) {
    let path = path(instance)
    try makeDirectories(path + "/channels")
    try put("{\(instance)}", path + "/device_id")
    try put("{\(interfaceClass)}", path + "/class_id")
    try put("\(relid)", path + "/id")
    try put("2", path + "/state")
    try put("(null)", path + "/driver_override")
    if let monitor { try put("\(monitor)", path + "/monitor_id") }
    try makeLink("../../../devices/vmbus/\(instance)", at: "\(root)/bus/vmbus/devices/\(instance)")
    try addChannel(relid, of: instance, index: 0, monitor: monitor)
    if let driver { try bind(instance, driver) }
  }

  /// Adds a channel, which is open at once unless told otherwise. The rings of a sub-channel are /dev/zero, too.
  public func addChannel(
    _ relid: UInt32, of instance: GUID, index: Int, monitor: UInt8? = nil, isOpen: Bool = true
  ) throws(Errno) {
    let directory = "\(path(instance))/channels/\(relid)"
    try makeDirectories(directory)
    try put("\(index)", directory + "/subchannel_id")
    if isOpen, index > 0 {
      try put("0", directory + "/in_mask")
      try DeviceNumber(major: 1, minor: 5).makeCharacterDevice(at: directory + "/ring")
    }
    if let monitor { try put("\(monitor)", directory + "/monitor_id") }
  }

  /// Takes a channel back.
  public func removeChannel(_ relid: UInt32, of instance: GUID) {
    removeTree("\(path(instance))/channels/\(relid)")
  }

  /// Takes a device back.
  public func remove(_ instance: GUID) {
    removeTree("\(root)/bus/vmbus/devices/\(instance)")
    removeTree(path(instance))
  }

  /// Writes the text of an attribute, without asking the kernel.
  public func set(_ attribute: String, _ text: String, of instance: GUID) throws(Errno) {
    try put(text, "\(path(instance))/\(attribute)")
  }

  /// Adds a disk with partitions below a device.
  public func addDisk(_ name: String, partitions: [String], to instance: GUID, number: String) throws(Errno) {
    let directory = "\(path(instance))/host0/target0:0:0/0:0:0:0/block/\(name)"
    for (index, part) in ([name] + partitions).enumerated() {
      let place = part == name ? directory : "\(directory)/\(part)"
      try makeDirectories(place + "/holders")
      try put("\(number):\(index)", place + "/dev")
      try makeLink(place, at: "\(root)/class/block/\(part)")
    }
  }

  /// Makes `holder` (a volume, an array) stand on a block device.
  public func addHolder(_ holder: String, of name: String, number: String) throws(Errno) {
    let place = "\(root)/devices/virtual/block/\(holder)"
    try makeDirectories(place + "/holders")
    try put(number, place + "/dev")
    try makeLink(place, at: "\(root)/class/block/\(holder)")
    try makeLink(place, at: "\(try canonicalPath("\(root)/class/block/\(name)"))/holders/\(holder)")
  }

  /// Adds a network link below a device.
  public func addLink(_ name: String, to instance: GUID) throws(Errno) {
    try makeDirectories("\(path(instance))/net/\(name)")
    try makeLink("\(path(instance))/net/\(name)", at: "\(root)/class/net/\(name)")
  }

  // MARK: The kernel

  /// What happens when `text` is written to the attribute at `path`.
  @Sendable public func store(_ path: String, _ text: String) throws(Errno) {
    let parts = path.dropFirst(root.count + "/bus/vmbus/".count).split(separator: "/").map(String.init)
    state.withLock { $0.written.append("\(parts.joined(separator: "/"))=\(text)") }
    guard parts.count == 3 else { throw .ENOENT }
    if parts[0] == "devices", let instance = GUID(parts[1]), parts[2] == "driver_override" {
      guard directoryEntries("\(root)/devices/vmbus").contains("\(instance)") else { throw .ENOENT }
      return try put(text == "\n" ? "(null)" : text, "\(self.path(instance))/driver_override")
    }
    guard parts[0] == "drivers", directoryEntries("\(root)/bus/vmbus/drivers").contains(parts[1]) else {
      throw .ENOENT
    }
    guard let instance = GUID(text), directoryEntries("\(root)/devices/vmbus").contains(text) else { throw .ENODEV }
    switch parts[2] {
    case "unbind":
      guard driver(of: instance) == parts[1] else { throw .ENODEV }
      removeTree("\(self.path(instance))/driver")
      removeTree("\(self.path(instance))/uio")
    case "bind": try bind(instance, parts[1])
    default: throw .ENOENT
    }
  }

  /// The driver of a device.
  public func driver(of instance: GUID) -> String? {
    (try? linkTarget("\(path(instance))/driver"))?.split(separator: "/").last.map(String.init)
  }

  private func bind(_ instance: GUID, _ driver: String) throws(Errno) {
    let path = path(instance)
    guard self.driver(of: instance) == nil else { throw .EBUSY }
    let override = try readTextFile(path + "/driver_override").split(separator: "\n").first.map(String.init)
    guard override == nil || override == "(null)" || override == driver else { throw .ENODEV }
    if state.withLock({ $0.refusing.contains(driver) }) { throw .EOPNOTSUPP }
    try makeLink("\(root)/bus/vmbus/drivers/\(driver)", at: path + "/driver")
    if driver == "uio_hv_generic" { try addUIO(instance) }
  }

  private func addUIO(_ instance: GUID) throws(Errno) {
    let number = state.withLock { state in
      defer { state.uioCount += 1 }
      return state.uioCount
    }
    let uio = "\(path(instance))/uio/uio\(number)"
    try makeDirectories(uio + "/maps")
    try put("1:5", uio + "/dev")
    let isNIC = try readTextFile(path(instance) + "/class_id").hasPrefix("{\(GUID.network)")
    var maps = [("txrx_rings", 2 * Self.ringByteCount), ("int_page", 4096), ("monitor_page", 4096)]
    if isNIC { maps += [("recv:925200", 1 << 20), ("send:925201", 1 << 19)] }
    for (index, map) in maps.enumerated() {
      let directory = "\(uio)/maps/map\(index)"
      try makeDirectories(directory)
      try put(map.0, directory + "/name")
      try put("0x" + String(map.1, radix: 16), directory + "/size")
    }
  }

  private func put(_ text: String, _ path: String) throws(Errno) {
    try writeTextFile(text + "\n", to: path)
  }
}
