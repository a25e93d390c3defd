import ArgumentParser
import Gateway
import LinuxIO
import SyntheticHost

struct Host: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a synthetic host: offer disks to gateways over a Unix socket.",
    discussion: """
      host.yaml:
        listen: /run/synthgate/host.sock
        controllers:
          - disks:
              - { lun: 0, image: /var/lib/synthgate/data.img }
              - { lun: 1, image: /dev/sdb, readOnly: true, sectorSize: 4096, cache: direct, serial: "A1" }
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
      print("\(config): all right, \(configuration.controllers.reduce(0) { $0 + $1.disks.count }) disks")
      return
    }
    try HostProcess.run(configuration) { writeLine($0) }
  }
}
