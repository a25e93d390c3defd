import FoundationEssentials
import LinuxIO

/// What it takes to open the largest disk.
struct Opening: Codable {
  /// From the call until the image can be used, in milliseconds.
  var milliseconds: Double
  /// By how much the resident memory of the process has grown then, in MiB.
  var grownMiB: Double
}

/// How long a program takes to convert an image, until the new one is durable.
struct ConversionSeries: Encodable {
  var what: ConversionJob
  var converter: Converter
  /// Seconds of each run.
  var seconds: [Double]
}

/// What is converted into what.
enum ConversionJob: String, Encodable, CaseIterable {
  case rawToVHDX = "raw to VHDX"
  case vhdxToRaw = "VHDX to raw"
}

/// Who converts.
enum Converter: String, Encodable, CaseIterable {
  case synthgate
  /// Its new image is made durable afterwards, as that of Synthgate is.
  case qemu = "qemu-img, then sync"
  /// Its new image is only in the page cache at the end, and lost with the machine's power.
  case qemuUnsafe = "qemu-img alone"
}

/// Measures what is done with images as a whole.
final class ImageTimes {
  private let workspace: Workspace
  private let rounds: Int
  private let synthgate: String
  private let qemu: String?
  private var series: [ConversionSeries] = []

  /// - Parameter qemu: qemu-img; nil: it is not installed.
  init(rounds: Int, synthgate: String, qemu: String?, in workspace: Workspace) {
    self.workspace = workspace
    self.rounds = rounds
    self.synthgate = synthgate
    self.qemu = qemu
  }

  /// Opens an empty VHDX of 64 TiB with blocks of 1 MiB, which has the longest table that there is, in a process of its own
  /// for each round.
  func open() throws -> [Opening] {
    writeError("benchmark: opening an image of 64 TiB")
    let image = workspace.path("largest.vhdx")
    try run([synthgate, "image", "create", image, "--size", "64T", "--block-size", "1M"])
    let log = "open.json"
    return try (0..<rounds).map { _ in
      try? FileManager.default.removeItem(atPath: workspace.path(log))
      try workspace.run([ownProgram(), "open-image", image], log: log)
      return try JSONDecoder().decode(Opening.self, from: Data(readTextFile(workspace.path(log)).utf8))
    }
  }

  /// Converts an image of which every second MiB is stored, the converters in turn.
  func convert(byteCount: UInt64) throws -> [ConversionSeries] {
    let raw = workspace.path("half.raw")
    let vhdx = workspace.path("half.vhdx")
    try run(["/usr/bin/truncate", "--size=\(byteCount)", raw])
    try makeHalfEmpty(raw, byteCount: byteCount)
    try run([synthgate, "image", "convert", raw, vhdx, "--block-size", "1M"])
    for round in 0..<rounds {
      writeError("benchmark: conversions, round \(round + 1) of \(rounds)")
      for job in ConversionJob.allCases {
        for converter in Converter.allCases.rotated(by: round) where converter == .synthgate || qemu != nil {
          try measure(job, converter, from: job == .rawToVHDX ? raw : vhdx)
        }
      }
    }
    return series
  }

  private func makeHalfEmpty(_ path: String, byteCount: UInt64) throws {
    let file = try OwnedDescriptor.open(path, flags: 2)
    var state: UInt64 = 88_172_645_463_325_252
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    for offset in stride(from: UInt64(0), to: byteCount, by: 2 << 20) {
      try workspace.checkSignals()
      for index in bytes.indices {
        if index & 7 == 0 {
          state ^= state << 13
          state ^= state >> 7
          state ^= state << 17
        }
        bytes[index] = UInt8(truncatingIfNeeded: state >> (8 * UInt64(index & 7)))
      }
      try writeBytes(bytes, to: file.number, at: offset)
    }
    try file.synchronizeData()
  }

  private func measure(_ job: ConversionJob, _ converter: Converter, from source: String) throws {
    let target = workspace.path(job == .rawToVHDX ? "new.vhdx" : "new.raw")
    // What is written back of others would be paid for by this one.
    try run(["/bin/sync"])
    let start = monotonicNanoseconds()
    switch converter {
    case .synthgate:
      try run(
        [synthgate, "image", "convert", source, target] + (job == .rawToVHDX ? ["--block-size", "1M"] : []))
    case .qemu, .qemuUnsafe:
      guard let qemu else { return }
      let formats =
        job == .rawToVHDX ? ["-f", "raw", "-O", "vhdx", "-o", "block_size=1M"] : ["-f", "vhdx", "-O", "raw"]
      try run([qemu, "convert"] + formats + [source, target])
      if converter == .qemu { try run(["/bin/sync", "--data", target]) }
    }
    let seconds = Double(monotonicNanoseconds() - start) / 1e9
    try run(["/bin/rm", target])
    if let index = series.firstIndex(where: { $0.what == job && $0.converter == converter }) {
      series[index].seconds.append(seconds)
    } else {
      series.append(ConversionSeries(what: job, converter: converter, seconds: [seconds]))
    }
  }

  private func run(_ arguments: [String]) throws { try workspace.run(arguments, log: "tools.log") }
}
