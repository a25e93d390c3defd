import Foundation
import Testing

/// Two network namespaces for one test: that of the guest, where links appear, and that of the peer, where a synthetic
/// host runs and where the bridge `br0` with the addresses 10.77.0.1/24 and fd77::1/64 is. An uplink `tap:vsw0` of the
/// host joins the bridge, so that the peer's addresses outlive the host. Both go at the end, with all that is in them.
final class LinkLab {
  let scratch: Scratch
  let guest: String
  let peer: String
  private var host: Command?

  static let address = "10.77.0.2/24"
  static let peerAddress = "10.77.0.1"

  private init(_ scratch: Scratch) throws {
    self.scratch = scratch
    let name = "sglab-\(UUID().uuidString.prefix(8))"
    guest = name + "-g"
    peer = name + "-p"
    for namespace in [guest, peer] {
      try must("ip", "netns", "add", namespace)
      try must("ip", "-n", namespace, "link", "set", "lo", "up")
    }
    try shell(
      """
      ip -n "$1" link add br0 type bridge
      ip -n "$1" addr add 10.77.0.1/24 dev br0; ip -n "$1" addr add fd77::1/64 dev br0 nodad
      ip -n "$1" link set br0 up
      """, peer)
  }

  /// Runs `body` with new namespaces; afterwards nothing may be left running, and no link in the guest.
  static func with(_ body: (LinkLab) throws -> Void) throws {
    try Scratch.with { scratch in
      let lab = try LinkLab(scratch)
      defer { lab.remove() }
      do { try body(lab) } catch {
        lab.showLogs()
        throw error
      }
      try lab.stopHost()
      scratch.expectNothingLeft()
      try #expect(lab.links(in: lab.guest) == ["lo"], "links are left")
    }
  }

  private func remove() {
    host?.send(SIGKILL)
    host = nil
    for id in scratch.processes { kill(id, SIGKILL) }
    for namespace in [guest, peer] { _ = try? run(["ip", "netns", "del", namespace], timeLimit: 20) }
  }

  private func showLogs() {
    print("-- host\n\(host?.output ?? "")\(host?.error ?? "")")
    print((try? shell(#"tail -n 40 "$1"/run/links/*/log"#, scratch.path)) ?? "")
  }

  // MARK: Programs

  /// A program in the guest's namespace, run to its end.
  func inGuest(_ arguments: [String], timeLimit: Double = 30) throws -> CommandResult {
    try run(
      ["ip", "netns", "exec", guest] + arguments, environment: scratch.environment, directory: scratch.path,
      timeLimit: timeLimit)
  }

  /// A program in a namespace that runs beside the test.
  func start(_ arguments: [String], in namespace: String) throws -> Command {
    try Command(
      ["ip", "netns", "exec", namespace] + arguments, environment: scratch.environment, directory: scratch.path)
  }

  /// The names of the links of a namespace.
  func links(in namespace: String) throws -> [String] {
    try must("ip", "-n", namespace, "-o", "link", "show").split(separator: "\n").compactMap { line in
      line.split(separator: ":").dropFirst().first?.trimmingCharacters(in: .whitespaces)
        .split(separator: "@").first.map(String.init)
    }.sorted()
  }

  /// Waits until the other end answers; answers after how many seconds it did.
  @discardableResult
  func awaitPing(_ address: String = LinkLab.peerAddress, seconds: Double = 10) throws -> Double {
    let start = Date()
    try waitUntil("\(address) answers", seconds: seconds) {
      try inGuest(["ping", "-q", "-c", "1", "-W", "0.1", address]).code == 0
    }
    return Date().timeIntervalSince(start)
  }

  // MARK: Synthgate

  var socket: String { scratch.file("host.sock") }
  var bus: [String] { ["--bus", "socket:\(socket)"] }

  /// Starts a host with these networks (`{ uplink: ... }`) in the peer's namespace; it is ready when it listens and its
  /// uplink is on the bridge.
  func startHost(_ networks: [String]) throws {
    let list = networks.map { "  - \($0)\n" }.joined()
    try "listen: \(socket)\nnetworks:\n\(list)".write(
      toFile: scratch.file("host.yaml"), atomically: true, encoding: .utf8)
    let host = try start([try Program.path, "host", "--config", scratch.file("host.yaml")], in: peer)
    self.host = host
    try waitUntil("the host listens") {
      guard host.isRunning else { throw CommandFailure(description: "the host has ended: \(host.output)\(host.error)") }
      return host.output.contains("listening")
    }
    if list.contains("tap:vsw0") { try must("ip", "-n", peer, "link", "set", "vsw0", "master", "br0", "up") }
  }

  var hostID: Int32 { host?.id ?? -1 }

  func signalHost(_ signal: Int32) { host?.send(signal) }

  /// Kills the host without a warning.
  func killHost() throws {
    host?.send(SIGKILL)
    _ = try host?.wait(timeLimit: 10)
    host = nil
  }

  /// Ends the host in order.
  func stopHost() throws {
    defer { host = nil }
    guard let host else {
      // A killed one leaves its socket.
      try? FileManager.default.removeItem(atPath: socket)
      return
    }
    host.send(SIGTERM)
    let result = try host.wait(timeLimit: 10)
    #expect(result.code == 0, "\(result.error)")
    #expect(!FileManager.default.fileExists(atPath: socket), "the socket is left")
  }

  /// `link up NAME` in the guest's namespace, which must succeed without a word; answers how long it took.
  @discardableResult
  func up(_ name: String, _ options: [String], _ location: SourceLocation = #_sourceLocation) throws -> Double {
    let result = try inGuest([try Program.path, "link", "up", name] + options)
    guard result.code == 0 else {
      throw CommandFailure(description: "link up \(options) ended with \(result.code): \(result.error)")
    }
    #expect(result.output + result.error == "", "a link that comes up is silent", sourceLocation: location)
    return result.seconds
  }

  @discardableResult
  func up(_ options: [String], _ location: SourceLocation = #_sourceLocation) throws -> Double {
    try up("syn0", options, location)
  }

  /// `link down NAME`, which must succeed.
  func down(_ name: String = "syn0") throws {
    let result = try inGuest([try Program.path, "link", "down", name])
    guard result.code == 0 else { throw CommandFailure(description: "link down \(name): \(result.error)") }
    try #expect(!links(in: guest).contains(name))
  }

  /// What `synthgate links --json` tells of a link; nil when it does not tell of it.
  func report(_ name: String = "syn0") throws -> [String: Any]? {
    let result = try inGuest([try Program.path, "links", "--json"])
    #expect(result.code == 0, "\(result.error)")
    return try array(result.output).first { $0["name"] as? String == name }
  }

  /// The process that serves a link.
  func process(of name: String = "syn0") throws -> Int32 {
    Int32(try #require(try report(name)?["process"] as? Int))
  }
}

/// What the kernel tells of a process.
struct ProcessFigures {
  /// User and system time in clock ticks (10 ms).
  var ticks: Int
  var threads: Int
  var residentKibibytes: Int

  init(_ id: Int32) throws {
    let stat = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
    let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
    ticks = try #require(Int(fields[11])) + #require(Int(fields[12]))
    threads = try #require(Int(fields[17]))
    let status = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    residentKibibytes = try #require(Int(line.split(separator: " ")[1]))
  }
}

/// Whether a process runs: one that has ended and waits for its parent has no command line.
func isAlive(_ id: Int32) -> Bool {
  FileManager.default.contents(atPath: "/proc/\(id)/cmdline")?.isEmpty == false
}
