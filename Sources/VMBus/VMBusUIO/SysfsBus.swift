public import LinuxIO
public import VMBusProtocol

/// The VMBus of this kernel as sysfs shows it: `/sys/bus/vmbus`.
public struct SysfsBus: Sendable {
  /// Where sysfs is mounted.
  public let root: String
  private let store: @Sendable (_ path: String, _ text: String) throws(Errno) -> Void

  /// The bus below `root`.
  ///
  /// - Parameter store: how an attribute is written; tests put a kernel of their own here.
  public init(
    root: String = "/sys",
    store: @escaping @Sendable (_ path: String, _ text: String) throws(Errno) -> Void = writeAttribute
  ) {
    self.root = root
    self.store = store
  }

  private var bus: String { root + "/bus/vmbus" }

  /// Whether the kernel drives a VMBus: this machine is a guest of Hyper-V, or of what looks like it.
  public var isPresent: Bool { directoryEntries(root + "/bus").contains("vmbus") }

  /// Whether the driver `name` is there to be bound to.
  public func hasDriver(_ name: String) -> Bool { directoryEntries(bus + "/drivers").contains(name) }

  /// The devices, in the order of their instances. What sysfs does not tell in the form that is expected is left out.
  public func devices() -> [SysfsDevice] {
    directoryEntries(bus + "/devices").compactMap { SysfsDevice(entry: $0, in: bus + "/devices", root: root) }
      .sorted { $0.instance < $1.instance }
  }

  /// The device `instance`; nil when it is not there.
  public func device(_ instance: GUID) -> SysfsDevice? {
    // Kernels before 4.14 had other names for the directories.
    SysfsDevice(entry: "\(instance)", in: bus + "/devices", root: root)
      ?? devices().first { $0.instance == instance }
  }

  /// Writes an attribute of a driver.
  ///
  /// - Throws: ENOENT without that driver; what the kernel answers.
  func store(_ text: String, driver: String, _ attribute: String) throws(Errno) {
    try store("\(bus)/drivers/\(driver)/\(attribute)", text)
  }

  /// Writes an attribute of a device.
  ///
  /// - Throws: ENOENT when it is gone; what the kernel answers.
  func store(_ text: String, device: SysfsDevice, _ attribute: String) throws(Errno) {
    try store("\(bus)/devices/\(device.entry)/\(attribute)", text)
  }
}

/// Writes `text` into the file at `path`, which must be there, by one system call.
@Sendable public func writeAttribute(_ path: String, _ text: String) throws(Errno) {
  let writeOnly: Int32 = 1
  let file = try OwnedDescriptor.open(path, flags: writeOnly)
  try writeAll(Array(text.utf8), to: file.number)
}

/// The number in the file at `path`, decimal or behind 0x; nil when there is none.
func readNumber(_ path: String) -> UInt64? {
  guard let text = readFirstLine(path) else { return nil }
  return text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
}
