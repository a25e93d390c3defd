import ArgumentParser

/// Somebody who joins a link in the namespace A with one in the namespace B.
enum NetworkPeer: String, Codable, CaseIterable, ExpressibleByArgument {
  /// A pair of the kernel's own: the bound.
  case veth
  /// One thread that joins two TAPs and leaves segmentation and checksums to the receiver.
  case forwarder
  /// The same with finished frames only.
  case plain
  /// vde_switch with a TAP of its own, and vde_plug2tap.
  case vde
  /// DPDK's testpmd between two net_tap devices.
  case testpmd
  /// `synthgate link up` with the embedded host.
  case embedded
  /// `synthgate host` and `synthgate link up` in two processes.
  case socket

  var title: String {
    switch self {
    case .veth: "veth"
    case .forwarder: "forwarder"
    case .plain: "plain forwarder"
    case .vde: "vde_switch"
    case .testpmd: "dpdk testpmd"
    case .embedded: "synthgate embedded"
    case .socket: "synthgate 2 processes"
    }
  }

  /// Whether it is Synthgate itself.
  var isOurs: Bool { self == .embedded || self == .socket }
  /// Whether processes move its frames.
  var hasProcesses: Bool { self != .veth }
}

/// The programs that the peers are made of; nil for those that are not installed, or not built.
struct NetworkPrograms {
  /// ip(8).
  var ip: String
  /// This program.
  var benchmark: String
  var synthgate: String?
  var vdeSwitch: String?
  var vdePlug: String?
  var testpmd: String?

  /// Under their plain names, for explanations.
  static let explained = NetworkPrograms(
    ip: "ip", benchmark: "benchmark", synthgate: "synthgate", vdeSwitch: "vde_switch", vdePlug: "vde_plug2tap",
    testpmd: "dpdk-testpmd")

  /// Why a peer can't be there; nil when it can.
  func objection(to peer: NetworkPeer) -> String? {
    switch peer {
    case .veth, .forwarder, .plain: nil
    case .vde: vdeSwitch == nil || vdePlug == nil ? "vde_switch or vde_plug2tap is not there (Debian: vde2)" : nil
    case .testpmd: testpmd == nil ? "dpdk-testpmd is not there (Debian: dpdk-dev)" : nil
    case .embedded, .socket: synthgate == nil ? "synthgate was not built next to this program" : nil
    }
  }

  /// The command lines that join `net0` in `bed.client` with `net0` in `bed.server`, in the order of their start, and how
  /// long each of them stays.
  ///
  /// - Parameter directory: an empty directory for the peer's own files.
  func commands(_ peer: NetworkPeer, _ bed: NetworkBed, directory: String) -> [NetworkPeerCommand] {
    let inClient = [ip, "netns", "exec", bed.client]
    let inServer = [ip, "netns", "exec", bed.server]
    // Both end with their standard input, which is therefore a pipe that nobody writes to.
    let waiting = ["/bin/sh", "-c", "exec 0<>\(directory)/input; exec \"$@\"", "sh"]
    let inRuntime = ["/usr/bin/env", "SYNTHGATE_RUNTIME_DIR=\(directory)/run"]
    switch peer {
    case .veth:
      let add = [ip, "link", "add", "net0", "netns", bed.client, "type", "veth"]
      return [.runs(add + ["peer", "name", "net0", "netns", bed.server])]
    case .forwarder: return [.stays([benchmark, "forward-frames", bed.client, bed.server])]
    case .plain: return [.stays([benchmark, "forward-frames", bed.client, bed.server, "--plain"])]
    case .vde:
      let hub = [vdeSwitch ?? "vde_switch", "-s", "\(directory)/vde", "-f", "/dev/null", "-t", "net0"]
      return [
        .stays(inServer + waiting + hub, awaits: .file("\(directory)/vde/ctl")),
        .stays(inClient + [vdePlug ?? "vde_plug2tap", "-s", "\(directory)/vde", "net0"]),
      ]
    case .testpmd:
      let environment = [
        testpmd ?? "dpdk-testpmd", "--no-huge", "-m", "256", "--no-shconf", "--no-telemetry", "--no-pci", "-l", "0,1",
        "--vdev", "net_tap0,iface=net0", "--vdev", "net_tap1,iface=net1",
      ]
      let forwarding = ["--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=16384"]
      return [
        .stays(
          inServer + ["/usr/bin/env", "RUNTIME_DIRECTORY=\(directory)"] + waiting + environment + forwarding,
          awaits: .log("Checking link statuses")),
        .runs([ip, "-n", bed.server, "link", "set", "net1", "netns", bed.client, "name", "net0"]),
      ]
    case .embedded:
      // The uplink appears where the process runs.
      return [.stays(inServer + inRuntime + linkUp(bed, ["--uplink", "tap:net0"]))]
    case .socket:
      let host = [synthgate ?? "synthgate", "host", "--config", "\(directory)/host.yaml"]
      return [
        .stays(inServer + inRuntime + host, awaits: .file("\(directory)/host.sock")),
        .stays(inRuntime + linkUp(bed, ["--bus", "socket:\(directory)/host.sock"])),
      ]
    }
  }

  private func linkUp(_ bed: NetworkBed, _ choice: [String]) -> [String] {
    [synthgate ?? "synthgate", "link", "up", "net0", "--netns", bed.client] + choice + ["--foreground"]
  }
}

/// One step of the start of a peer.
enum NetworkPeerCommand {
  /// A command that ends at once.
  case runs([String])
  /// A process that serves. Before the next step, what `awaits` names must be there.
  case stays([String], awaits: Sign? = nil)

  /// How it is known that a process is ready.
  enum Sign {
    case file(String)
    /// What it prints.
    case log(String)
  }

  /// The command line.
  var arguments: [String] {
    switch self {
    case .runs(let arguments): arguments
    case .stays(let arguments, _): arguments
    }
  }
}
