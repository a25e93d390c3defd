import FoundationEssentials
import LinuxIO

/// What is measured, and how long.
struct StorageSettings: Encodable {
  /// Runs of each job on each peer.
  var rounds: Int
  /// Seconds of each run.
  var seconds: Int
  /// Length of the image in bytes.
  var size: UInt64
  var caches: [CacheMode]
  var peers: [Peer]
  var jobs: [String]
  /// What the image is.
  var kind = ImageKind.raw

  /// The loads that there are for such images.
  var allJobs: [StorageJob] { kind == .raw ? StorageJob.all : StorageJob.images }
}

/// Runs every job on every peer, alternating: a round visits all peers for one job before the next job, and each round
/// begins with another peer, so that what the machine does besides hits all of them.
final class StorageBenchmark {
  private let workspace: Workspace
  private let programs: PeerPrograms
  private let settings: StorageSettings
  private let fio: String
  private let image: String
  private var peers: [Peer]
  private var series: [Series] = []
  private var footprints: [Footprint] = []
  private(set) var notes: [String] = []
  /// Whether a peer did not work.
  private(set) var hasFailed = false

  init(_ settings: StorageSettings, _ programs: PeerPrograms, fio: String, in workspace: Workspace) {
    self.workspace = workspace
    self.programs = programs
    self.settings = settings
    self.fio = fio
    peers = settings.peers
    image = workspace.path("image")
  }

  /// Measures everything.
  func run() throws -> (series: [Series], footprints: [Footprint]) {
    for peer in peers {
      let commands = programs.commands(peer, image: image, size: settings.size, cache: .buffered, directory: "")
      if commands == nil { drop(peer, "its program is not there") }
    }
    writeError("benchmark: filling an image of \(settings.size >> 20) MiB")
    switch settings.kind {
    case .raw: try fill(image)
    case .vhdx:
      try createImage(image, byteCount: settings.size)
      try with(.diskfs, image: image, size: settings.size, .buffered) { try fill($0.file) }
    }
    let jobs = settings.allJobs.filter { settings.jobs.contains($0.name) }
    for cache in settings.caches {
      for round in 0..<settings.rounds {
        writeError("benchmark: \(cache.rawValue), round \(round + 1) of \(settings.rounds)")
        if cache == .buffered { try run(["/bin/cat", image], log: "/dev/null") }
        for job in jobs {
          for peer in peers.rotated(by: round) { try measure(job, peer, cache) }
        }
      }
    }
    if settings.kind == .raw { try measureFootprints() }
    return (series, footprints)
  }

  /// Writes of 4 KiB put the image into the page cache in pages of that size. In large folios ext4 of Linux 6.18 takes
  /// 40 us for each buffered write of 4 KiB, which would hide what the peers cost.
  private func fill(_ file: String) throws {
    try run([
      fio, "--name=fill", "--filename=\(file)", "--size=\(settings.size)", "--rw=write", "--bs=4k", "--end_fsync=1",
      "--refill_buffers", "--output-format=json", "--output=\(workspace.path("fill.json"))",
    ])
  }

  /// A new dynamic image.
  private func createImage(_ path: String, byteCount: UInt64) throws {
    guard let synthgate = programs.synthgate else { throw BenchmarkError.failed("synthgate is not there: build it") }
    try run([
      synthgate, "image", "create", path, "--size", "\(byteCount)", "--format", "vhdx", "--block-size", "1M", "--force",
    ])
  }

  private func drop(_ peer: Peer, _ why: String, failed: Bool = false) {
    peers.removeAll { $0 == peer }
    notes.append("\(peer.title): \(why)")
    writeError("benchmark: \(peer.title): \(why)")
    if failed { hasFailed = true }
  }

  private func run(_ arguments: [String], log: String = "tools.log") throws {
    try workspace.run(arguments, log: log)
  }

  /// Does something with a running peer. A peer that fails is left out from then on; the others go on.
  private func with(
    _ peer: Peer, image: String, size: UInt64, _ cache: CacheMode, _ body: (RunningPeer) throws -> Void
  ) throws {
    do {
      guard let running = try RunningPeer(peer, programs, image: image, size: size, cache: cache, in: workspace) else {
        return
      }
      defer { running.stop() }
      try body(running)
    } catch BenchmarkError.failed(let why) {
      drop(peer, why, failed: true)
    }
  }

  private func load(
    _ job: StorageJob, _ running: RunningPeer, _ cache: CacheMode, seconds: Int, size: UInt64? = nil
  ) throws -> FioResult.Job {
    let output = workspace.path("fio.json")
    try? FileManager.default.removeItem(atPath: output)
    // Only the bare file can be used through the page cache; the files of the servers are for direct I/O.
    let direct = running.peer != .bare || cache == .direct
    try run(
      [fio]
        + job.arguments(
          file: running.file, size: size ?? settings.size, seconds: seconds, direct: direct, output: output))
    return try FioResult.job(of: output)
  }

  private func measure(_ job: StorageJob, _ peer: Peer, _ cache: CacheMode) throws {
    try workspace.checkSignals()
    // Without dirty pages the image can be dropped from the page cache, and nothing is written while others measure.
    try run(["/bin/sync", "--data", image])
    if cache == .direct {
      try run(["/bin/dd", "if=/dev/null", "of=\(image)", "oflag=nocache", "conv=notrunc", "count=0"])
    }
    var (image, size) = (image, settings.size)
    if job.isFirstWrite {
      image = workspace.path("new")
      size = job.newImageByteCount(size: size)
      try createImage(image, byteCount: size)
    }
    try with(peer, image: image, size: size, cache) { running in
      let before = ProcessUsage(of: running.processIDs)
      let result = try load(job, running, cache, seconds: settings.seconds, size: size)
      let after = ProcessUsage(of: running.processIDs)
      let counters = try running.busCounters()
      let direction = job.writes ? result.write : result.read
      let count = max(1, direction.total_ios)
      let percentile = direction.lat_ns.percentile ?? [:]
      let sample = Sample(
        throughput: job.isSequential ? direction.bw_bytes / Double(1 << 20) : direction.iops,
        latencyMedian: (percentile["50.000000"] ?? 0) / 1000, latency99: (percentile["99.000000"] ?? 0) / 1000,
        processorPerIO: (after.processorMicroseconds - before.processorMicroseconds) / count,
        switchesPerIO: (after.contextSwitches - before.contextSwitches) / count,
        doorbellsPerRequest: counters.map { $0.doorbells / max(1, $0.requests) }, residentMiB: after.residentMiB,
        sharedMiB: after.sharedMiB)
      append(sample, job, peer, cache)
    }
  }

  private func append(_ sample: Sample, _ job: StorageJob, _ peer: Peer, _ cache: CacheMode) {
    if let index = series.firstIndex(where: { $0.cache == cache && $0.job == job.name && $0.peer == peer }) {
      series[index].samples.append(sample)
    } else {
      series.append(Series(cache: cache, job: job.name, peer: peer, samples: [sample]))
    }
  }

  private func measureFootprints() throws {
    writeError("benchmark: start and idle")
    let sparse = workspace.path("sparse")
    try run(["/usr/bin/truncate", "--size=10G", sparse])
    let servers = peers.filter { $0 != .bare }
    var starts: [Peer: [Double]] = [:]
    for _ in 0..<settings.rounds {
      for peer in servers where peers.contains(peer) {
        try workspace.checkSignals()
        try with(peer, image: sparse, size: 10 << 30, .buffered) {
          starts[peer, default: []].append($0.startMilliseconds)
        }
      }
    }
    for peer in servers where peers.contains(peer) {
      try with(peer, image: image, size: settings.size, .buffered) { running in
        if let job = StorageJob.all.first(where: { $0.depth > 1 }) { _ = try load(job, running, .buffered, seconds: 1) }
        _ = try workspace.pause(milliseconds: 500)
        let before = ProcessUsage(of: running.processIDs)
        _ = try workspace.pause(milliseconds: 3000)
        let after = ProcessUsage(of: running.processIDs)
        let highest = series.filter { $0.peer == peer }.flatMap(\.samples).max { $0.residentMiB < $1.residentMiB }
        footprints.append(
          Footprint(
            peer: peer, startMilliseconds: starts[peer] ?? [],
            idleMilliseconds: (after.processorMicroseconds - before.processorMicroseconds) / 1000,
            idleSwitches: after.contextSwitches - before.contextSwitches,
            residentMiB: max(after.residentMiB, highest?.residentMiB ?? 0),
            sharedMiB: after.residentMiB > highest?.residentMiB ?? 0 ? after.sharedMiB : highest?.sharedMiB ?? 0))
      }
    }
  }
}
