import Storvsc
import VMBusProtocol
import VMBusUIO

/// The disks of the mounts on this machine, and in a guest of Hyper-V those of all controllers that are attached; or all
/// that the host at `bus` offers.
public func listDisks(bus: BusChoice?) throws(GatewayError) -> [DiskReport] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  switch bus {
  case .socket(let path):
    return try withBus(.socket(path), what: "disks") { bus throws(GatewayError) in
      let drivers = try DiskDrivers(bus: bus, what: "disks") { _ in }
      defer { drivers.close() }
      return nameDisks(try drivers.openControllers(options: StorvscOptions(), what: "disks")).map { named in
        DiskReport(named, name: named.name, partitions: [], path: nil, mount: nil)
      }
    }
  case .hyperv: return try listAttachedDisks(runtime)
  case .embedded: return liveRecords(runtime).map(\.disk)
  case nil, .automatic:
    let guest = HyperVGuest()
    guard guest.sysfs.isPresent, guest.isRoot, !guest.attached(.scsi).isEmpty else {
      return liveRecords(runtime).map(\.disk)
    }
    let others = liveRecords(runtime).filter { $0.bus != BusChoice.hyperv.text }.map(\.disk)
    return others + (try listAttachedDisks(runtime))
  }
}

/// Opens every controller that is attached and free for a moment.
private func listAttachedDisks(_ runtime: RuntimeDirectory) throws(GatewayError) -> [DiskReport] {
  let claims = try ControllerClaims(HyperVGuest(), in: runtime, what: "disks")
  let bus = try GatewayBus(
    .hyperv, configuration: nil, instances: claims.claimed, memoryByteCount: 4 << 20, reconnectSeconds: 0,
    what: "disks")
  defer { bus.close() }
  let drivers = try DiskDrivers(bus: bus, what: "disks") { _ in }
  defer { drivers.close() }
  var options = StorvscOptions()
  options.subChannelCount = 0
  return claims.number(try drivers.openControllers(options: options, what: "disks")).map(\.report)
}

/// The devices of the buses of this machine's mounts and links, and those of the kernel's VMBus; or all that the host at
/// `bus` offers.
public func listDevices(bus: BusChoice?) throws(GatewayError) -> [DeviceReport] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  switch bus {
  case .socket(let path): return try withBus(.socket(path), what: "devices") { $0.deviceReports() }
  case .hyperv:
    let guest = HyperVGuest()
    guard guest.sysfs.isPresent else {
      throw GatewayError(
        .notFound, what: "devices", why: "this kernel has no VMBus: the machine is no guest of Hyper-V")
    }
    return guest.deviceReports()
  case .embedded: return liveDevices(runtime)
  case nil, .automatic: return liveDevices(runtime) + HyperVGuest().deviceReports()
  }
}

extension HyperVGuest {
  /// The devices of the kernel's bus.
  func deviceReports() -> [DeviceReport] {
    sysfs.devices().map { device in
      var report = DeviceReport(
        class: device.interfaceClass.className ?? "\(device.interfaceClass)", instance: "\(device.instance)",
        relid: device.relid, state: device.isOpen ? "open" : "offered",
        channels: device.isOpen ? max(1, device.channels.count) : 0)
      report.name = device.name
      report.driver = device.driver ?? ""
      report.monitorID = device.monitor.map { Int($0) }
      report.ringSize = device.uio?.rings.map { $0.byteCount / 2 }
      report.subChannels = device.channels.count { $0.subChannelIndex != 0 }
      return report
    }
  }
}

/// The devices of mounts and links on other buses than the kernel's, which has a list of its own.
private func liveDevices(_ runtime: RuntimeDirectory) -> [DeviceReport] {
  let links = runtime.linkKeys().compactMap { LinkRecord.load($0, in: runtime) }.filter(\.isAlive)
  let mounts = liveRecords(runtime).filter { $0.bus != BusChoice.hyperv.text }
  return mounts.flatMap(\.devices) + links.filter { $0.bus != BusChoice.hyperv.text }.flatMap(\.devices)
}

private func liveRecords(_ runtime: RuntimeDirectory) -> [MountRecord] {
  runtime.mountNames().compactMap { MountRecord.load($0, in: runtime) }.filter(\.isAlive)
}

private func withBus<R>(
  _ choice: BusChoice, what: String, _ body: (GatewayBus) throws(GatewayError) -> R
) throws(GatewayError) -> R {
  let bus = try GatewayBus(
    choice, configuration: nil, memoryByteCount: 64 << 20, reconnectSeconds: 0, what: what)
  defer { bus.close() }
  return try body(bus)
}
