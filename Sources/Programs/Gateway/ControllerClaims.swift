import Block
import LinuxIO
import Storvsc
import VMBusProtocol
import VMBusUIO

/// The SCSI controllers of the kernel's bus that are attached: those that this process may drive, and those that another
/// one drives. Their disks are numbered together, so that a disk keeps its number whoever uses its neighbours.
struct ControllerClaims {
  private let runtime: RuntimeDirectory
  private let instances: [GUID]
  private var claims: [GUID: DeviceClaim] = [:]

  /// Claims what is free.
  ///
  /// - Throws: `.notFound` when no controller is attached.
  init(_ guest: HyperVGuest, in runtime: RuntimeDirectory, what: String) throws(GatewayError) {
    self.runtime = runtime
    try guest.check(what)
    instances = try guest.attached(.scsi, "SCSI controller", what: what).map(\.instance)
    for instance in instances {
      if let claim = try runtime.awaitClaim(instance) { claims[instance] = claim }
    }
  }

  /// The controllers that this process may drive.
  var claimed: Set<GUID> { Set(claims.keys) }

  /// All disks in the order of controller, target and LUN, with their numbers.
  ///
  /// - Parameter controllers: the drivers of the controllers that this process may drive.
  func number(_ controllers: [StorvscController]) -> [NumberedDisk] {
    let disks = instances.flatMap { instance -> [NumberedDisk.Place] in
      if let controller = controllers.first(where: { $0.instance == instance }) {
        return controller.disks.map { .here($0) }
      }
      return (runtime.use(of: instance)?.disks ?? []).map { .elsewhere($0, instance) }
    }
    return disks.enumerated().map { NumberedDisk(name: "disk\($0.offset)", place: $0.element) }
  }

  /// The disk that is meant.
  ///
  /// - Throws: as `DiskSelector.choose`; `.busy` when another process drives its controller.
  func choose(
    _ selector: DiskSelector, from controllers: [StorvscController], source: String
  ) throws(GatewayError) -> NamedDisk {
    let all = number(controllers)
    let found = try selector.choose(from: all, source: source)
    switch found.place {
    case .here(let disk): return NamedDisk(name: found.name, disk: disk)
    case .elsewhere(_, let instance):
      throw GatewayError(
        .busy, what: "mount \(source)",
        why: "\(found.name) is on a controller that is driven by another mount: \(runtime.useText(of: instance))",
        advice: "one process drives a controller with all its disks; unmount that first")
    }
  }

  /// Lets go of all controllers but this one, and says what that is used for.
  mutating func keep(only instance: GUID, use: DeviceUse) throws(GatewayError) {
    try claims[instance]?.write(use)
    claims = claims.filter { $0.key == instance }
  }
}

/// A disk with its number, driven by this process or another one.
struct NumberedDisk: SelectableDisk {
  enum Place {
    case here(StorvscDisk)
    case elsewhere(DiskReport, GUID)
  }

  var name: String
  var place: Place

  var address: (target: Int, lun: Int) {
    switch place {
    case .here(let disk): (Int(disk.target), Int(disk.lun))
    case .elsewhere(let report, _): (report.target, report.lun)
    }
  }

  var serial: String {
    switch place {
    case .here(let disk): disk.info.serial
    case .elsewhere(let report, _): report.serial
    }
  }

  /// What `synthgate disks` shows.
  var report: DiskReport {
    switch place {
    case .here(let disk):
      return DiskReport(NamedDisk(name: name, disk: disk), name: name, partitions: [], path: nil, mount: nil)
    case .elsewhere(var report, _):
      report.name = name
      return report
    }
  }
}
