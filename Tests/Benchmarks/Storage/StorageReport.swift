/// Everything that a run has found.
struct StorageReport: Encodable {
  var machine: Machine
  var settings: StorageSettings
  /// The command line of each peer's processes.
  var commands: [String: [String]]
  var series: [Series]
  var footprints: [Footprint]
  var aims: [Aim]
  /// Peers that are missing, and why.
  var notes: [String]

  /// The report for people.
  var lines: [String] {
    var lines = machine.lines
    lines.append(
      "runs        medians of \(settings.rounds) runs of \(settings.seconds) s, image of \(settings.size >> 20) MiB")
    lines += notes.map { "left out    \($0)" }
    lines += ["", "Command lines"]
    for peer in settings.peers {
      for command in commands[peer.rawValue] ?? [] { lines.append("  \(peer.title): \(command)") }
    }
    for cache in settings.caches {
      lines += ["", "\(cache.title) (--cache \(cache.rawValue))"]
      for job in settings.allJobs { lines += table(Figures(series, cache, job)) }
    }
    if !footprints.isEmpty { lines += ["", "Start and idle"] + footprintTable }
    if !aims.isEmpty { lines += ["", "Aims"] + aims.map { "  \($0.line)" } }
    return lines
  }

  private func table(_ figures: Figures) -> [String] {
    let measured = settings.peers.compactMap { figures[$0] }
    guard !measured.isEmpty else { return [] }
    let names = [(Peer.bare, "x bare"), (.qemu, "x qemu"), (.null, "x null"), (.diskfs, "x DiskFS")]
    let others = names.filter { settings.peers.contains($0.0) }
    var rows = [
      ["", figures.job.unit, "min-max"] + others.map(\.1)
        + ["p50 us", "p99 us", "cpu us/IO", "switches/IO", "doorbells/req"]
    ]
    for one in measured {
      let throughputs = one.samples.map(\.throughput)
      let doorbells = one.samples.compactMap(\.doorbellsPerRequest)
      let served = one.peer != .bare
      rows.append([
        one.peer.title, short(one.median(\.throughput)), range(throughputs),
      ])
      for (other, _) in others {
        rows[rows.count - 1].append(figures.ratio(one.peer, to: other).map { fixed($0, 2) } ?? "-")
      }
      rows[rows.count - 1] += [
        short(one.median(\.latencyMedian)), short(one.median(\.latency99)),
        served ? short(one.median(\.processorPerIO)) : "-", served ? fixed(one.median(\.switchesPerIO), 3) : "-",
        doorbells.isEmpty ? "-" : fixed(median(doorbells), 3),
      ]
    }
    return ["", "  \(figures.job.title)"] + aligned(rows)
  }

  private var footprintTable: [String] {
    var rows = [["", "start ms", "idle cpu ms in 3 s", "idle switches", "resident MiB", "of it shared"]]
    for one in footprints {
      rows.append([
        one.peer.title, fixed(median(one.startMilliseconds), 0), fixed(one.idleMilliseconds, 0),
        fixed(one.idleSwitches, 0), fixed(one.residentMiB, 1), fixed(one.sharedMiB, 1),
      ])
    }
    return aligned(rows)
  }
}
