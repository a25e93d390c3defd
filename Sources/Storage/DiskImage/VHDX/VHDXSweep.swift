import ImageFormats
import LinuxIO
import Synchronization
import WireBytes

/// Looks at the whole block table: each entry for itself, and no two at the same place.
struct VHDXSweep {
  /// What is wrong, in the order of the table.
  private(set) var findings: [ImageFault] = []
  /// Behind the last place that is used.
  private(set) var end: UInt64 = 0
  /// Blocks in each state.
  private(set) var counts: [VHDXBlockEntry.State: UInt64] = [:]
  /// Which MiB of the file are used: 64 of them a word, by the number of the word.
  private var taken: [UInt64: UInt64] = [:]
  private let map: VHDXMap
  private let findingLimit: Int

  /// Looks at all entries; throws the first finding.
  static func run(_ map: VHDXMap) throws(DiskImageError) -> VHDXSweep {
    let sweep = try VHDXSweep(map, findingLimit: 1)
    if let first = sweep.findings.first { throw .fault(first) }
    return sweep
  }

  /// Looks at all entries.
  ///
  /// - Parameter findingLimit: when it ends.
  init(_ map: VHDXMap, findingLimit: Int) throws(DiskImageError) {
    self.map = map
    self.findingLimit = findingLimit
    for structure in map.structures { _ = take(structure) }
    let geometry = map.geometry
    let total = geometry.entryCount
    let step: UInt64 = 32_768
    var index: UInt64 = 0
    while index < total, findings.count < findingLimit {
      let count = min(step, total - index)
      let bytes = try system("read its block table") { () throws(Errno) in
        try map.source.read(at: map.tableOffset + index * 8, count: Int(count) * 8)
      }
      for place in 0..<count {
        look(VHDXBlockEntry(rawValue: bytes.rawSpan.le64(at: Int(place) * 8)), index + place)
      }
      index += count
    }
  }

  private mutating func look(_ entry: VHDXBlockEntry, _ index: UInt64) {
    let geometry = map.geometry
    let role = geometry.role(ofEntry: index)
    // Without a parent the entries of bitmaps mean nothing, and those behind the disk never do.
    if case .bitmap = role, !geometry.hasParent, entry.rawValue == 0 { return }
    if role == .unused { return }
    if case .block = role { counts[entry.state, default: 0] += 1 }
    if let why = map.objection(entry, role: role) { return note(role, why, index) }
    guard entry.state == .fullyPresent || entry.state == .partiallyPresent else { return }
    var length = geometry.blockByteCount
    switch role {
    case .bitmap: length = VHDX.bitmapBlockByteCount
    case .block(let block):
      if entry.state == .partiallyPresent {
        let chunk = block >> geometry.chunkShift
        let bitmap = try? map.entry(geometry.entryIndex(ofBitmap: chunk))
        if bitmap?.state != .fullyPresent {
          findings.append(
            ImageFault("vhdx.bat.nobitmap", "VHDX block \(block) has no sector bitmap", at: map.tableOffset + index * 8)
          )
        }
      }
    case .unused: break
    }
    let range = entry.offset..<min(entry.offset + length, max(entry.offset, map.fileEnd.load(ordering: .acquiring)))
    if !take(range) { note(role, "it overlaps another block", index) }
    end = max(end, entry.offset + length)
  }

  private mutating func note(_ role: VHDXGeometry.EntryRole, _ why: String, _ index: UInt64) {
    let name =
      switch role {
      case .block(let block): "VHDX block \(block)"
      case .bitmap(let chunk): "VHDX bitmap of chunk \(chunk)"
      case .unused: "VHDX entry \(index)"
      }
    findings.append(ImageFault("vhdx.bat.entry", "\(name) is mapped wrongly (\(why))", at: map.tableOffset + index * 8))
  }

  /// Marks the MiB of a range as used; false when one is already.
  private mutating func take(_ range: Range<UInt64>) -> Bool {
    if range.isEmpty { return true }
    var isFree = true
    let first = range.lowerBound / VHDX.alignment
    let last = (range.upperBound - 1) / VHDX.alignment
    for place in (first / 64)...(last / 64) {
      let low = max(first, place * 64) - place * 64
      let high = min(last, place * 64 + 63) - place * 64
      let bits = (UInt64.max >> (63 - (high - low))) << low
      let word = taken[place] ?? 0
      if word & bits != 0 { isFree = false }
      taken[place] = word | bits
    }
    return isFree
  }

  /// Places for blocks below the end of what is used that nothing uses, highest first; at most `limit`.
  func freePlaces(limit: Int) -> [UInt64] {
    let size = map.geometry.blockByteCount
    var places: [UInt64] = []
    var run: UInt64 = 0
    // The first 16 TiB of the file are looked at.
    let units = min(end / VHDX.alignment, 1 << 24)
    var unit = VHDX.headerSectionByteCount / VHDX.alignment
    while unit < units, places.count < limit {
      let word = taken[unit / 64] ?? 0
      if word == UInt64.max {
        run = 0
        unit = (unit / 64 + 1) * 64
        continue
      }
      run = word >> (unit % 64) & 1 != 0 ? 0 : run + VHDX.alignment
      unit += 1
      if run == size {
        places.append(unit * VHDX.alignment - size)
        run = 0
      }
    }
    return places.reversed()
  }
}
