import Ethernet
import EthernetSwitch
import LinuxIO
import NetlinkRoute
import NetworkSupport
import Netvsp
import Synchronization
import TapLink
import Testing
import VMBusProtocol
import VMBusServer

@testable import Gateway
@testable import SyntheticHost

/// Links of one process, and a thread that reconciles them. Those with even and odd numbers are in different namespaces,
/// so that what goes from one to the next goes over the bus.
final class LinkBench {
  let namespaces: [TestNamespace]
  let bus: GatewayBus
  private(set) var links: [SyntheticLink] = []
  let lines = LogLines()
  private var control: WorkerThread?
  private let stopping: EventFD

  init(_ bus: GatewayBus) throws {
    self.bus = bus
    namespaces = [try TestNamespace(), try TestNamespace()]
    stopping = try EventFD()
    // The links share a network: each answers only for its own address.
    for namespace in namespaces {
      for name in ["arp_ignore=1", "arp_announce=2", "rp_filter=0"] {
        try namespace.run("sysctl -q -w net.ipv4.conf.all.\(name) net.ipv4.conf.default.\(name)")
      }
    }
  }

  /// Brings NIC `number` up as `syn<number>` with the address 10.77.0.<number + 10>.
  func up(_ number: Int, queueCount: Int = 1) throws {
    let lines = lines
    let options = TapOptions(
      name: "syn\(number)", mtu: 1500, queueCount: queueCount, namespace: namespace(of: number).name,
      addresses: [try IPNetwork(parsing: "10.77.0.\(number + 10)/24")])
    let device = try NICSelector("\(number)").choose(from: bus.devices, what: "syn\(number)")
    links.append(
      try SyntheticLink(device: device, bus: bus.guest, options: options, mac: nil, what: "syn\(number)") {
        lines.add($0)
      })
  }

  /// Starts the thread that follows hosts and administrators.
  func startControl() throws {
    let links = links
    let stop = stopping
    control = try WorkerThread(name: "control") {
      while true {
        // More than one wait can watch: look around often.
        if waitForInput([stop.descriptor], milliseconds: 20) & 1 != 0 { return }
        for link in links { link.reconcile() }
      }
    }
  }

  /// Takes all links down.
  func close() throws {
    stopping.signal()
    control?.join()
    for link in links { link.close() }
    bus.close()
    for namespace in namespaces {
      let left = try namespace.run("ip -o link show").split(separator: "\n").count
      #expect(left == 1, "links are left")
    }
  }

  /// Where link `number` is.
  func namespace(of number: Int) -> TestNamespace { namespaces[number % 2] }

  /// Whether the station at `address` answers over the link `number`.
  func ping(_ number: Int, _ address: String = "10.77.0.1") -> Bool {
    (try? namespace(of: number).run("ping -q -c 1 -W 1 -I syn\(number) \(address)")) != nil
  }
}

/// What links reported.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  func add(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
}

/// A figure of this process from /proc/self/status.
func ownStatus(_ key: String) throws -> Int {
  let text = try readTextFile("/proc/self/status")
  let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key + ":") })
  return try #require(Int(line.dropFirst(key.count + 1).split { $0 == " " || $0 == "\t" }[0]))
}
