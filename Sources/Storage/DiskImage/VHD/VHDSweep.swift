import ImageFormats
import LinuxIO
import WireBytes

/// Looks at the whole block table of a VHD: each entry for itself, and no two at the same place.
struct VHDSweep {
  /// What is wrong, in the order of the table; overlaps come last.
  private(set) var findings: [ImageFault] = []
  /// Behind the last place that is used.
  private(set) var end: UInt64 = 0
  /// Blocks that have a place.
  private(set) var allocatedCount: UInt64 = 0
  /// Place and number of each block that has one; the place in the upper half.
  private var places: [UInt64] = []
  private let findingLimit: Int

  /// Looks at all entries.
  ///
  /// - Parameter findingLimit: when it ends.
  init(_ map: VHDMap, findingLimit: Int) throws(DiskImageError) {
    self.findingLimit = findingLimit
    let total = UInt64(map.header.entryCount)
    var index: UInt64 = 0
    while index < total, findings.count < findingLimit {
      let count = min(65_536, total - index)
      let bytes = try system("read its block table") { () throws(Errno) in
        try map.file.read(at: map.header.tableOffset + index * 4, count: Int(count) * 4)
      }
      for place in 0..<count {
        let entry = bytes.rawSpan.be32(at: Int(place) * 4)
        if entry != VHDMap.unallocated { look(entry, index + place, map) }
      }
      index += count
    }
    findOverlaps(map)
  }

  private mutating func look(_ entry: UInt32, _ index: UInt64, _ map: VHDMap) {
    guard index < map.blockCount else {
      // Behind the end of the disk: not used, but nobody else may have the place.
      end = max(end, min(UInt64(entry) * 512 + map.placeByteCount, map.dataEndAtOpen))
      return
    }
    allocatedCount += 1
    if let why = map.objection(entry, block: index) {
      return note(index, why, map)
    }
    places.append(UInt64(entry) << 32 | index)
    end = max(end, UInt64(entry) * 512 + map.placeByteCount)
  }

  private mutating func findOverlaps(_ map: VHDMap) {
    places.sort()
    let span = map.placeByteCount / 512
    for (one, next) in zip(places, places.dropFirst())
    where findings.count < findingLimit && next >> 32 - one >> 32 < span {
      // The last block may be cut short.
      let block = one & 0xffff_ffff
      if (next >> 32 - one >> 32) * 512 >= map.neededByteCount(block) { continue }
      note(next & 0xffff_ffff, "it overlaps block \(block)", map)
    }
    places = []
  }

  private mutating func note(_ index: UInt64, _ why: String, _ map: VHDMap) {
    guard findings.count < findingLimit else { return }
    findings.append(
      ImageFault(
        "vhd.bat", "VHD block table entry \(index) is invalid (\(why))", at: map.header.tableOffset + index * 4))
  }
}
