import ArgumentParser
import LinuxIO

/// Measures storage.
struct StorageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "storage",
    abstract: "Measure Synthgate's disks against a bare file, qemu-storage-daemon, a null FUSE server and DiskFS.",
    discussion: """
      Every peer shows the same image as a file, on which fio runs the same jobs. The peers alternate within one run. \
      Needs fio, for the qemu peer qemu-storage-daemon (Debian: qemu-system-common), for the synthgate peers a release \
      build of synthgate next to this program. Nothing else that works hard should run on the machine.
      """)

  @Option(help: "Runs of each job on each peer, of which the median counts.")
  var rounds: Int?

  @Option(help: "Seconds of each run.")
  var seconds: Int?

  @Option(help: "Length of the image in MiB.")
  var size: UInt64?

  @Flag(help: "A first impression: 3 rounds of 1 s, in the page cache only.")
  var quick = false

  @Option(help: "buffered (in the page cache) or direct (on disk); can be repeated, without it both.")
  var cache: [CacheMode] = []

  @Option(help: "bare, qemu, null, diskfs, embedded or socket; can be repeated, without it all.")
  var peer: [Peer] = []

  @Option(help: "Name of a job, for example randread-qd1; can be repeated, without it all.")
  var job: [String] = []

  @Option(help: "Threads of the null server, DiskFS and synthgate; without it their own choice.")
  var workers: Int?

  @Option(help: "Where the temporary directory with the image is made: a directory on a disk.")
  var directory = "/var/tmp"

  @Option(help: "The synthgate program; without it the one next to this program.")
  var synthgate: String?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    for name in job where !StorageJob.all.contains(where: { $0.name == name }) {
      throw ValidationError(
        "no job is called \(name); there are \(StorageJob.all.map(\.name).joined(separator: ", "))")
    }
    if let rounds, rounds < 1 { throw ValidationError("--rounds counts from 1") }
    if let seconds, seconds < 1 { throw ValidationError("--seconds counts from 1") }
    if let size, !(16...(1 << 20)).contains(size) { throw ValidationError("--size must be from 16 MiB to 1 TiB") }
  }

  func run() throws {
    guard let fio = findProgram("fio") else { throw BenchmarkError.failed("fio is not installed; install it") }
    let settings = StorageSettings(
      rounds: rounds ?? (quick ? 3 : 5), seconds: seconds ?? (quick ? 1 : 3), size: (size ?? 2048) << 20,
      caches: cache.isEmpty ? (quick ? [.buffered] : CacheMode.allCases) : cache,
      peers: peer.isEmpty ? Peer.allCases : Peer.allCases.filter(peer.contains),
      jobs: job.isEmpty ? StorageJob.all.map(\.name) : job)
    let programs = try programs()
    let workspace = try Workspace(below: directory)
    defer { workspace.close() }
    try endingWithCode { try measure(settings, programs, fio: fio, in: workspace) }
  }

  private func programs() throws -> PeerPrograms {
    PeerPrograms(
      benchmark: try ownProgram(), qemu: findProgram("qemu-storage-daemon"),
      synthgate: try synthgateProgram(synthgate), workers: workers)
  }

  /// Measures and prints; answers whether a peer did not work.
  private func measure(
    _ settings: StorageSettings, _ programs: PeerPrograms, fio: String, in workspace: Workspace
  ) throws -> Bool {
    let machine = try Machine(of: workspace, fio: fio, qemu: programs.qemu)
    let benchmark = StorageBenchmark(settings, programs, fio: fio, in: workspace)
    let (series, footprints) = try benchmark.run()
    let report = StorageReport(
      machine: machine, settings: settings, commands: programs.commandLines(settings), series: series,
      footprints: footprints,
      aims: Aim.judge(series, footprints, caches: settings.caches), notes: benchmark.notes)
    if json {
      try printJSON(report)
    } else {
      for line in report.lines { print(line) }
    }
    return benchmark.hasFailed
  }
}
