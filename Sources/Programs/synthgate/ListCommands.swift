import ArgumentParser
import Gateway

struct Disks: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List disks: those that are mounted here or can be, or all that a host offers.",
    discussion: "--json prints an array of objects; keys are only ever added.")

  @Option(help: "List only what is on this bus: auto, embedded, socket:PATH, hyperv.")
  var bus: BusChoice?

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let disks = try listDisks(bus: bus)
    if json { return try printJSON(disks) }
    var table = Table(["NAME", "SIZE", "SECTOR", "MODE", "TARGET:LUN", "SERIAL", "PARTITIONS", "MOUNT"])
    for disk in disks {
      let partitions = disk.partitions.map { partition in
        "p\(partition.number) \(formatByteCount(partition.size))\(partition.filesystem.map { " \($0)" } ?? "")"
      }
      table.append([
        disk.name, formatByteCount(disk.size), "\(disk.sectorSize)", disk.readOnly ? "ro" : "rw",
        "\(disk.target):\(disk.lun)", disk.serial, partitions.joined(separator: ", "), disk.mount ?? "",
      ])
    }
    printTable(table, orElse: "no disks")
  }
}

struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the devices of the bus: of the mounts here and of the kernel's VMBus, or all that a host offers.",
    discussion: "--json prints an array of objects; keys are only ever added.")

  @Option(help: "List only what is on this bus: auto, embedded, socket:PATH, hyperv.")
  var bus: BusChoice?

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let devices = try listDevices(bus: bus)
    if json { return try printJSON(devices) }
    let hasKernelBus = devices.contains { $0.driver != nil }
    let more = ["NAME", "DRIVER", "MONITOR", "RINGS", "SUB-CHANNELS"]
    var table = Table(["CLASS", "INSTANCE", "RELID", "STATE", "CHANNELS"] + (hasKernelBus ? more : []))
    for device in devices {
      var row = [device.class, device.instance, "\(device.relid)", device.state, "\(device.channels)"]
      if hasKernelBus {
        row += [
          device.name ?? "", device.driver ?? "", device.monitorID.map(String.init) ?? "",
          device.ringSize.map { formatByteCount(UInt64($0)) } ?? "", device.subChannels.map(String.init) ?? "",
        ]
      }
      table.append(row)
    }
    printTable(table, orElse: "no devices")
  }
}

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the running mounts with their counters.",
    discussion: """
      Doorbells are signals to the peer; in a busy ring there are far fewer of them than requests, and embedded, where the \
      peer runs on the same thread, none of them wakes anybody.
      """)

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let mounts = try liveStatus()
    if json { return try printJSON(mounts) }
    var table = Table([
      "NAME", "BUS", "STATE", "REQUESTS", "BYTES", "DOORBELLS", "WAKE-UPS", "BOUNCED", "RETRIED", "MOUNT",
    ])
    for mount in mounts {
      table.append([
        mount.name, mount.bus, mount.state, "\(mount.requests)", formatByteCount(mount.bytes), "\(mount.doorbells)",
        "\(mount.wakeups)", "\(mount.bounced)", "\(mount.retried)", mount.directory,
      ])
    }
    printTable(table, orElse: "nothing is mounted")
  }
}
