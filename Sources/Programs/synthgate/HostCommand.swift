import ArgumentParser
import Gateway
import LinuxIO
import SyntheticHost

struct Host: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a synthetic host: offer disks and NICs to gateways over a Unix socket.",
    discussion: """
      host.yaml:
        listen: /run/synthgate/host.sock
        controllers:
          - disks:
              - { lun: 0, image: /var/lib/synthgate/data.img }
              - { lun: 1, image: /dev/sdb, readOnly: true, sectorSize: 4096, cache: direct, serial: "A1" }
        networks:
          - { mac: "00:15:5d:00:00:01", uplink: "tap:vsw0", mtu: 9000, queues: 4 }
          - { mac: "00:15:5d:00:00:02", uplink: "responder:10.77.0.1/24" }
      NICs with the same uplink (or the same `switch: NAME`) reach each other.
      """)

  @Option(help: "The configuration file.")
  var config = "/etc/synthgate/host.yaml"

  @Flag(help: "Only check the configuration.")
  var check = false

  func run() throws {
    let configuration: HostConfiguration
    do throws(ConfigurationError) { configuration = try HostConfiguration(contentsOf: config) } catch {
      throw GatewayError(.usage, what: "configuration", why: "\(error)")
    }
    if check {
      let diskCount = configuration.controllers.reduce(0) { $0 + $1.disks.count }
      print("\(config): all right, \(diskCount) disks, \(configuration.networks.count) networks")
      return
    }
    try HostProcess.run(configuration) { writeLine($0) }
  }
}
