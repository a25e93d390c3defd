import ImageFormats
import LinuxIO
import WireBytes

/// Finds the entries of a log that are to be replayed ([MS-VHDX] section 2.3).
struct VHDXLogReader {
  let file: ImageFile
  let logGUID: GUID
  let logOffset: UInt64
  let logByteCount: UInt32
  /// How many bytes may still be read for entries: a made-up log could have many that overlap.
  private var budget: UInt64

  /// An entry that was found valid.
  struct Found {
    var offset: UInt32
    var byteCount: UInt32
    var sequenceNumber: UInt64
    var tail: UInt32
    var flushedFileOffset: UInt64
  }

  init(file: ImageFile, header: VHDXHeader) {
    self.file = file
    logGUID = header.logGUID
    logOffset = header.logOffset
    logByteCount = header.logByteCount
    budget = 2 * UInt64(header.logByteCount) + 16 << 20
  }

  /// The entries to be replayed, in order.
  ///
  /// - Throws: `vhdx.log.corrupt` when there are none, `vhdx.log.truncated`.
  mutating func activeSequence(fileByteCount: UInt64) throws(DiskImageError) -> [Found] {
    var best: [Found] = []
    var start: UInt32 = 0
    while true {
      let sequence = try sequence(from: start)
      if let last = sequence.last, sequence.contains(where: { $0.offset == last.tail }) {
        if best.last.map({ last.sequenceNumber > $0.sequenceNumber }) ?? true { best = sequence }
      }
      // Go on behind what was read, unless that has wrapped around the end.
      let next = sequence.last.map { ($0.offset + $0.byteCount) % logByteCount } ?? start + 4096
      if next <= start || next >= logByteCount { break }
      start = next
    }
    guard let last = best.last, let first = best.firstIndex(where: { $0.offset == last.tail }) else {
      throw .fault(corrupt("no valid entries; repair needed", logOffset))
    }
    if fileByteCount < last.flushedFileOffset {
      throw .fault(
        ImageFault(
          "vhdx.log.truncated",
          "the file has been truncated: \(fileByteCount) of at least \(last.flushedFileOffset) bytes"))
    }
    return Array(best[first...])
  }

  /// Valid entries with ascending numbers, one behind the other, at most once around.
  private mutating func sequence(from start: UInt32) throws(DiskImageError) -> [Found] {
    var found: [Found] = []
    var head = start
    var length: UInt32 = 0
    while let entry = try entry(at: head) {
      if let last = found.last, entry.sequenceNumber != last.sequenceNumber &+ 1 { break }
      let size = UInt32(entry.byteCount)
      if size > logByteCount - length { break }
      length += size
      found.append(
        Found(
          offset: head, byteCount: size, sequenceNumber: entry.sequenceNumber, tail: entry.tail,
          flushedFileOffset: entry.flushedFileOffset))
      head = (head + size) % logByteCount
    }
    return found
  }

  /// The entry at an offset in the log; nil when there is no valid one.
  private mutating func entry(at offset: UInt32) throws(DiskImageError) -> VHDXLogEntry? {
    let start = try ring(offset, 64)
    guard
      let count = VHDXLogEntry.announcedByteCount(start.rawSpan, logGUID: logGUID, logByteCount: logByteCount)
    else { return nil }
    guard UInt64(count) <= budget else {
      throw .fault(corrupt("entries overlap endlessly", logOffset + UInt64(offset)))
    }
    budget -= UInt64(count)
    let bytes = try ring(offset, count)
    return VHDXLogEntry(parsing: bytes.rawSpan, logGUID: logGUID, logByteCount: logByteCount)
  }

  /// Reads an entry again that was found.
  ///
  /// - Parameter byteLimit: no change may lie behind it.
  /// - Throws: `vhdx.log.corrupt` when it would change what the log may not.
  func read(_ found: Found, byteLimit: UInt64) throws(DiskImageError) -> VHDXLogEntry {
    let bytes = try ring(found.offset, Int(found.byteCount))
    let place = logOffset + UInt64(found.offset)
    guard let entry = VHDXLogEntry(parsing: bytes.rawSpan, logGUID: logGUID, logByteCount: logByteCount) else {
      throw .fault(corrupt("an entry changed while it was read", place))
    }
    let log = logOffset..<(logOffset + UInt64(logByteCount))
    for change in entry.changes {
      let range = change.range
      if range.lowerBound < VHDX.firstLoggedOffset { throw .fault(corrupt("an entry aims at the headers", place)) }
      if range.overlaps(log) { throw .fault(corrupt("an entry aims at the log", place)) }
      if range.upperBound > max(byteLimit, entry.lastFileOffset) + UInt64(VHDX.pageByteCount) {
        throw .fault(corrupt("an entry aims behind the end of the file", place))
      }
    }
    return entry
  }

  private func corrupt(_ why: String, _ offset: UInt64) -> ImageFault {
    ImageFault("vhdx.log.corrupt", "VHDX log is damaged (\(why))", at: offset)
  }

  /// Bytes of the log, around its end.
  private func ring(_ offset: UInt32, _ count: Int) throws(DiskImageError) -> [UInt8] {
    let first = min(count, Int(logByteCount - offset))
    return try system("read its log") { () throws(Errno) in
      let bytes = try file.read(at: logOffset + UInt64(offset), count: first)
      return first == count ? bytes : bytes + (try file.read(at: logOffset, count: count - first))
    }
  }
}
