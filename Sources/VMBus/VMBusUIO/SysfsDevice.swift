public import LinuxIO
public import VMBusProtocol

/// A device of the bus at one moment, as sysfs shows it.
public struct SysfsDevice: Sendable, Equatable {
  /// An open or offered channel of the device.
  public struct Channel: Sendable, Equatable {
    /// Number of the channel.
    public let relid: UInt32
    /// 0 for the primary channel, else the number of the sub-channel.
    public let subChannelIndex: Int
    /// The bit in the monitor page by which the guest signals; nil when it has none.
    public let monitor: UInt8?
    /// Whether the kernel has rings for it: the attributes of rings that are not there can't be read.
    public let hasRings: Bool
    /// The file by which the rings can be mapped; nil unless the kernel made one.
    public let ringPath: String?
  }

  /// The instance.
  public let instance: GUID
  /// The class.
  public let interfaceClass: GUID
  /// Number of the primary channel.
  public let relid: UInt32
  /// The bit in the monitor page by which the guest signals the primary channel; nil when it has none.
  public let monitor: UInt8?
  /// Name of the driver that it is bound to; nil when there is none.
  public let driver: String?
  /// Name of the only driver that it may be bound to; nil when the class decides.
  public let driverOverride: String?
  /// Whether the driver has opened the channel.
  public let isOpen: Bool
  /// The channels, the primary one first.
  public let channels: [Channel]
  /// The user-space I/O device, while it is bound to uio_hv_generic.
  public let uio: SysfsUIO?
  /// The directory of the device, without symbolic links.
  public let path: String
  let entry: String

  /// Reads the directory `entry` of `directory`; nil when it is no device, or vanishes meanwhile.
  init?(entry: String, in directory: String, root: String) {
    guard let path = try? canonicalPath("\(directory)/\(entry)"),
      let instance = readFirstLine(path + "/device_id").flatMap({ GUID($0) }),
      let interfaceClass = readFirstLine(path + "/class_id").flatMap({ GUID($0) }),
      let relid = readNumber(path + "/id").flatMap({ UInt32(exactly: $0) })
    else { return nil }
    self.entry = entry
    self.path = path
    self.instance = instance
    self.interfaceClass = interfaceClass
    self.relid = relid
    monitor = Self.monitor(path)
    driver = (try? linkTarget(path + "/driver"))?.split(separator: "/").last.map(String.init)
    let override = readFirstLine(path + "/driver_override") ?? ""
    driverOverride = override.isEmpty || override == "(null)" ? nil : override
    let opened: UInt64 = 3
    isOpen = readNumber(path + "/state") == opened
    channels = Self.channels(path)
    uio =
      directoryEntries(path + "/uio").sorted().lazy
      .compactMap { SysfsUIO(name: $0, path: "\(path)/uio/\($0)") }.first
  }

  private static func monitor(_ path: String) -> UInt8? {
    readNumber(path + "/monitor_id").flatMap { $0 < UInt64(MonitorPage.idCount) ? UInt8($0) : nil }
  }

  private static func channels(_ path: String) -> [Channel] {
    let directory = path + "/channels"
    return directoryEntries(directory).compactMap { name -> Channel? in
      guard let relid = UInt32(name), let index = readNumber("\(directory)/\(name)/subchannel_id") else { return nil }
      let hasRing = directoryEntries("\(directory)/\(name)").contains("ring")
      return Channel(
        relid: relid, subChannelIndex: Int(clamping: index), monitor: monitor("\(directory)/\(name)"),
        hasRings: readFirstLine("\(directory)/\(name)/in_mask") != nil,
        ringPath: hasRing ? "\(directory)/\(name)/ring" : nil)
    }.sorted { ($0.subChannelIndex, $0.relid) < ($1.subChannelIndex, $1.relid) }
  }

  /// A short name: the class, and the first eight digits of the instance.
  public var name: String {
    let digits = "\(instance)".prefix(8)
    return "\(interfaceClass.shortClassName)-\(digits)"
  }

  /// Whether it is bound to uio_hv_generic, so that a program can drive it.
  public var isAttached: Bool { driver == DriverBinding.uioDriver }

  /// Whether `other` is the same offer of the host, bound in the same way.
  func isSameBinding(_ other: SysfsDevice) -> Bool {
    instance == other.instance && relid == other.relid && driver == other.driver && uio?.number == other.uio?.number
  }
}

extension GUID {
  /// The class in short, for names of devices.
  var shortClassName: String {
    switch self {
    case .scsi: "scsi"
    case .network: "nic"
    case .ide: "ide"
    case .fibreChannel: "fc"
    case .pciPassThrough: "pci"
    default: "device"
    }
  }
}

/// The UIO device of a VMBus device.
public struct SysfsUIO: Sendable, Equatable {
  /// A piece of memory that the device has.
  public struct Map: Sendable, Equatable {
    /// Its number: the offset for mmap(2) is this many pages.
    public let index: Int
    /// What it is.
    public let name: String
    /// Its length in bytes.
    public let byteCount: Int

    /// The number by which the host knows a receive or send buffer: it stands in the name.
    public var gpadl: UInt32? {
      name.split(separator: ":").dropFirst().first.flatMap { UInt32($0) }
    }
  }

  /// Name, as in /dev: `uio0`.
  public let name: String
  /// What the device node must stand for.
  public let number: DeviceNumber
  /// The maps, in order.
  public let maps: [Map]

  init?(name: String, path: String) {
    guard name.hasPrefix("uio"), UInt32(name.dropFirst(3)) != nil, let text = readFirstLine(path + "/dev"),
      let number = DeviceNumber(text)
    else { return nil }
    self.name = name
    self.number = number
    maps = directoryEntries(path + "/maps").compactMap { entry -> Map? in
      guard entry.hasPrefix("map"), let index = Int(entry.dropFirst(3)), (0..<64).contains(index),
        let size = readNumber("\(path)/maps/\(entry)/size"), size < 1 << 40
      else { return nil }
      return Map(index: index, name: readFirstLine("\(path)/maps/\(entry)/name") ?? "", byteCount: Int(size))
    }.sorted { $0.index < $1.index }
  }

  /// The two rings, each with its control page.
  public var rings: Map? { maps.first { $0.index == 0 } }

  /// The page with the bits by which the guest signals.
  public var monitorPage: Map? { maps.first { $0.name == "monitor_page" } }

  /// The buffer that the host writes received frames into.
  public var receiveBuffer: Map? { maps.first { $0.name.hasPrefix("recv:") } }

  /// The buffer that the host reads frames from.
  public var sendBuffer: Map? { maps.first { $0.name.hasPrefix("send:") } }
}
