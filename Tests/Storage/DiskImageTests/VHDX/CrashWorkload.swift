import Block
@testable import DiskImage
import LinuxIO
import Testing

/// Random requests, what each sector may hold after a crash anywhere among them, and the changes of the file that they
/// caused.
struct CrashWorkload {
  /// Sectors that are written to: some at the start and the end of each block.
  static let blockSectorCount = 2048
  static let edge = 48

  /// What happened to a sector: from which number of changes on, and what it holds then.
  struct Event {
    var begin: Int
    var stamp: UInt32
  }

  private(set) var history: [Int: [Event]] = [:]
  /// Flushes: number of changes when it began, when it ended.
  private(set) var flushes: [(begin: Int, end: Int)] = []
  let sectorCount: Int
  let recorder = CrashRecorder()
  let before: PageFile
  /// Whether qemu-img can check the image: it knows no VHDX with parents, and does not check VHD.
  private let isCheckedByQEMU: Bool

  /// - Parameter initial: the stamps of the sectors before, 0 for zeros.
  init(_ path: String, steps: Int, seed: UInt64, initial: [Int: UInt32] = [:], blocks: Int) throws {
    before = try PageFile(path)
    isCheckedByQEMU = path.hasSuffix(".vhdx") && initial.isEmpty
    sectorCount = blocks * Self.blockSectorCount
    for (sector, stamp) in initial { history[sector] = [Event(begin: -1, stamp: stamp)] }
    var random = Generator(state: seed)
    var options = DiskImage.Options()
    options.observer = recorder
    let image = try DiskImage.open(path, options: options)
    do {
      let queue = try TestQueue(image)
      for step in 0..<steps {
        let block = Int.random(in: 0..<blocks, using: &random)
        let start = block * Self.blockSectorCount
        let first =
          Bool.random(using: &random)
          ? Int.random(in: 0..<Self.edge, using: &random)
          : Self.blockSectorCount - Int.random(in: 1...Self.edge, using: &random)
        let count = Int.random(in: 1...24, using: &random)
        let sectors = (start + first)..<min(start + first + count, sectorCount)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<12:
          let isDurable = Int.random(in: 0..<10, using: &random) == 0
          note(sectors, UInt32(step + 1))
          let begin = recorder.count
          try #require(
            queue.write(
              Self.bytes(UInt32(step + 1), sectors.count), UInt64(sectors.lowerBound) * 512,
              flags: isDurable ? [.forceUnitAccess] : []) == nil)
          if isDurable { flushed(sectors, begin) }
        case 12, 13:
          // Whole blocks, or a part of one.
          let range = Bool.random(using: &random) ? start..<(start + Self.blockSectorCount) : sectors
          note(range, 0)
          let operation = Bool.random(using: &random) ? BlockOperation.discard : .writeZeroes
          try #require(
            queue.range(operation, UInt64(range.lowerBound) * 512, UInt64(range.count) * 512).error == nil)
        case 14..<17:
          let begin = recorder.count
          try #require(queue.range(.flush).error == nil)
          flushes.append((begin, recorder.count))
        default:
          let (bytes, error) = queue.read(UInt64(sectors.lowerBound) * 512, sectors.count * 512)
          try #require(error == nil)
          for (index, sector) in sectors.enumerated() {
            let stamp = try #require(Self.stamp(bytes, index))
            try #require(stamp == history[sector]?.last?.stamp ?? 0, "step \(step), sector \(sector)")
          }
        }
      }
      queue.queue.close()
    }
    let begin = recorder.count
    try image.close()
    flushes.append((begin, recorder.count))
  }

  /// Sectors that are looked at.
  private static func isWatched(_ sector: Int) -> Bool {
    let inside = sector % blockSectorCount
    return inside < edge + 24 || inside >= blockSectorCount - edge
  }

  private mutating func note(_ sectors: Range<Int>, _ stamp: UInt32) {
    let begin = recorder.count
    for sector in sectors where Self.isWatched(sector) {
      history[sector, default: []].append(Event(begin: begin, stamp: stamp))
    }
  }

  /// A durable write counts as a flush of its own sectors: nothing older may be there.
  private mutating func flushed(_ sectors: Range<Int>, _ begin: Int) {
    durable.append((sectors, begin, recorder.count))
  }

  private(set) var durable: [(sectors: Range<Int>, begin: Int, end: Int)] = []

  static func bytes(_ stamp: UInt32, _ count: Int) -> [UInt8] {
    var sector: [UInt8] = []
    for _ in 0..<128 { sector += le32(stamp) }
    var bytes: [UInt8] = []
    for _ in 0..<count { bytes += sector }
    return bytes
  }

  /// The stamp of sector `index`; nil when it is not of one piece.
  static func stamp(_ bytes: [UInt8], _ index: Int) -> UInt32? {
    let sector = bytes[(index * 512)..<((index + 1) * 512)]
    let first = Array(sector.prefix(4))
    let stamp = UInt32(first[0]) | UInt32(first[1]) << 8 | UInt32(first[2]) << 16 | UInt32(first[3]) << 24
    // Compared by halves, for a number at a time takes long.
    guard Array(sector.prefix(256)) == Array(sector.suffix(256)),
      Array(sector.prefix(128)) == Array(sector[(index * 512 + 128)..<(index * 512 + 256)]),
      Array(sector.prefix(64)) == Array(sector[(index * 512 + 64)..<(index * 512 + 128)])
    else { return nil }
    return stamp
  }

  /// What a sector may hold after a crash behind the first `cut` changes.
  func allowed(_ sector: Int, cut: Int) -> Set<UInt32> {
    let events = history[sector] ?? []
    var floor = -1
    if let flush = flushes.last(where: { $0.end <= cut }) { floor = flush.begin }
    for write in durable where write.end <= cut && write.sectors.contains(sector) { floor = max(floor, write.begin) }
    var allowed: Set<UInt32> = [0]
    for event in events {
      if event.begin <= floor || event.begin < 0 {
        allowed = [event.stamp]
      } else if event.begin <= cut {
        allowed.insert(event.stamp)
      }
    }
    return allowed
  }

  /// Looks at the disk in the file after a crash behind the first `cut` changes.
  ///
  /// - Parameter hasParent: the file is a child of the image that the changes belong to.
  func check(_ path: String, cut: Int, hasParent: Bool = false) throws {
    let image = try DiskImage.open(path)
    do {
      let queue = try TestQueue(image, depth: 1, memoryByteCount: 1 << 20)
      for block in 0..<(sectorCount / Self.blockSectorCount) {
        let start = block * Self.blockSectorCount
        for range in [
          start..<(start + Self.edge + 24),
          (start + Self.blockSectorCount - Self.edge)..<(start + Self.blockSectorCount),
        ] {
          let (bytes, error) = queue.read(UInt64(range.lowerBound) * 512, range.count * 512)
          try #require(error == nil, "cut \(cut)")
          for (index, sector) in range.enumerated() {
            let stamp = Self.stamp(bytes, index)
            let allowed = allowed(sector, cut: cut)
            if let stamp, allowed.contains(stamp) { continue }
            let found = stamp.map(String.init) ?? "a mixture"
            try #require(Bool(false), "cut \(cut): sector \(sector) holds \(found), not one of \(allowed)")
          }
        }
      }
      queue.queue.close()
    }
    try image.close()
    // After what the opening has repaired nothing is left to find; the programs that look take longer than all else.
    guard cut % 4 == 0 else { return }
    let findings = try DiskImage.check(path).filter { !DiskImage.harmless.contains($0.code) }
    try #require(findings.isEmpty, "cut \(cut): \(findings)")
    if isCheckedByQEMU, !hasParent { try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path) }
  }
}
