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
              - { lun: 0, image: /var/lib/synthgate/data.vhdx, parentsIn: [/var/lib/synthgate/base] }
              - { lun: 1, image: /dev/sdb, readOnly: true, sectorSize: 4096, cache: direct, serial: "A1" }
              - { lun: 2, image: "nbd+unix:///EXPORT?socket=/run/qemu-nbd.sock", reconnect: 60 }
        networks:
          - { mac: "00:15:5d:00:00:01", uplink: "tap:vsw0", mtu: 9000, queues: 4 }
          - { mac: "00:15:5d:00:00:02", uplink: "responder:10.77.0.1/24" }
        services: [shutdown, heartbeat, timesync, kvp]
      `format` of a disk is auto, raw, vhd or vhdx; say raw for a raw image that a guest writes, which could make it look like
      another one. NICs with the same uplink (or the same `switch: NAME`) reach each other. Services are for guests with `hv_utils`;
      none is offered unless it is named.

      Commands at the control socket, one a line, each answered by a line `ok ...` or `error ...`:
        disk add CONTROLLER T:L IMAGE [readOnly]   disk remove CONTROLLER T:L   disk resize CONTROLLER T:L BYTES
        controller add GUID [T:L IMAGE]   controller remove CONTROLLER
        nic add UPLINK [MAC]   nic remove NIC   nic carrier NIC up|down
        shutdown   restart   heartbeat   kvp addresses   kvp list   kvp get KEY   status
      CONTROLLER is a GUID or an index from 0, NIC one of these or a MAC address.
      """)

  @Option(help: "The configuration file.")
  var config = "/etc/synthgate/host.yaml"

  @Option(help: "A Unix socket at which the running host takes commands.")
  var control: String?

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
    try HostProcess.run(configuration, control: control) { writeLine($0) }
  }
}
