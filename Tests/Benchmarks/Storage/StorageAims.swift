extension Aim {
  /// All aims that can be judged by what was measured.
  static func judge(_ series: [Series], _ footprints: [Footprint], caches: [CacheMode]) -> [Aim] {
    var aims: [Aim] = []
    for cache in caches {
      for job in StorageJob.all {
        let figures = Figures(series, cache, job)
        let isShallow = job.depth == 1
        let embedded = isShallow ? 1.5 : job.isSequential ? (job.writes ? 1.3 : 2) : 2
        aims += figures.ratio(.embedded, to: .qemu, atLeast: embedded)
        aims += figures.ratio(.embedded, to: .null, atLeast: 0.8)
        aims += figures.ratio(.socket, to: .qemu, atLeast: isShallow ? 1 : 1.5)
        if job.depth == 32 {
          aims += figures.ratio(.embedded, to: .diskfs, atLeast: 0.85)
          for peer in [Peer.embedded, .socket] { aims += figures.doorbells(peer, atMost: 0.05) }
        }
      }
    }
    for footprint in footprints where footprint.peer == .embedded || footprint.peer == .socket {
      aims += judge(footprint)
    }
    return aims
  }

  private static func judge(_ footprint: Footprint) -> [Aim] {
    let start = median(footprint.startMilliseconds)
    let own = footprint.residentMiB - footprint.sharedMiB
    let title = footprint.peer.title
    var aims: [Aim] = [
      .idle(title, milliseconds: footprint.idleMilliseconds)
    ]
    if footprint.peer == .embedded {
      aims.append(
        Aim(
          what: "\(title), start to mounted, 10 GiB sparse image", wanted: "under 200 ms",
          measured: "\(fixed(start, 0)) ms", isMet: start > 0 && start < 200))
    }
    // For two processes this is the sum of both.
    aims.append(
      Aim(
        what: "\(title), resident memory without the buffer pool", wanted: "under 48 MiB",
        measured: "\(fixed(own, 1)) MiB", isMet: own < 48))
    return aims
  }
}

/// The medians of one job in one cache mode.
struct Figures {
  let cache: CacheMode
  let job: StorageJob
  private let series: [Series]

  init(_ series: [Series], _ cache: CacheMode, _ job: StorageJob) {
    self.cache = cache
    self.job = job
    self.series = series.filter { $0.cache == cache && $0.job == job.name }
  }

  /// What a peer has shown; nil when it was not measured.
  subscript(_ peer: Peer) -> Series? { series.first { $0.peer == peer } }

  /// The ratio of two medians of throughput.
  func ratio(_ peer: Peer, to other: Peer) -> Double? {
    guard let mine = self[peer]?.median(\.throughput), let theirs = self[other]?.median(\.throughput), theirs > 0 else {
      return nil
    }
    return mine / theirs
  }

  func ratio(_ peer: Peer, to other: Peer, atLeast limit: Double) -> [Aim] {
    guard let ratio = ratio(peer, to: other) else { return [] }
    return [.ratio("\(peer.title) to \(other.title), \(job.title), \(cache.rawValue)", ratio, atLeast: limit)]
  }

  func doorbells(_ peer: Peer, atMost limit: Double) -> [Aim] {
    guard let values = self[peer]?.samples.compactMap(\.doorbellsPerRequest), !values.isEmpty else { return [] }
    let value = median(values)
    return [
      Aim(
        what: "\(peer.title), doorbells per request, \(job.title), \(cache.rawValue)",
        wanted: "at most \(fixed(limit, 2))", measured: fixed(value, 3), isMet: value <= limit)
    ]
  }
}
