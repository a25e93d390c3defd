import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// Differencing images: what comes from which image.
@Suite(.serialized) struct VHDXChainTests {
  private let table: UInt64 = 3 << 20
  private let data: UInt64 = 4 << 20

  /// A parent of 8 MiB, all of it 0xaa.
  private func parent(_ scratch: Scratch, sectorByteCount: UInt64 = 512, byteCount: Int = 8 << 20) throws -> String {
    let path = try scratch.vhdx("base.vhdx", byteCount: UInt64(byteCount)) { $0.sectorByteCount = sectorByteCount }
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    for start in stride(from: 0, to: byteCount, by: 1 << 20) {
      #expect(queue.write([UInt8](repeating: 0xaa, count: 1 << 20), UInt64(start)) == nil)
    }
    queue.queue.close()
    try image.close()
    return path
  }

  private func filled(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

  /// Runs `body` with a queue of the image.
  private func withQueue(_ path: String, isReadOnly: Bool = false, _ body: (TestQueue) throws -> Void) throws {
    let image = try DiskImage.open(path, options: vhdxOptions(isReadOnly: isReadOnly))
    let queue = try TestQueue(image)
    try body(queue)
    queue.queue.close()
    try image.close()
  }

  @Test(arguments: [512, 4096]) func statesOfBlocks(sectorByteCount: Int) throws {
    let scratch = try Scratch(memory: true)
    let base = try parent(scratch, sectorByteCount: UInt64(sectorByteCount))
    let child = try scratch.child(of: base, byteCount: 9 << 20) { $0.sectorByteCount = UInt64(sectorByteCount) }
    // Blocks 0 to 5 in the states 0, 1, 2, 3, 6, 7; the bitmap of the chunk in MiB 4, the blocks behind it.
    let ratio = 8 << 30 / 2 / UInt64(1 << 20) * UInt64(sectorByteCount) / 512
    try patch(child, at: table, le64(0) + le64(1) + le64(2) + le64(3) + le64(5 << 20 | 6) + le64(6 << 20 | 7))
    let start = sectorByteCount == 512 ? data : data
    let place = try VHDXStructure.read(
      ImageFile(path: child, file: OwnedDescriptor.open(child, flags: 0)), pendingLog: .overlay)
    let end = max(start, place.tableRegion.range.upperBound)
    let mebi = end >> 20
    try patch(
      child, at: table,
      le64(0) + le64(1) + le64(2) + le64(3) + le64((mebi + 1) << 20 | 6) + le64((mebi + 2) << 20 | 7))
    try patch(child, at: table + ratio * 8, le64(mebi << 20 | 6))
    try OwnedDescriptor.open(child, flags: 2).truncate(to: (mebi + 3) << 20)
    try patch(child, at: (mebi + 1) << 20, filled(0xbb, 1 << 20))
    try patch(child, at: (mebi + 2) << 20, filled(0xcc, 1 << 20))
    // Sectors 0, 7, 8 and the last of block 5.
    let sectors = 1 << 20 / sectorByteCount
    var bits = filled(0, sectors / 8)
    bits[0] = 0x81
    bits[1] = 0x01
    bits[sectors / 8 - 1] = 0x80
    try patch(child, at: mebi << 20 + UInt64(5 * sectors / 8), bits)
    try withQueue(child, isReadOnly: true) { queue in
      for (block, value): (UInt64, UInt8) in [
        (0, 0xaa), (1, 0), (2, 0), (3, 0), (4, 0xbb), (6, 0xaa), (7, 0xaa), (8, 0),
      ] {
        #expect(queue.read(block << 20, 1 << 20).0 == filled(value, 1 << 20), "block \(block)")
      }
      let block = queue.read(5 << 20, 1 << 20).0
      for sector in [0, 1, 6, 7, 8, 9, sectors - 2, sectors - 1] {
        let isHere = [0, 7, 8, sectors - 1].contains(sector)
        let bytes = Array(block[(sector * sectorByteCount)..<((sector + 1) * sectorByteCount)])
        #expect(bytes == filled(isHere ? 0xcc : 0xaa, sectorByteCount), "sector \(sector)")
      }
    }
    // Without its bitmap the block can't be read.
    try patch(child, at: table + ratio * 8, le64(0))
    #expect(openFault(child) == "vhdx.bat.nobitmap")
  }

  /// What libvhdi reads of the sectors that this program has written.
  @Test(arguments: [512, 4096]) func anotherReaderSeesTheSame(sectorByteCount: Int) throws {
    let scratch = try Scratch(memory: true)
    let base = try parent(scratch, sectorByteCount: UInt64(sectorByteCount))
    let child = try scratch.child(of: base, byteCount: 8 << 20) { $0.sectorByteCount = UInt64(sectorByteCount) }
    try withQueue(child) { queue in
      for sector: UInt64 in [0, 7, 8, 100, 255] {
        #expect(queue.write(filled(UInt8(sector) | 1, sectorByteCount), sector * UInt64(sectorByteCount)) == nil)
      }
      #expect(queue.write(filled(0x77, 2 << 20), 3 << 20) == nil)
      #expect(queue.write(filled(0x55, sectorByteCount), 8 << 20 - UInt64(sectorByteCount)) == nil)
    }
    let script = """
      import pyvhdi, sys, hashlib
      base = pyvhdi.file(); base.open(sys.argv[1])
      child = pyvhdi.file(); child.open(sys.argv[2]); child.set_parent(base)
      open(sys.argv[3], 'wb').write(child.read_buffer_at_offset(8 << 20, 0))
      """
    let copy = scratch.directory + "/copy"
    try run("/usr/bin/python3", "-c", script, base, child, copy)
    let theirs = try contents(copy)
    try withQueue(child, isReadOnly: true) { queue in
      for start in stride(from: 0, to: 8 << 20, by: 1 << 20) {
        #expect(queue.read(UInt64(start), 1 << 20).0 == Array(theirs[start..<(start + 1 << 20)]), "at \(start)")
      }
    }
  }

  /// Bits of an earlier life of a block are no data.
  @Test func staleBitsAreCleared() throws {
    let scratch = try Scratch(memory: true)
    let base = try parent(scratch)
    let child = try scratch.child(of: base, byteCount: 8 << 20)
    try withQueue(child) { #expect($0.write(filled(1, 4096), 0) == nil) }
    // The block is forgotten, its bits are not.
    try patch(child, at: table, le64(0))
    try withQueue(child) { queue in
      #expect(queue.read(0, 4096).0 == filled(0xaa, 4096))
      #expect(queue.write(filled(2, 512), 8192) == nil)
      #expect(queue.read(0, 4096).0 == filled(0xaa, 4096) && queue.read(8192, 512).0 == filled(2, 512))
    }
    // Given back and written elsewhere: zeros, neither the parent nor what was there.
    try withQueue(child) { queue in
      #expect(queue.range(.discard, 0, 1 << 20).error == nil)
      #expect(queue.write(filled(3, 512), 512) == nil)
      #expect(queue.read(0, 512).0 == filled(0, 512) && queue.read(8192, 512).0 == filled(0, 512))
    }
    try withQueue(child) { queue in
      #expect(queue.read(0, 512).0 == filled(0, 512) && queue.read(512, 512).0 == filled(3, 512))
    }
  }

  @Test func bitsInLaterChunks() throws {
    let scratch = try Scratch(memory: true)
    let base = try scratch.vhdx("base.vhdx", byteCount: 9 << 30)
    let child = try scratch.child(of: base, byteCount: 9 << 30)
    let places: [UInt64] = [0, 4 << 30 - 512, 4 << 30, 8 << 30 - 512, 8 << 30, 9 << 30 - 512]
    try withQueue(child) { queue in
      for (index, place) in places.enumerated() { #expect(queue.write(filled(UInt8(index + 1), 512), place) == nil) }
    }
    try withQueue(child) { queue in
      for (index, place) in places.enumerated() {
        #expect(queue.read(place, 512).0 == filled(UInt8(index + 1), 512))
        if place > 0 {
          #expect(queue.read(place - 512, 512).0 == filled(place == 4 << 30 ? 2 : place == 8 << 30 ? 4 : 0, 512))
        }
      }
    }
  }

  @Test func chainsAreChecked() throws {
    let scratch = try Scratch(memory: true)
    let base = try parent(scratch)
    let child = try scratch.child(of: base, byteCount: 8 << 20)
    let other = try scratch.child("other.vhdx", of: base, byteCount: 8 << 20) { $0.sectorByteCount = 4096 }
    #expect(openFault(other) == "chain.sector")
    // Two children read one parent, which nobody may write meanwhile.
    try withQueue(child) { _ in
      let second = try scratch.child("second.vhdx", of: base, byteCount: 8 << 20)
      #expect(openError(second) == nil)
      guard case .inUse? = openError(base) else { return #expect(Bool(false), "the parent is not locked") }
    }
    try withQueue(base) { #expect($0.write(filled(1, 512), 0) == nil) }
    #expect(openFault(child) == "chain.linkage")
  }

  /// A parent that was not closed is read as it would be after a replay, and stays as it is.
  @Test func unclosedParentsAreReadOver() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx("work.vhdx", byteCount: 4 << 20)
    let work = try CrashWorkload(path, steps: 60, seed: 21, blocks: 4)
    var file = work.before
    var checked = 0
    for (index, change) in work.recorder.all.enumerated() {
      file.apply(change)
      guard index % 13 == 0, index > 10 else { continue }
      let parent = scratch.directory + "/parent.vhdx"
      try file.write(to: parent)
      let child = try scratch.child("child\(index).vhdx", of: parent, byteCount: 4 << 20)
      let before = try contents(parent)
      try work.check(child, cut: index + 1, hasParent: true)
      #expect(try contents(parent) == before)
      checked += 1
    }
    #expect(checked > 4)
  }
}
