/// Everything that a run has found.
struct NetworkReport: Encodable {
  var machine: Machine
  var settings: NetworkSettings
  /// The command lines of each peer.
  var commands: [String: [String]]
  var series: [NetworkSeries]
  var aims: [Aim]
  /// Peers that are missing, and why.
  var notes: [String]

  private static let bounds: [NetworkPeer] = [.veth, .forwarder, .plain, .vde, .testpmd]

  /// The report for people.
  var lines: [String] {
    var lines = machine.lines
    lines.append("runs        medians of \(settings.rounds) runs of \(settings.seconds) s")
    lines += notes.map { "left out    \($0)" }
    lines += ["", "Command lines, with namespaces A and B"]
    for peer in settings.peers {
      for command in commands[peer.rawValue] ?? [] { lines.append("  \(peer.title): \(command)") }
    }
    for job in settings.jobs { lines += job == .idle ? idleTable : table(job) }
    if !aims.isEmpty { lines += ["", "Aims"] + aims.map { "  \($0.line)" } }
    return lines
  }

  private func table(_ job: NetworkJob) -> [String] {
    let measured = settings.peers.compactMap { series.of($0, job) }
    guard !measured.isEmpty else { return [] }
    let extra = job == .ping ? ["p99 us"] : job.isUDP ? ["arrived", "lost %"] : []
    var rows = [
      ["", job.unit, "min-max"] + Self.bounds.map { "x \($0.rawValue)" } + extra
        + ["cpu us/\(job.costUnit)", "switches/\(job.costUnit)", "doorbells/frame"]
    ]
    for one in measured {
      var row = [one.peer.title, short(one.median { $0.value } ?? 0), range(one.samples.map(\.value))]
      for other in Self.bounds { row.append(cell(series.ratio(one.peer, to: other, job)) { fixed($0, 2) }) }
      if job == .ping { row.append(cell(one.median { $0.roundTrip99 }, short)) }
      if job.isUDP {
        row.append(cell(one.median { $0.arrived }, short))
        row.append(cell(one.median { $0.lostPart }) { fixed($0 * 100, 1) })
      }
      let hasProcesses = one.peer.hasProcesses
      row.append(cell(hasProcesses ? one.median { $0.processorPerUnit } : nil, short))
      row.append(cell(hasProcesses ? one.median { $0.switchesPerUnit } : nil) { fixed($0, 3) })
      row.append(cell(one.median { $0.doorbellsPerFrame }) { fixed($0, 4) })
      rows.append(row)
    }
    return ["", "  \(job.title) (--job \(job.rawValue))"] + aligned(rows)
  }

  private var idleTable: [String] {
    var rows = [["", NetworkJob.idle.unit, "switches"]]
    for one in settings.peers.compactMap({ series.of($0, .idle) }) {
      rows.append([
        one.peer.title, fixed(one.median { $0.value } ?? 0, 0), fixed(one.median { $0.switchesPerUnit } ?? 0, 0),
      ])
    }
    return rows.count == 1 ? [] : ["", "  \(NetworkJob.idle.title) (--job idle)"] + aligned(rows)
  }

  private func cell(_ value: Double?, _ text: (Double) -> String) -> String { value.map(text) ?? "-" }
}
