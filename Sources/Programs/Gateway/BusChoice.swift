import LinuxIO
import VMBusProtocol
import VMBusUIO

/// Which bus carries the disk or the NIC.
public enum BusChoice: Sendable, Equatable {
  /// What fits: `hyperv` in a guest of Hyper-V unless an image or an uplink is named, else `embedded`.
  case automatic
  /// A synthetic host in this process.
  case embedded
  /// A synthetic host that listens at this Unix socket.
  case socket(String)
  /// The VMBus of this kernel: devices that were taken over by `synthgate attach`.
  case hyperv

  /// The choice that `text` names: `auto`, `embedded`, `hyperv` or `socket:PATH`; nil when it names none.
  public init?(_ text: String) {
    switch text {
    case "auto": self = .automatic
    case "embedded": self = .embedded
    case "hyperv": self = .hyperv
    case _ where text.hasPrefix("socket:") && text.utf8.count > 7: self = .socket(String(text.dropFirst(7)))
    default: return nil
    }
  }

  /// How the choice is written.
  public var text: String {
    switch self {
    case .automatic: "auto"
    case .embedded: "embedded"
    case .socket(let path): "socket:\(path)"
    case .hyperv: "hyperv"
    }
  }

  /// The bus for the disk that `source` names: a file of that name is an image, whatever else the name could mean.
  public func forDisk(_ source: String) -> BusChoice { forDisk(source, sysfs: SysfsBus()) }

  func forDisk(_ source: String, sysfs: SysfsBus) -> BusChoice {
    guard self == .automatic else { return self }
    guard DiskSelector(splitting: source) != nil, (try? canonicalPath(source)) == nil else { return .embedded }
    return sysfs.hasStorageOrNetwork ? .hyperv : .embedded
  }

  /// The bus for a NIC.
  ///
  /// - Parameter hasUplink: whether an uplink is named, which only an embedded host has.
  public func forLink(hasUplink: Bool) -> BusChoice { forLink(hasUplink: hasUplink, sysfs: SysfsBus()) }

  func forLink(hasUplink: Bool, sysfs: SysfsBus) -> BusChoice {
    guard self == .automatic else { return self }
    return !hasUplink && sysfs.hasStorageOrNetwork ? .hyperv : .embedded
  }
}

extension SysfsBus {
  /// Whether the kernel has a VMBus with devices that Synthgate can drive.
  var hasStorageOrNetwork: Bool {
    devices().contains { $0.interfaceClass == .scsi || $0.interfaceClass == .network }
  }
}
