public import DiskImage
import LinuxIO
public import VMBusProtocol
import YAMLDocument

/// What a synthetic host offers: the content of host.yaml.
public struct HostConfiguration: Sendable, Equatable {
  /// Path of the Unix socket at which guests attach; nil for an embedded host.
  public var listen: String?
  /// The SCSI controllers.
  public var controllers: [ControllerConfiguration]
  /// The NICs.
  public var networks: [NetworkConfiguration]
  /// The integration services.
  public var services: Set<ServiceChoice>

  /// A configuration.
  public init(
    listen: String? = nil, controllers: [ControllerConfiguration] = [], networks: [NetworkConfiguration] = [],
    services: Set<ServiceChoice> = []
  ) {
    self.listen = listen
    self.controllers = controllers
    self.networks = networks
    self.services = services
  }
}

/// An integration service of a host.
public enum ServiceChoice: String, Sendable, CaseIterable {
  /// The host can ask the guest to shut down or to restart.
  case shutdown
  /// The host asks the guest whether it is alive.
  case heartbeat
  /// The guest gets the time of the host.
  case timesync
  /// Key-value pairs, and the addresses of the guest.
  case kvp
}

/// One synthetic SCSI controller.
public struct ControllerConfiguration: Sendable, Equatable {
  /// Instance of the device on the bus.
  public var id: GUID
  /// Its disks.
  public var disks: [DiskConfiguration]

  /// A controller.
  public init(id: GUID, disks: [DiskConfiguration]) {
    self.id = id
    self.disks = disks
  }

  /// The instance of controller `index` that has no `id` of its own.
  public static func defaultID(_ index: Int) -> GUID {
    GUID(0x5347_0000 | UInt32(index), 0x7363, 0x7369, 0x8000_0000_0000_0000)
  }
}

/// How an image is read and written.
public enum DiskCache: String, Sendable, CaseIterable {
  /// `direct` for block devices, `buffered` for files.
  case automatic = "auto"
  /// Through the page cache; a flush makes it durable.
  case buffered
  /// Past the page cache where the alignment of a request allows.
  case direct
}

/// One disk of a controller.
public struct DiskConfiguration: Sendable, Equatable {
  /// Target number on the controller.
  public var target: Int
  /// Logical unit number, 0 to 63.
  public var lun: Int
  /// Path or URI of the image.
  public var image: String
  /// Whether guests may not write.
  public var readOnly: Bool
  /// Logical sector size in bytes: 512 or 4096; nil for that of the image, 512 for a raw file.
  public var sectorSize: Int?
  /// How the image is read and written.
  public var cache: DiskCache
  /// Serial number; nil for one derived from the image.
  public var serial: String?
  /// What the bytes of the image are.
  public var format = DiskImage.Format.automatic
  /// Directories in which parents of the image may stand, besides its own.
  public var parentDirectories: [String] = []
  /// The parents of the image, nearest first; empty: they are found by the paths in the images.
  public var parents: [String] = []
  /// For an NBD source: how many seconds requests wait for a server that is gone.
  public var reconnectSeconds = 60

  /// A disk.
  public init(
    target: Int = 0, lun: Int, image: String, readOnly: Bool = false, sectorSize: Int? = nil,
    cache: DiskCache = .automatic, serial: String? = nil
  ) {
    self.target = target
    self.lun = lun
    self.image = image
    self.readOnly = readOnly
    self.sectorSize = sectorSize
    self.cache = cache
    self.serial = serial
  }
}

extension HostConfiguration {
  /// Reads host.yaml.
  ///
  /// - Throws: the first mistake with its line.
  public init(contentsOf file: String) throws(ConfigurationError) {
    let text: String
    do throws(Errno) { text = try readTextFile(file) } catch {
      throw ConfigurationError(file: file, line: 0, problem: "\(error)")
    }
    try self.init(yaml: text, file: file)
  }

  /// Reads the text of a host.yaml.
  ///
  /// - Parameter file: the name for errors.
  /// - Throws: the first mistake with its line.
  public init(yaml text: String, file: String) throws(ConfigurationError) {
    let document: YAMLNode?
    do throws(YAMLError) { document = try parseYAML(text) } catch {
      throw ConfigurationError(file: file, line: error.line, problem: error.problem)
    }
    guard let document else { throw ConfigurationError(file: file, line: 0, problem: "the file is empty") }
    var reader = try MappingReader(document, file: file, what: "the host")
    listen = try reader.text("listen")
    controllers = []
    var ids: Set<GUID> = []
    for node in try reader.list("controllers") {
      let controller = try ControllerConfiguration(node, index: controllers.count, file: file)
      guard ids.insert(controller.id).inserted else {
        throw reader.fault(node, "two controllers have the id \(controller.id)")
      }
      controllers.append(controller)
    }
    networks = []
    for node in try reader.list("networks") {
      let network = try NetworkConfiguration(node, index: networks.count, file: file)
      guard ids.insert(network.id).inserted else {
        throw reader.fault(node, "two devices have the id \(network.id)")
      }
      if networks.contains(where: { $0.mac == network.mac }) {
        throw reader.fault(node, "two networks have the mac \(network.mac)")
      }
      if let other = networks.first(where: { $0.switchName == network.switchName && $0.uplink != network.uplink }) {
        throw reader.fault(
          node, "the switch `\(network.switchName)` has the uplink \(other.uplink) already: one switch, one uplink")
      }
      networks.append(network)
    }
    services = []
    for node in try reader.list("services") {
      let allowed = ServiceChoice.allCases.map(\.rawValue).joined(separator: ", ")
      guard case .scalar(let text, _) = node.value, let service = ServiceChoice(rawValue: text) else {
        throw reader.fault(node, "a service must be one of \(allowed)")
      }
      guard services.insert(service).inserted else { throw reader.fault(node, "the service \(text) is named twice") }
    }
    try reader.finish()
    guard !controllers.isEmpty || !networks.isEmpty || !services.isEmpty else {
      throw reader.fault(document, "the host offers nothing: `controllers`, `networks` and `services` are empty")
    }
  }
}

extension ControllerConfiguration {
  init(_ node: YAMLNode, index: Int, file: String) throws(ConfigurationError) {
    var reader = try MappingReader(node, file: file, what: "a controller")
    id = try reader.guid("id") ?? Self.defaultID(index)
    disks = []
    for diskNode in try reader.list("disks") {
      let disk = try DiskConfiguration(diskNode, nextLUN: disks.count, file: file)
      if disks.contains(where: { $0.lun == disk.lun && $0.target == disk.target }) {
        throw reader.fault(diskNode, "two disks have target \(disk.target), lun \(disk.lun)")
      }
      disks.append(disk)
    }
    try reader.finish()
  }
}

extension DiskConfiguration {
  init(_ node: YAMLNode, nextLUN: Int, file: String) throws(ConfigurationError) {
    var reader = try MappingReader(node, file: file, what: "a disk")
    target = try reader.integer("target", in: 0...1, default: 0)
    lun = try reader.integer("lun", in: 0...63, default: nextLUN)
    let imageNode = try reader.requiredNode("image")
    guard case .scalar(let image, _) = imageNode.value, !image.isEmpty else {
      throw reader.fault(imageNode, "`image` must be a text")
    }
    self.image = image
    do throws(DiskImageError) { try DiskImage.checkAddress(image) } catch {
      throw reader.fault(imageNode, "`image`: \(error)")
    }
    readOnly = try reader.flag("readOnly", default: false)
    sectorSize = try reader.choice("sectorSize", [("512", 512), ("4096", 4096)], default: nil)
    cache = try reader.choice("cache", DiskCache.allCases.map { ($0.rawValue, $0) }, default: .automatic)
    serial = try reader.text("serial")
    reconnectSeconds = try reader.integer("reconnect", in: 0...86400, default: 60)
    format = try reader.choice("format", DiskImage.Format.allCases.map { ($0.rawValue, $0) }, default: .automatic)
    for (key, field) in [("parentsIn", \Self.parentDirectories), ("parents", \Self.parents)] {
      for entry in try reader.list(key) {
        guard case .scalar(let text, _) = entry.value, !text.isEmpty else {
          throw reader.fault(entry, "`\(key)` must be a list of paths")
        }
        self[keyPath: field].append(text)
      }
    }
    try reader.finish()
  }
}
