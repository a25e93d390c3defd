import ArgumentParser
import Ethernet
import Gateway
import LinuxIO
import NetlinkRoute
import SyntheticHost

struct Link: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring synthetic NICs up as links, and take them down.",
    subcommands: [LinkUp.self, LinkDown.self, LinkDHCPEvent.self])
}

struct LinkUp: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Bring a synthetic NIC up as an ordinary Linux link.",
    discussion: """
      NAME becomes a link with the NIC's address and MTU, with carrier as the NIC has it. A process of its own serves it \
      until `synthgate link down NAME`. What an administrator does to it (ip link set up, down, mtu, address, promisc) \
      reaches the NIC.

      In a guest of Hyper-V the NIC is one that `synthgate attach` has taken. Elsewhere, or with --bus embedded or --uplink, \
      an embedded host offers one NIC, whose uplink is told by --uplink:
        responder:10.77.0.1/24   a pseudo host that answers ARP, ping and DHCP (the default, at the --gateway)
        tap:vsw0                 a TAP on this machine
        stream:/run/passt.sock   a Unix socket of passt or of QEMU's stream netdev

      Examples:
        synthgate link up syn0 --address 10.77.0.2/24 --gateway 10.77.0.1
        synthgate link up syn0 --netns web --dhcp --uplink stream:/run/passt.sock
        synthgate link up syn1 --bus socket:/run/synthgate/host.sock --nic 1 --address fd77::2/64
      """)

  @Argument(help: "Name of the link, at most 15 bytes.")
  var name: String

  @Option(help: "The NIC: its number on the bus, or its instance; without it the only one, or the first attached one.")
  var nic: String?

  @Option(help: "The bus: auto, embedded, socket:PATH of a running host, or hyperv.")
  var bus: BusChoice = .automatic

  @Option(help: "What is behind the NIC of the embedded host: \(Uplink.forms).")
  var uplink: Uplink?

  @Option(help: "An address with its prefix length; can be repeated.", transform: IPNetwork.argument)
  var address: [IPNetwork] = []

  @Option(help: "A route: NET/LENGTH, or NET/LENGTH,GATEWAY; can be repeated.", transform: IPRoute.argument)
  var route: [IPRoute] = []

  @Option(help: "The default gateway.")
  var gateway: IPAddress?

  @Option(help: "Longest payload of a frame in bytes.")
  var mtu = 1500

  @Option(help: "Address of the NIC; without it the one that it has.")
  var mac: MACAddress?

  @Option(help: "Network namespace: a name of `ip netns`, or a path.")
  var netns: String?

  @Flag(help: "Get address and routes by DHCP.")
  var dhcp = false

  @Option(help: "Queues, each with a thread and a channel; without it one per processor, at most 4.")
  var queues: Int?

  @Option(help: "Seconds for which the link waits without carrier for a host that is gone; then it ends.")
  var reconnect = 3600

  @Flag(help: "Stay in the foreground until the link ends.")
  var foreground = false

  @Flag(help: .hidden)
  var reportOnDescriptor3 = false

  func validate() throws {
    if let queues, !(1...64).contains(queues) { throw ValidationError("--queues must be from 1 to 64") }
    if !(0...86400).contains(reconnect) { throw ValidationError("--reconnect must be from 0 to 86400 seconds") }
  }

  func run() throws {
    var request = LinkRequest(name: name)
    request.nic = nic
    request.bus = bus.forLink(hasUplink: uplink != nil)
    request.uplink = uplink
    request.addresses = address
    request.routes = route
    request.gateway = gateway
    request.mtu = mtu
    request.mac = mac
    request.namespace = netns
    request.usesDHCP = dhcp
    request.queues = queues
    request.reconnectSeconds = reconnect
    if reportOnDescriptor3 {
      runReporting { report throws(GatewayError) in try LinkProcess.run(request, report: report) }
    } else if foreground {
      try LinkProcess.run(request) { report in
        if report == .ready { writeLine("\(name) is up; Ctrl-C takes it down") }
      }
    } else {
      let progress = ProgressLine()
      defer { progress.finish() }
      try DetachedProcess(arguments: detachedArguments, what: "link \(name)").awaitReady {
        progress.show($0, seconds: $1)
      }
    }
  }

  private var detachedArguments: [String] {
    var arguments = [
      "link", "up", "--report-on-descriptor3", "--bus", bus.forLink(hasUplink: uplink != nil).text, "--mtu", "\(mtu)",
    ]
    arguments += ["--reconnect", "\(reconnect)"]
    if let nic { arguments += ["--nic", nic] }
    if let uplink { arguments += ["--uplink", uplink.description] }
    for address in address { arguments += ["--address", address.description] }
    for route in route { arguments += ["--route", route.text] }
    if let gateway { arguments += ["--gateway", gateway.description] }
    if let mac { arguments += ["--mac", mac.description] }
    if let netns { arguments += ["--netns", netns] }
    if let queues { arguments += ["--queues", "\(queues)"] }
    if dhcp { arguments.append("--dhcp") }
    return arguments + ["--", name]
  }
}

struct LinkDown: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down", abstract: "Take a link of `synthgate link up` away, with all that belongs to it.")

  @Argument(help: "Name of the link.")
  var name: String

  @Option(help: "Its network namespace, as it was given to `link up`.")
  var netns: String?

  func run() throws {
    let progress = ProgressLine()
    defer { progress.finish() }
    try bringLinkDown(name, namespace: netns) { progress.show($0, seconds: $1) }
  }
}

/// Called by the DHCP client.
struct LinkDHCPEvent: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "dhcp-event", shouldDisplay: false)

  @Argument var directory: String
  @Argument var name: String
  @Argument var event: String

  func run() throws {
    try handleDHCPEvent(event, directory: directory, name: name)
  }
}

struct Links: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the links that Synthgate serves.",
    discussion: "--json prints an array of objects; keys are only ever added.")

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let links = listLinks()
    if json { return try printJSON(links) }
    var table = Table([
      "NAME", "NETNS", "STATE", "CARRIER", "MAC", "MTU", "QUEUES", "RECEIVED", "SENT", "DROPPED", "ADDRESSES",
    ])
    for link in links {
      table.append([
        link.name, link.netns ?? "", link.state, link.carrier ? "on" : "off", link.mac, "\(link.mtu)",
        "\(link.queues)", formatByteCount(link.receivedBytes), formatByteCount(link.sentBytes), "\(link.dropped)",
        link.addresses.joined(separator: ", "),
      ])
    }
    printTable(table, orElse: "no links")
  }
}
