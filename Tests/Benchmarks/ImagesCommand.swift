import ArgumentParser
import LinuxIO

/// Measures images with blocks.
struct ImagesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "images",
    abstract: "Measure dynamic VHDX images against the programs of QEMU.",
    discussion: """
      Every peer shows the same dynamic VHDX as a file, on which fio runs the same jobs; jobs of first writes get a new image \
      each time. Then an image of 64 TiB is opened, and a half-empty one converted. Needs fio, qemu-storage-daemon and \
      qemu-img (Debian: qemu-system-common, qemu-utils), and a release build of synthgate next to this program. Nothing else \
      that works hard should run on the machine.
      """)

  @Option(help: "Runs of each job on each peer, of which the median counts.")
  var rounds: Int?

  @Option(help: "Seconds of each run.")
  var seconds = 1

  @Option(help: "Length of the disk in MiB that is read and overwritten, and of what is converted twice as much.")
  var size: UInt64?

  @Flag(help: "A first impression: 1 round, a disk of 256 MiB.")
  var quick = false

  @Option(help: "qemu, diskfs, embedded or socket; can be repeated, without it qemu, diskfs and embedded.")
  var peer: [Peer] = []

  @Option(help: "Name of a job, for example randread-qd1, or open, convert; can be repeated, without it all.")
  var job: [String] = []

  @Option(help: "Where the temporary directory with the images is made: a directory on a disk.")
  var directory = "/var/tmp"

  @Option(help: "The synthgate program; without it the one next to this program.")
  var synthgate: String?

  @Flag(help: "Print JSON.")
  var json = false

  private static let jobNames = StorageJob.images.map(\.name) + ["open", "convert"]

  func validate() throws {
    for name in job where !Self.jobNames.contains(name) {
      throw ValidationError("no job is called \(name); there are \(Self.jobNames.joined(separator: ", "))")
    }
    if peer.contains(.bare) || peer.contains(.null) {
      throw ValidationError("bare and null know no images with blocks")
    }
    if let rounds, rounds < 1 { throw ValidationError("--rounds counts from 1") }
    if seconds < 1 { throw ValidationError("--seconds counts from 1") }
    if let size, !(16...(1 << 16)).contains(size) { throw ValidationError("--size must be from 16 MiB to 64 GiB") }
  }

  func run() throws {
    guard let fio = findProgram("fio") else { throw BenchmarkError.failed("fio is not installed; install it") }
    guard let synthgate = try synthgateProgram(synthgate) else {
      throw BenchmarkError.failed("synthgate is not there: build it")
    }
    let wanted = job.isEmpty ? Self.jobNames : job
    let settings = StorageSettings(
      rounds: rounds ?? (quick ? 1 : 5), seconds: seconds, size: (size ?? (quick ? 256 : 2048)) << 20,
      caches: [.buffered],
      peers: peer.isEmpty ? [.qemu, .diskfs, .embedded] : Peer.allCases.filter(peer.contains),
      jobs: wanted.filter { $0 != "open" && $0 != "convert" }, kind: .vhdx)
    let programs = PeerPrograms(
      benchmark: try ownProgram(), qemu: findProgram("qemu-storage-daemon"), synthgate: synthgate, kind: .vhdx)
    let workspace = try Workspace(below: directory)
    defer { workspace.close() }
    try endingWithCode {
      let benchmark = StorageBenchmark(settings, programs, fio: fio, in: workspace)
      let storage = try storage(benchmark, settings, programs, fio: fio, in: workspace)
      let qemu = findProgram("qemu-img")
      let times = ImageTimes(rounds: settings.rounds, synthgate: synthgate, qemu: qemu, in: workspace)
      let report = ImagesReport(
        storage, openings: wanted.contains("open") ? try times.open() : [],
        conversions: wanted.contains("convert") ? try times.convert(byteCount: settings.size * 2) : [])
      if json {
        try printJSON(report)
      } else {
        for line in report.lines { print(line) }
      }
      return benchmark.hasFailed
    }
  }

  private func storage(
    _ benchmark: StorageBenchmark, _ settings: StorageSettings, _ programs: PeerPrograms, fio: String,
    in workspace: Workspace
  ) throws -> StorageReport {
    let machine = try Machine(of: workspace, fio: fio, qemu: programs.qemu)
    let (series, footprints) = settings.jobs.isEmpty ? ([], []) : try benchmark.run()
    return StorageReport(
      machine: machine, settings: settings, commands: programs.commandLines(settings), series: series,
      footprints: footprints, aims: [], notes: benchmark.notes)
  }
}
