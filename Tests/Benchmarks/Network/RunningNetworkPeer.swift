import FoundationEssentials
import LinuxIO

/// A peer that joins `net0` of both namespaces, and an iperf3 server in B.
struct RunningNetworkPeer {
  let workspace: Workspace
  let bed: NetworkBed
  let peer: NetworkPeer
  private let programs: NetworkPrograms
  private let directory: String
  private var processes: [ProcessHandle] = []
  private var server: ProcessHandle?

  /// The processes that move frames.
  var processIDs: [Int32] { processes.map(\.id) }

  private static let port = 5201

  /// Starts the peer and waits until A reaches B.
  init(
    _ peer: NetworkPeer, _ programs: NetworkPrograms, iperf: String, on bed: NetworkBed, in workspace: Workspace
  ) throws {
    self.workspace = workspace
    self.bed = bed
    self.peer = peer
    self.programs = programs
    directory = workspace.path(peer.rawValue)
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
      try start()
      try bed.bringUp()
      try startServer(iperf)
    } catch {
      stop()
      throw error
    }
  }

  private var log: String { "\(peer.rawValue).log" }

  private mutating func start() throws {
    if peer == .socket {
      let configuration = """
        listen: \(directory)/host.sock
        networks:
          - { uplink: "tap:net0" }

        """
      try Data(configuration.utf8).write(to: URL(filePath: "\(directory)/host.yaml"))
    }
    if peer == .vde || peer == .testpmd { try workspace.run(["/usr/bin/mkfifo", "\(directory)/input"], log: log) }
    try? FileManager.default.removeItem(atPath: workspace.path(log))
    for command in programs.commands(peer, bed, directory: directory) {
      switch command {
      case .runs(let arguments): try workspace.run(arguments, log: log)
      case .stays(let arguments, let sign):
        processes.append(try workspace.start(arguments, log: log))
        switch sign {
        case .file(let path)?: try waitUntil(path) { FileManager.default.fileExists(atPath: path) }
        case .log(let text)?:
          let file = workspace.path(log)
          try waitUntil(text) { ((try? readTextFile(file)) ?? "").contains(text) }
        case nil: break
        }
      }
    }
    let bed = bed
    try waitUntil("its links") { bed.hasLink(in: bed.client) && bed.hasLink(in: bed.server) }
  }

  private func waitUntil(_ what: String, _ isThere: () -> Bool) throws {
    try workspace.wait(for: what, of: peer.title, while: processes.last, log: log, isThere)
  }

  /// Throws when one of the processes has ended, with what it has printed.
  func checkProcesses() throws {
    guard processes.contains(where: { $0.hasEnded() }) else { return }
    throw BenchmarkError.failed("\(peer.title) has ended: \(workspace.tail(of: log))")
  }

  private mutating func startServer(_ iperf: String) throws {
    let server = try workspace.start(
      bed.command([iperf, "-s", "-B", NetworkBed.serverAddress, "-p", "\(Self.port)"], in: bed.server),
      log: "iperf3.log")
    self.server = server
    // Its port, and 0A: listening (proc(5)).
    let pattern = ":" + String(Self.port, radix: 16, uppercase: true) + " 00000000:0000 0A"
    try workspace.wait(for: "its port", of: "iperf3", while: server, log: "iperf3.log") {
      ((try? readTextFile("/proc/\(server.id)/net/tcp")) ?? "").contains(pattern)
    }
  }

  /// Ends the processes, the newest first, and removes what is left of the peer.
  func stop() {
    if let server { workspace.stop(server) }
    for process in processes.reversed() { workspace.stop(process) }
    bed.clear()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Frames and doorbells so far, where the peer tells them.
  func linkCounters() throws -> LinkCounters? {
    guard peer.isOurs, let synthgate = programs.synthgate else { return nil }
    let file = workspace.path("links.json")
    try? FileManager.default.removeItem(atPath: file)
    try workspace.run(
      ["/usr/bin/env", "SYNTHGATE_RUNTIME_DIR=\(directory)/run", synthgate, "links", "--json"], log: "links.json")
    return try JSONDecoder().decode([LinkCounters].self, from: Data(try readTextFile(file).utf8)).first
  }

  /// The datagrams that programs in a namespace have received so far, and those that came but found no room there.
  func datagrams(in namespace: String) throws -> (received: Double, refused: Double) {
    let file = workspace.path("snmp")
    try? FileManager.default.removeItem(atPath: file)
    try bed.run(["/bin/cat", "/proc/net/snmp"], in: namespace, log: "snmp")
    let lines = try readTextFile(file).split(separator: "\n").filter { $0.hasPrefix("Udp:") }
    // Two lines: names, values. The first are InDatagrams, NoPorts, InErrors.
    let values = lines.last?.split(separator: " ").dropFirst().compactMap { Double($0) } ?? []
    guard values.count > 2 else { throw BenchmarkError.failed("/proc/net/snmp tells nothing of UDP") }
    return (values[0], values[2])
  }
}

/// What `synthgate links --json` tells of a link.
struct LinkCounters: Decodable {
  var receivedFrames: Double
  var sentFrames: Double
  var doorbells: Double
}
