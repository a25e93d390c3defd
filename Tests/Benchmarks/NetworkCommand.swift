import ArgumentParser
import LinuxIO

/// Measures the network.
struct NetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network",
    abstract: "Measure Synthgate's links against veth, TAP forwarders, vde_switch and DPDK's testpmd.",
    discussion: """
      Every peer joins a link in a network namespace A with one in B; the same loads run over it. The peers alternate \
      within one run. Needs root, iperf3, ping, for the peers vde2 and dpdk-dev (Debian's packages), for the synthgate \
      peers a release build of synthgate next to this program. Nothing else that works hard should run on the machine.
      """)

  @Option(help: "Runs of each job on each peer, of which the median counts.")
  var rounds: Int?

  @Option(help: "Seconds of each run.")
  var seconds: Int?

  @Flag(help: "A first impression: 3 rounds of 1 s.")
  var quick = false

  @Option(
    help: "\(NetworkPeer.allCases.map(\.rawValue).joined(separator: ", ")); can be repeated, without it all.")
  var peer: [NetworkPeer] = []

  @Option(help: "\(NetworkJob.allCases.map(\.rawValue).joined(separator: ", ")); can be repeated, without it all.")
  var job: [NetworkJob] = []

  @Option(help: "The synthgate program; without it the one next to this program.")
  var synthgate: String?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if let rounds, !(1...1000).contains(rounds) { throw ValidationError("--rounds must be from 1 to 1000") }
    if let seconds, !(1...3600).contains(seconds) { throw ValidationError("--seconds must be from 1 to 3600") }
  }

  func run() throws {
    guard effectiveUser() == 0 else {
      throw BenchmarkError.failed("network namespaces and TAPs need root; run it as root, or with sudo")
    }
    let settings = NetworkSettings(
      rounds: rounds ?? (quick ? 3 : 5), seconds: seconds ?? (quick ? 1 : 3),
      peers: peer.isEmpty ? NetworkPeer.allCases : NetworkPeer.allCases.filter(peer.contains),
      jobs: job.isEmpty ? NetworkJob.allCases : NetworkJob.allCases.filter(job.contains))
    let iperf = try required("iperf3", package: "iperf3")
    _ = try required("ping", package: "iputils-ping")
    let programs = NetworkPrograms(
      ip: try required("ip", package: "iproute2"), benchmark: try ownProgram(),
      synthgate: try synthgateProgram(synthgate), vdeSwitch: findProgram("vde_switch"),
      vdePlug: findProgram("vde_plug2tap"), testpmd: findProgram("dpdk-testpmd"))
    let workspace = try Workspace(below: "/tmp")
    defer { workspace.close() }
    try endingWithCode { try measure(settings, programs, iperf: iperf, in: workspace) }
  }

  private func required(_ program: String, package: String) throws -> String {
    guard let path = findProgram(program) else {
      throw BenchmarkError.failed("\(program) is not installed; install Debian's package \(package)")
    }
    return path
  }

  /// Measures and prints; answers whether a peer did not work.
  private func measure(
    _ settings: NetworkSettings, _ programs: NetworkPrograms, iperf: String, in workspace: Workspace
  ) throws -> Bool {
    let machine = Machine(tools: [
      .init(name: "iperf3", version: try workspace.version(of: iperf)),
      .init(name: "vde_switch", version: try programs.vdeSwitch.flatMap { try workspace.version(of: $0) }),
      .init(name: "testpmd", version: try testpmdVersion(programs, in: workspace)),
    ])
    let benchmark = try NetworkBenchmark(settings, programs, iperf: iperf, in: workspace)
    let series = try benchmark.run()
    var commands: [String: [String]] = [:]
    for peer in settings.peers where programs.objection(to: peer) == nil {
      commands[peer.rawValue] = NetworkPrograms.explained.commands(peer, .explained, directory: "DIR").map {
        $0.arguments.joined(separator: " ")
      }
    }
    let report = NetworkReport(
      machine: machine, settings: settings, commands: commands, series: series,
      aims: Aim.judge(series, peers: settings.peers), notes: benchmark.notes)
    if json { try printJSON(report) } else { for line in report.lines { print(line) } }
    return benchmark.hasFailed
  }

  /// The version of DPDK, which testpmd itself tells only with a start of everything.
  private func testpmdVersion(_ programs: NetworkPrograms, in workspace: Workspace) throws -> String? {
    guard programs.testpmd != nil else { return nil }
    guard let query = findProgram("dpkg-query") else { return "unknown" }
    try workspace.run([query, "--show", "--showformat", "DPDK ${Version}", "dpdk-dev"], log: "version-dpdk")
    return try readTextFile(workspace.path("version-dpdk"))
  }
}
