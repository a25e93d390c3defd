import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing
import WireBytes

/// Logs that were left behind.
@Suite(.serialized) struct VHDXLogTests {
  private let log = GUID(1, 2, 3, 4)
  private let logOffset: UInt64 = 1 << 20
  private let table: UInt64 = 3 << 20

  /// An image of 8 MiB with a log that the header names.
  private func image(_ scratch: Scratch, _ entries: [(offset: Int, entry: VHDXLogEntry)]) throws -> String {
    let path = try scratch.vhdx(byteCount: 8 << 20)
    var header = try currentHeader(path)
    header.sequenceNumber = 100
    header.logGUID = log
    try patch(path, at: VHDX.headerOffsets[0], header.encoded())
    for (offset, entry) in entries {
      let bytes = entry.encoded()
      let first = min(bytes.count, 1 << 20 - offset)
      try patch(path, at: logOffset + UInt64(offset), Array(bytes[..<first]))
      if first < bytes.count { try patch(path, at: logOffset, Array(bytes[first...])) }
    }
    return path
  }

  private func currentHeader(_ path: String) throws -> VHDXHeader {
    try VHDXStructure.currentHeader(ImageFile(path: path, file: try OwnedDescriptor.open(path, flags: 0))).0
  }

  /// An entry that maps blocks of the disk to the MiB of the file.
  private func entry(
    _ number: UInt64, tail: Int, blocks: [Int: UInt64], last: UInt64 = 8 << 20, flushed: UInt64 = 4 << 20,
    more: [VHDXLogEntry.Change] = []
  ) -> VHDXLogEntry {
    let page = [UInt8](zeroed: 4096) { page in
      for (block, place) in blocks { page.storeLE(place << 20 | 6, at: block * 8) }
    }
    return VHDXLogEntry(
      sequenceNumber: number, logGUID: log, tail: UInt32(tail), flushedFileOffset: flushed, lastFileOffset: last,
      changes: [.page(offset: table, bytes: page)] + more)
  }

  private func tableEntry(_ path: String, _ index: Int) throws -> UInt64 {
    let file = try OwnedDescriptor.open(path, flags: 0)
    let bytes = try readBytes(file.number, at: table + UInt64(index) * 8, count: 8)
    return bytes.rawSpan.le64(at: 0)
  }

  @Test func replayed() throws {
    let scratch = try Scratch(memory: true)
    let path = try image(scratch, [(0, entry(5, tail: 0, blocks: [1: 7]))])
    let before = try currentHeader(path)
    let bytes = try contents(path)

    // Read-only: the same, laid over what is read; the block lies behind the end of the file.
    let reader = try DiskImage.open(path, options: vhdxOptions(isReadOnly: true))
    let queue = try TestQueue(reader)
    let read = queue.read(1 << 20, 4096)
    #expect(read.0 == [UInt8](repeating: 0, count: 4096) && read.1 == nil)
    queue.queue.close()
    try reader.close()
    #expect(try contents(path) == bytes)

    try DiskImage.open(path).close()
    let after = try currentHeader(path)
    #expect(after.logGUID == .zero && after.dataWriteGUID == before.dataWriteGUID)
    #expect(after.fileWriteGUID != before.fileWriteGUID)
    #expect(try tableEntry(path, 1) == 7 << 20 | 6 && contents(path).count == 8 << 20)
    try run("/usr/bin/qemu-img", "check", "-f", "vhdx", path)
  }

  @Test func aroundTheEndOfTheLog() throws {
    let scratch = try Scratch(memory: true)
    let start = 1 << 20 - 4096
    let path = try image(
      scratch,
      [
        (start, entry(5, tail: start, blocks: [0: 4, 1: 5])), (4096, entry(6, tail: start, blocks: [0: 4, 1: 6])),
      ])
    #expect(openError(path) == nil)
    #expect(try tableEntry(path, 0) == 4 << 20 | 6 && tableEntry(path, 1) == 6 << 20 | 6)
  }

  @Test func onlyWhatIsValid() throws {
    let scratch = try Scratch(memory: true)
    let path = try image(
      scratch, [(0, entry(5, tail: 0, blocks: [1: 5])), (8192, entry(6, tail: 0, blocks: [1: 6]))])
    // One bit of the data of the second entry.
    try patch(path, at: logOffset + 8192 + 4096 + 100, [1])
    #expect(openError(path) == nil)
    #expect(try tableEntry(path, 1) == 5 << 20 | 6)
  }

  @Test(arguments: [UInt64(1) << 62 + 1 << 20, 1 << 63, 0 &- 1 << 20])
  func lengthsThatNoFileCanHave(last: UInt64) throws {
    let scratch = try Scratch(memory: true)
    let path = try image(scratch, [(0, entry(5, tail: 0, blocks: [1: 5], last: last))])
    let before = try contents(path)
    for isReadOnly in [true, false] {
      #expect(openFault(path, vhdxOptions(isReadOnly: isReadOnly)) == "vhdx.log.corrupt")
    }
    #expect(try contents(path) == before)
  }

  @Test func refused() throws {
    func fault(_ entries: [(offset: Int, entry: VHDXLogEntry)]) throws -> String? {
      let scratch = try Scratch(memory: true)
      let path = try image(scratch, entries)
      let before = try contents(path)
      let fault = openFault(path)
      #expect(openFault(path, vhdxOptions(isReadOnly: true)) == fault)
      #expect(try contents(path) == before)
      return fault
    }
    #expect(try fault([]) == "vhdx.log.corrupt")
    #expect(try fault([(0, entry(5, tail: 4096, blocks: [1: 5]))]) == "vhdx.log.corrupt")
    #expect(try fault([(0, entry(5, tail: 0, blocks: [1: 5], flushed: 64 << 20))]) == "vhdx.log.truncated")
    let page = [UInt8](repeating: 1, count: 4096)
    for place in [0, VHDX.headerOffsets[0], logOffset + 512 << 10] {
      #expect(
        try fault([(0, entry(5, tail: 0, blocks: [:], more: [.page(offset: place, bytes: page)]))])
          == "vhdx.log.corrupt")
    }
    for range: (UInt64, UInt64) in [(1 << 50, 4096), (4 << 20, 1 << 50), (0, 1 << 20), (512 << 10, 1 << 20)] {
      #expect(
        try fault([(0, entry(5, tail: 0, blocks: [:], more: [.zero(offset: range.0, byteCount: range.1)]))])
          == "vhdx.log.corrupt")
    }
  }

  @Test func zerosAndManyDescriptors() throws {
    let scratch = try Scratch(memory: true)
    let noise = [UInt8](repeating: 0xee, count: 4096)
    // 127 descriptors take two sectors.
    let many = (0..<125).map { VHDXLogEntry.Change.page(offset: 5 << 20 + UInt64($0) * 4096, bytes: noise) }
    let path = try image(
      scratch,
      [(0, entry(5, tail: 0, blocks: [0: 5], more: many + [.zero(offset: 5 << 20 + 4096, byteCount: 8192)]))])
    func check(_ isReadOnly: Bool) throws {
      let image = try DiskImage.open(path, options: vhdxOptions(isReadOnly: isReadOnly))
      let queue = try TestQueue(image)
      #expect(queue.range(.extent, 0, 1 << 20).extent?.isAllocated == !isReadOnly)
      queue.queue.close()
      try image.close()
    }
    try check(true)
    try check(false)
    let after = try contents(path)
    #expect(Array(after[5 << 20..<5 << 20 + 4096]) == noise)
    #expect(after[(5 << 20 + 4096)..<(5 << 20 + 3 * 4096)].allSatisfy { $0 == 0 })
    #expect(Array(after[(5 << 20 + 124 * 4096)..<(5 << 20 + 125 * 4096)]) == noise)
  }

  /// Entries that overlap without end take bounded time.
  @Test func madeUpLogs() throws {
    let scratch = try Scratch(memory: true)
    let path = try image(scratch, [])
    for sector in 0..<256 {
      var bytes = [UInt8](zeroed: 4096) { bytes in
        bytes.storeLE(UInt32(1 << 20 - 4096), at: 8)
        bytes.storeLE(UInt64(5), at: 16)
        log.store(into: &bytes, at: 32)
      }
      bytes.replaceSubrange(0..<4, with: Array("loge".utf8))
      try patch(path, at: logOffset + UInt64(sector) * 4096, bytes)
    }
    #expect(openFault(path) == "vhdx.log.corrupt")
  }

  /// What a killed writer leaves is replayed by another program to the same contents.
  @Test func anotherProgramReplaysOurLog() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 4 << 20)
    let work = try CrashWorkload(path, steps: 80, seed: 11, blocks: 4)
    var file = work.before
    var compared = 0
    for (index, change) in work.recorder.all.enumerated() {
      file.apply(change)
      guard index > 20, index % 17 == 0 else { continue }
      let (ours, theirs) = (scratch.directory + "/ours.vhdx", scratch.directory + "/theirs.vhdx")
      try file.write(to: ours)
      try file.write(to: theirs)
      try work.check(ours, cut: index + 1)
      try run("/usr/bin/qemu-img", "check", "-q", "-r", "all", "-f", "vhdx", theirs)
      try run("/usr/bin/qemu-img", "compare", "-q", "-f", "vhdx", "-F", "vhdx", ours, theirs)
      compared += 1
    }
    #expect(compared > 4)
  }
}
