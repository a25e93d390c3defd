import ArgumentParser
import Gateway

struct Attach: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "In a guest of Hyper-V: take devices from the kernel's drivers, so that Synthgate can drive them.",
    discussion: """
      A device is named as `synthgate devices` shows it (scsi-1a2b3c4d, nic-9f8e7d6c), or by its instance or the beginning \
      of it. It goes from hv_storvsc or hv_netvsc to uio_hv_generic; its disks or its link vanish from the kernel. Devices \
      that carry a mounted filesystem, swap space, the login session or the default route are refused.

      Examples:
        synthgate devices
        synthgate attach scsi-1a2b3c4d nic-9f8e7d6c
        synthgate mount disk0p1 /srv/data
        synthgate link up syn0 --dhcp
        synthgate detach --all
      """)

  @Argument(help: "Devices.")
  var devices: [String]

  @Flag(help: "Take it even if it is in use: its users lose it.")
  var force = false

  func validate() throws {
    if devices.isEmpty { throw ValidationError("name a device; `synthgate devices` lists them") }
  }

  func run() throws {
    try attachDevices(devices, force: force) { report in
      writeLine(
        report.from == report.to
          ? "\(report.name): attached already" : "\(report.name): attached (was with \(report.from ?? "no driver"))")
    }
  }
}

struct Detach: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give devices that were attached back to the drivers that had them.",
    discussion: "A device that a mount or a link of Synthgate uses is refused.")

  @Argument(help: "Devices.")
  var devices: [String] = []

  @Flag(help: "All that are attached.")
  var all = false

  func validate() throws {
    if devices.isEmpty != all { throw ValidationError("name devices, or say --all") }
  }

  func run() throws {
    var count = 0
    try detachDevices(devices) { report in
      writeLine("\(report.name): back with \(report.to ?? "no driver")")
      count += 1
    }
    if count == 0 { writeLine("nothing is attached") }
  }
}
