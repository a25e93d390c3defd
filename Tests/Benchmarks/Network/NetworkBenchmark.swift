import FoundationEssentials
import LinuxIO

/// What is measured, and how long.
struct NetworkSettings: Encodable {
  /// Runs of each job on each peer.
  var rounds: Int
  /// Seconds of each run of iperf3.
  var seconds: Int
  var peers: [NetworkPeer]
  var jobs: [NetworkJob]
}

/// Runs every job on every peer, alternating: a round visits all peers for one job before the next job, and each round
/// begins with another peer, so that what the machine does besides hits all of them.
final class NetworkBenchmark {
  private let workspace: Workspace
  private let programs: NetworkPrograms
  private let settings: NetworkSettings
  private let iperf: String
  private let bed: NetworkBed
  private var peers: [NetworkPeer]
  private var series: [NetworkSeries] = []
  private(set) var notes: [String] = []
  /// Whether a peer did not work.
  private(set) var hasFailed = false

  init(_ settings: NetworkSettings, _ programs: NetworkPrograms, iperf: String, in workspace: Workspace) throws {
    self.workspace = workspace
    self.programs = programs
    self.settings = settings
    self.iperf = iperf
    peers = settings.peers
    bed = try NetworkBed(in: workspace, ip: programs.ip)
  }

  /// Measures everything.
  func run() throws -> [NetworkSeries] {
    for peer in peers {
      if let why = programs.objection(to: peer) { drop(peer, why) }
    }
    for round in 0..<settings.rounds {
      writeError("benchmark: round \(round + 1) of \(settings.rounds)")
      // Whoever has nothing to do is looked at once.
      for job in settings.jobs where job != .idle || round == 0 {
        for peer in peers.rotated(by: round) where job != .idle || peer.hasProcesses { try measure(job, peer) }
      }
    }
    return series
  }

  private func drop(_ peer: NetworkPeer, _ why: String, failed: Bool = false) {
    peers.removeAll { $0 == peer }
    notes.append("\(peer.title): \(why)")
    writeError("benchmark: \(peer.title): \(why)")
    if failed { hasFailed = true }
  }

  /// Measures one job on one peer. A peer that fails is left out from then on; the others go on.
  private func measure(_ job: NetworkJob, _ peer: NetworkPeer) throws {
    guard peers.contains(peer) else { return }
    try workspace.checkSignals()
    do {
      let running = try RunningNetworkPeer(peer, programs, iperf: iperf, on: bed, in: workspace)
      defer { running.stop() }
      do { append(try sample(job, running), job, peer) } catch BenchmarkError.failed(let why) {
        // A load over a peer that has died fails with an error that says nothing of that.
        try running.checkProcesses()
        throw BenchmarkError.failed(why)
      }
    } catch BenchmarkError.failed(let why) {
      drop(peer, "\(job.rawValue): \(why)", failed: true)
    }
  }

  private func append(_ sample: NetworkSample, _ job: NetworkJob, _ peer: NetworkPeer) {
    if let index = series.firstIndex(where: { $0.job == job && $0.peer == peer }) {
      series[index].samples.append(sample)
    } else {
      series.append(NetworkSeries(job: job, peer: peer, samples: [sample]))
    }
  }

  // MARK: Jobs

  private func sample(_ job: NetworkJob, _ running: RunningNetworkPeer) throws -> NetworkSample {
    if job == .idle {
      _ = try load(.tcp1, seconds: 1)
      _ = try workspace.pause(milliseconds: 500)
    }
    let counters = try running.linkCounters()
    let usage = ProcessUsage(of: running.processIDs)
    var sample = NetworkSample(value: 0, processorPerUnit: 0, switchesPerUnit: 0)
    let units: Double
    switch job {
    case .ping: units = try ping(&sample)
    case .idle:
      _ = try workspace.pause(milliseconds: 3000)
      units = 1
    case .datagrams, .datagramsReverse: units = try sendDatagrams(job, running, &sample)
    default: units = try sendStreams(job, &sample)
    }
    let after = ProcessUsage(of: running.processIDs)
    sample.processorPerUnit = (after.processorMicroseconds - usage.processorMicroseconds) / max(1, units)
    sample.switchesPerUnit = (after.contextSwitches - usage.contextSwitches) / max(1, units)
    if job == .idle { sample.value = sample.processorPerUnit / 1000 }
    if let before = counters, let now = try running.linkCounters() {
      let frames = now.sentFrames + now.receivedFrames - before.sentFrames - before.receivedFrames
      if frames > 0 { sample.doorbellsPerFrame = (now.doorbells - before.doorbells) / frames }
    }
    return sample
  }

  /// Answers the megabytes.
  private func sendStreams(_ job: NetworkJob, _ sample: inout NetworkSample) throws -> Double {
    let received = try load(job, seconds: settings.seconds).sum_received
    sample.value = received.bits_per_second / 1e9
    return received.bytes / 1e6
  }

  /// Answers the datagrams that programs have received, as the kernel counts them.
  private func sendDatagrams(
    _ job: NetworkJob, _ running: RunningNetworkPeer, _ sample: inout NetworkSample
  ) throws -> Double {
    let receiver = job.isReverse ? bed.client : bed.server
    let before = try running.datagrams(in: receiver)
    let end = try load(job, seconds: settings.seconds)
    let after = try running.datagrams(in: receiver)
    let received = after.received - before.received
    let milliseconds = max(1, end.sum_sent.seconds * 1000)
    sample.value = received / milliseconds
    sample.arrived = (received + after.refused - before.refused) / milliseconds
    if let sent = end.sum_sent.packets, sent > 0 { sample.lostPart = max(0, 1 - received / sent) }
    return received
  }

  /// Answers the pings that came back.
  private func ping(_ sample: inout NetworkSample) throws -> Double {
    let file = workspace.path("ping")
    try? FileManager.default.removeItem(atPath: file)
    try bed.run(
      ["/usr/bin/timeout", "60", "ping", "-n", "-i", "0.002", "-c", "1000", NetworkBed.serverAddress], in: bed.client,
      log: "ping")
    let trips = try roundTrips(of: file).sorted()
    guard trips.count >= 900 else {
      throw BenchmarkError.failed("only \(trips.count) of 1000 pings came back")
    }
    sample.value = median(trips)
    sample.roundTrip99 = trips[trips.count * 99 / 100]
    return Double(trips.count)
  }

  private func load(_ job: NetworkJob, seconds: Int) throws -> IperfResult.End {
    let file = workspace.path("iperf3.json")
    try? FileManager.default.removeItem(atPath: file)
    do {
      try bed.run(
        ["/usr/bin/timeout", "\(seconds + 30)", iperf] + job.iperfArguments(seconds: seconds), in: bed.client,
        log: "iperf3.json")
    } catch BenchmarkError.failed {
      // Its result says why.
    }
    return try IperfResult.end(of: file)
  }
}
