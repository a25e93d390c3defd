/// Everything that a run of `benchmark images` has found.
struct ImagesReport: Encodable {
  /// The loads on a mounted image; its aims are those below.
  var storage: StorageReport
  var openings: [Opening]
  var conversions: [ConversionSeries]
  var aims: [Aim]

  init(_ storage: StorageReport, openings: [Opening], conversions: [ConversionSeries]) {
    self.storage = storage
    self.openings = openings
    self.conversions = conversions
    aims =
      Aim.judgeImages(storage.series) + Aim.judge(openings: openings) + Aim.judge(conversions: conversions)
  }

  /// The report for people.
  var lines: [String] {
    var lines = storage.lines
    if !openings.isEmpty {
      lines += [
        "", "Opening a VHDX of 64 TiB",
        "    \(short(median(openings.map(\.milliseconds)))) ms (\(range(openings.map(\.milliseconds)))), "
          + "\(short(median(openings.map(\.grownMiB)))) MiB more memory",
      ]
    }
    if !conversions.isEmpty {
      var rows = [["", "seconds", "min-max"]]
      for one in conversions {
        rows.append(["\(one.what.rawValue), \(one.converter.rawValue)", short(median(one.seconds)), range(one.seconds)])
      }
      lines += ["", "Conversion of a half-empty image"] + aligned(rows)
    }
    if !aims.isEmpty { lines += ["", "Aims"] + aims.map { "  \($0.line)" } }
    return lines
  }
}

extension Aim {
  /// The aims of loads on a VHDX.
  static func judgeImages(_ series: [Series]) -> [Aim] {
    StorageJob.images.flatMap { job in
      let figures = Figures(series, .buffered, job)
      return [Peer.embedded, .diskfs].flatMap {
        figures.ratio($0, to: .qemu, atLeast: job.isFirstWrite ? 1 : 1.5)
      }
    }
  }

  /// The aims of opening the largest disk.
  static func judge(openings: [Opening]) -> [Aim] {
    if openings.isEmpty { return [] }
    let time = median(openings.map(\.milliseconds))
    let memory = median(openings.map(\.grownMiB))
    return [
      Aim(
        what: "opening a VHDX of 64 TiB", wanted: "under 50 ms", measured: "\(short(time)) ms", isMet: time < 50),
      Aim(
        what: "memory for a VHDX of 64 TiB", wanted: "under 16 MiB", measured: "\(short(memory)) MiB",
        isMet: memory < 16),
    ]
  }

  /// The aims of conversions.
  static func judge(conversions: [ConversionSeries]) -> [Aim] {
    ConversionJob.allCases.flatMap { job in
      let medians = conversions.filter { $0.what == job }.map { ($0.converter, median($0.seconds)) }
      guard let mine = medians.first(where: { $0.0 == .synthgate })?.1, mine > 0 else { return [Aim]() }
      return medians.filter { $0.0 == .qemu }.map {
        .ratio("conversion of \(job.rawValue), synthgate to \($0.0.rawValue)", $0.1 / mine, atLeast: 1)
      }
    }
  }
}
