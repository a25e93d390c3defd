import Foundation
import LinuxIO
import Testing

/// A link of Synthgate in one namespace, with a host whose uplink is a TAP in another: two machines with a cable between
/// them. The host is a process of its own, or embedded in that of the link.
final class Wire {
  let scratch: Scratch
  private let host: HostProcess?
  /// Where the link `syn0` is.
  let guest: Namespace
  /// Where the host's TAP `vsw0` is.
  let outside: Namespace

  static let guestAddress = "10.77.0.2"
  static let outsideAddress = "10.77.0.1"
  static let guestAddress6 = "fd77::2"
  static let outsideAddress6 = "fd77::1"
  static let mac = "00:15:5d:00:00:01"

  /// Runs `body` with a new wire, then takes the link down and ends the host.
  static func with(isEmbedded: Bool = false, mtu: Int = 1500, _ body: (Wire) throws -> Void) throws {
    try Scratch.with { scratch in
      let wire = try Wire(scratch, isEmbedded: isEmbedded, mtu: mtu)
      try body(wire)
      try wire.end()
    }
  }

  /// How another guest would name the bus.
  var bus: String { host?.bus ?? "embedded" }

  private init(_ scratch: Scratch, isEmbedded: Bool, mtu: Int) throws {
    self.scratch = scratch
    guest = try scratch.namespace("a")
    outside = try scratch.namespace("b")
    let network = "{ mac: \"\(Wire.mac)\", uplink: \"tap:vsw0\", queues: 4 }"
    host = isEmbedded ? nil : try HostProcess(scratch, networks: [network], in: outside)
    let bus = host.map { ["--bus", $0.bus] } ?? ["--uplink", "tap:vsw0", "--mac", Wire.mac]
    // The TAP of an embedded host is where the command is run.
    let options =
      bus + [
        "--mtu", "\(mtu)", "--queues", "2", "--address", "\(Wire.guestAddress)/24", "--address",
        "\(Wire.guestAddress6)/64",
      ]
    try scratch.linkUp("syn0", in: guest, options, from: outside)
    try outside.run(
      """
      ip link set vsw0 mtu \(mtu)
      ip addr add \(Wire.outsideAddress)/24 dev vsw0
      ip addr add \(Wire.outsideAddress6)/64 dev vsw0 nodad
      """)
    try guest.waitForAddresses("syn0")
  }

  private func end() throws {
    try scratch.linkDown("syn0", in: guest)
    try host?.stop()
  }

  /// Whether `ping` gets an answer to each of its packets.
  func ping(_ address: String = Wire.outsideAddress, _ options: String...) throws -> Bool {
    try guest.ping(address, options)
  }
}

extension Namespace {
  /// Whether `ping` gets an answer to each of its packets.
  func ping(_ address: String, _ options: [String] = []) throws -> Bool {
    let result = try EndToEndTests.run(
      prefix + ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "2"] + options + [address], timeLimit: 30)
    return result.output.contains(" 0% packet loss")
  }

  /// Waits until the link has carrier, and none of its IPv6 addresses is tentative any more.
  func waitForAddresses(_ name: String) throws {
    try waitUntil("\(name) is ready") {
      try link(name)?["operstate"] as? String != "DOWN"
        && must("ip", "-n", self.name, "-6", "addr", "show", "dev", name, "tentative").isEmpty
    }
  }
}

extension Scratch {
  func linkUp(_ name: String, in namespace: Namespace, _ options: String...) throws {
    try linkUp(name, in: namespace, options)
  }

  /// `synthgate link up`, run in `origin`, which must succeed silently.
  func linkUp(_ name: String, in namespace: Namespace, _ options: [String], from origin: Namespace? = nil) throws {
    let result = try run(
      (origin?.prefix ?? []) + [try Program.path, "link", "up", name, "--netns", namespace.name] + options,
      environment: environment, directory: path, timeLimit: 60)
    guard result.code == 0 else {
      throw CommandFailure(description: "link up \(options) ended with \(result.code): \(result.error)")
    }
    #expect(result.error == "" && result.output == "", "a link up that succeeds is silent")
  }

  /// `synthgate link down`, after which nothing of the link may be left.
  func linkDown(_ name: String, in namespace: Namespace) throws {
    let process = try links(named: name, in: namespace)["process"] as? Int
    let result = try synthgate("link", "down", name, "--netns", namespace.name)
    guard result.code == 0 else {
      throw CommandFailure(description: "link down ended with \(result.code): \(result.error)")
    }
    try #expect(namespace.link(name) == nil, "the link is left")
    let id = Int32(try #require(process))
    #expect(!processes.contains(id), "the process \(id) is left")
    let directory = file("run/links/\(name)@\(namespace.name)")
    #expect(!FileManager.default.fileExists(atPath: directory), "\(directory) is left")
  }

  /// What `synthgate links --json` tells of one link.
  func links(named name: String, in namespace: Namespace) throws -> [String: Any] {
    let result = try synthgate("links", "--json")
    guard result.code == 0 else { throw CommandFailure(description: "links: \(result.error)") }
    let found = try array(result.output).first {
      $0["name"] as? String == name && $0["netns"] as? String == namespace.name
    }
    return try #require(found, "\(result.output)")
  }
}
