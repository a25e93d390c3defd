import Storvsc

/// The disks of the mounts on this machine, or all that the host at `bus` offers.
public func listDisks(bus: BusChoice?) throws(GatewayError) -> [DiskReport] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  guard case .socket = bus else { return liveRecords(runtime).map(\.disk) }
  return try withBus(bus!, what: "disks") { bus throws(GatewayError) in
    let drivers = try DiskDrivers(bus: bus, what: "disks") { _ in }
    defer { drivers.close() }
    return nameDisks(try drivers.openControllers(options: StorvscOptions(), what: "disks")).map { named in
      DiskReport(named, name: named.name, partitions: [], path: nil, mount: nil)
    }
  }
}

/// The devices of the buses of this machine's mounts and links, or all that the host at `bus` offers.
public func listDevices(bus: BusChoice?) throws(GatewayError) -> [DeviceReport] {
  let runtime = RuntimeDirectory.current
  runtime.cleanUpStale()
  guard case .socket = bus else { return liveDevices(runtime) }
  return try withBus(bus!, what: "devices") { $0.deviceReports() }
}

private func liveDevices(_ runtime: RuntimeDirectory) -> [DeviceReport] {
  let links = runtime.linkKeys().compactMap { LinkRecord.load($0, in: runtime) }.filter(\.isAlive)
  return liveRecords(runtime).flatMap(\.devices) + links.flatMap(\.devices)
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
