import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// What is done to an image that nobody uses.
@Suite(.serialized) struct VHDXToolTests {
  private func withQueue(_ path: String, _ body: (TestQueue) throws -> Void) throws {
    let image = try DiskImage.open(path, options: vhdxOptions())
    let queue = try TestQueue(image)
    try body(queue)
    queue.queue.close()
    try image.close()
  }

  private func filled(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

  @Test(arguments: [false, true]) func grownAndShrunk(isFixed: Bool) throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 4 << 20 + 512) { $0.isFixed = isFixed }
    // What lies behind the end in the last block is no part of the disk.
    try withQueue(path) { #expect($0.write(filled(7, 512), 4 << 20) == nil) }
    let place = try VHDXInspection(path)
    let last = try #require(place.usedByteCount)
    try patch(path, at: last - 4096, filled(9, 4096))
    let before = try VHDXInspection(path).header.dataWriteGUID
    try VHDXResize.resize(path, to: 8 << 20)
    #expect(try VHDXInspection(path).header.dataWriteGUID != before)
    try withQueue(path) { queue in
      #expect(queue.read(4 << 20, 1 << 20).0 == filled(7, 512) + filled(0, 1 << 20 - 512))
      #expect(queue.write(filled(8, 4096), 8 << 20 - 4096) == nil)
      #expect(queue.read(8 << 20, 512).1 == .outOfRange)
    }
    try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path)
    #expect(throws: DiskImageError.self) { try VHDXResize.resize(path, to: 6 << 20) }
    try withQueue(path) { #expect($0.range(.writeZeroes, 8 << 20 - 4096, 4096).error == nil) }
    try VHDXResize.resize(path, to: 6 << 20)
    try VHDXResize.resize(path, to: 8 << 20)
    try withQueue(path) { queue in
      #expect(queue.read(4 << 20, 512).0 == filled(7, 512) && queue.read(7 << 20, 1 << 20).0 == filled(0, 1 << 20))
    }
    #expect(throws: DiskImageError.self) { try VHDXResize.resize(path, to: 8 << 20 + 100) }
    try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path)
  }

  /// The table becomes too long for its region; crashes leave the old or the new size.
  @Test func tableIsMoved() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 20 << 30)
    let places: [UInt64] = [0, 7 << 30, 20 << 30 - 1 << 20]
    try withQueue(path) { queue in
      for (index, place) in places.enumerated() { #expect(queue.write(filled(UInt8(index + 1), 4096), place) == nil) }
    }
    var file = try PageFile(path)
    let recorder = CrashRecorder()
    try VHDXResize.resize(path, to: 200 << 30, discardingData: false, observer: recorder)
    let region = try VHDXInspection(path)
    #expect(region.regions.region(VHDXRegionTable.blockTable)?.byteCount == 2 << 20 && region.findings.isEmpty)
    func check(_ path: String, _ sizes: Set<UInt64>) throws {
      try withQueue(path) { queue in
        for (index, place) in places.enumerated() {
          #expect(queue.read(place, 4096).0 == filled(UInt8(index + 1), 4096))
        }
      }
      #expect(try sizes.contains(VHDXInspection(path).parameters.geometry.diskByteCount))
    }
    try check(path, [200 << 30])
    try withQueue(path) { #expect($0.write(filled(9, 4096), 199 << 30) == nil) }
    try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path)
    try run("/usr/bin/qemu-io", "-r", "-f", "vhdx", "-c", "read -P 9 199G 4k", "-c", "read -P 2 7G 4k", path)
    let copy = scratch.directory + "/cut.vhdx"
    for change in recorder.all {
      file.apply(change)
      try file.write(to: copy)
      try check(copy, [20 << 30, 200 << 30])
    }
  }

  @Test func inspection() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    try withQueue(path) { queue in
      #expect(queue.write(filled(1, 4096), 0) == nil && queue.range(.discard, 1 << 20, 1 << 20).error == nil)
      #expect(queue.write(filled(1, 4096), 2 << 20) == nil && queue.range(.discard, 2 << 20, 1 << 20).error == nil)
    }
    let one = try VHDXInspection(path)
    #expect(one.blockCounts == [.fullyPresent: 1, .zero: 1, .notPresent: 6] && one.findings.isEmpty)
    #expect(one.usedByteCount == 5 << 20 && one.fileByteCount == 5 << 20 && !one.hasPendingLog)
    try patch(path, at: 3 << 20 + 8, le64(4 << 20 | 6) + le64(8))
    let two = try VHDXInspection(path)
    #expect(two.findings.map(\.code) == ["vhdx.bat.entry", "vhdx.bat.entry"])
    #expect(two.findings.map(\.offset) == [3 << 20 + 8, 3 << 20 + 16])
  }

  @Test func emptyLogIsCleared() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let file = ImageFile(path: path, file: try OwnedDescriptor.open(path, flags: 2))
    var (header, slot) = try VHDXStructure.currentHeader(file)
    header.logGUID = .random()
    var writer = VHDXHeaderWriter(header: header, slot: slot)
    try writer.write(to: file)
    slot = writer.slot
    #expect(openFault(path) == "vhdx.log.corrupt")
    try VHDXRepair.clearEmptyLog(path)
    let current = try VHDXStructure.currentHeader(file).slot
    #expect(openError(path) == nil && current != slot)
    // A log with entries is replayed and not forgotten.
    let work = try CrashWorkload(path, steps: 30, seed: 3, blocks: 4)
    var cut = work.before
    for change in work.recorder.all.dropLast(10) { cut.apply(change) }
    try cut.write(to: path)
    #expect(try VHDXInspection(path).hasPendingLog)
    #expect(throws: DiskImageError.self) { try VHDXRepair.clearEmptyLog(path) }
    try VHDXRepair.replayLog(path)
    #expect(try !VHDXInspection(path).hasPendingLog)
  }
}
