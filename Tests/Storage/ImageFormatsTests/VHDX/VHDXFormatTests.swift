import ImageFormats
import TestVectors
import Testing
import WireBytes

/// Layouts against bytes that qemu-img 7.2 has written, and figures of the specification.
@Suite struct VHDXFormatTests {
  @Test func checksum() {
    let text = Array("123456789".utf8)
    #expect(CRC32C.checksum(text.rawSpan) == 0xe306_9283)
    var sum = CRC32C()
    for byte in text { sum.update([byte].rawSpan) }
    #expect(sum.value == 0xe306_9283)
    let long = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    var bytewise = UInt32.max
    for byte in long {
      bytewise ^= UInt32(byte)
      for _ in 0..<8 { bytewise = bytewise & 1 != 0 ? bytewise >> 1 ^ 0x82f6_3b78 : bytewise >> 1 }
    }
    #expect(CRC32C.checksum(long.rawSpan) == ~bytewise)
  }

  /// The first header of `qemu-img create -f vhdx golden.vhdx 64M`.
  @Test func header() throws {
    let bytes = hex(
      VHDXGolden.header + " [\(4096 - 80)]")
    let parsed = VHDXHeader(parsing: bytes.rawSpan)
    let header = try #require(parsed)
    #expect(header.version == 1 && header.logVersion == 0)
    #expect(header.logOffset == 1 << 20 && header.logByteCount == 1 << 20 && header.logGUID == .zero)
    #expect(header.encoded() == bytes)
    for place in [0, 4, 8, 79, 80, 4095] {
      var bad = bytes
      bad[place] ^= 1
      #expect(VHDXHeader(parsing: bad.rawSpan) == nil)
    }
  }

  /// The region table of the same image, whose writer does not mark its regions as required.
  @Test func regionTable() throws {
    let bytes = hex(VHDXGolden.regions + " [\((64 << 10) - 80)]")
    let parsed = try VHDXRegionTable(parsing: bytes.rawSpan, at: 192 << 10)
    let table = try #require(parsed)
    #expect(table.entries.count == 2)
    #expect(table.region(VHDXRegionTable.blockTable)?.offset == 2 << 20)
    #expect(table.region(VHDXRegionTable.metadata)?.offset == 3 << 20)
    #expect(table.entries.allSatisfy { !$0.isRequired && $0.byteCount == 1 << 20 })
    #expect(table.encoded() == bytes)
  }

  @Test func headerChoice() {
    func header(_ number: UInt64, _ guid: GUID = .zero) -> VHDXHeader {
      VHDXHeader(
        sequenceNumber: number, fileWriteGUID: guid, dataWriteGUID: .zero, logByteCount: 1 << 20, logOffset: 1 << 20)
    }
    #expect(VHDXHeader.choose(nil, nil) == .none)
    #expect(VHDXHeader.choose(header(1), nil) == .current(header(1), slot: 0))
    #expect(VHDXHeader.choose(nil, header(1)) == .current(header(1), slot: 1))
    #expect(VHDXHeader.choose(header(1), header(2)) == .current(header(2), slot: 1))
    #expect(VHDXHeader.choose(header(3), header(2)) == .current(header(3), slot: 0))
    #expect(VHDXHeader.choose(header(3), header(3)) == .current(header(3), slot: 0))
    #expect(VHDXHeader.choose(header(3), header(3, .random())) == .contradiction)
  }

  /// Figures of the table in the specification: sizes of disk, block and sector; entries without and with a parent; MiB of
  /// the table.
  static let figures: [[UInt64]] = [
    [64 << 20, 2 << 20, 512, 32, 2049, 1], [9 << 30, 1 << 20, 512, 9218, 12291, 1],
    [127 << 30, 32 << 20, 512, 4095, 4128, 1], [64 << 40, 32 << 20, 512, 2_113_535, 2_113_536, 17],
    [64 << 40, 1 << 20, 512, 67_125_247, 67_125_248, 513],
  ]

  @Test(arguments: figures) func geometry(figures: [UInt64]) throws {
    let (disk, block, sector) = (figures[0], figures[1], figures[2])
    let (dynamic, child, region) = (figures[3], figures[4], figures[5])
    let one = try VHDXGeometry(diskByteCount: disk, blockByteCount: block, sectorByteCount: sector, hasParent: false)
    let two = try VHDXGeometry(diskByteCount: disk, blockByteCount: block, sectorByteCount: sector, hasParent: true)
    #expect(one.entryCount == dynamic && two.entryCount == child)
    #expect(one.tableByteCount <= region << 20 && two.tableByteCount == region << 20)
    for block in [0, one.chunkRatio - 1, one.chunkRatio, one.blockCount - 1] where block < one.blockCount {
      #expect(two.role(ofEntry: two.entryIndex(ofBlock: block)) == .block(block))
    }
    for chunk in [0, two.chunkCount - 1] {
      #expect(two.role(ofEntry: two.entryIndex(ofBitmap: chunk)) == .bitmap(chunk: chunk))
    }
    #expect(one.entryIndex(ofBlock: one.blockCount - 1) == one.entryCount - 1)
    #expect(two.entryIndex(ofBitmap: two.chunkCount - 1) == two.entryCount - 1)
  }

  @Test func parentLocator() throws {
    let guid = GUID(0x1234_5678, 0x9abc, 0xdef0, 0x0123_4567_89ab_cdef)
    let locator = VHDXParentLocator(parent: guid, relativePath: "../base/\u{fc}.vhdx")
    let again = try VHDXParentLocator(parsing: locator.encoded().rawSpan, at: 0)
    #expect(again == locator && again.identities == [guid])
    #expect(again["relative_path"] == "..\\base\\\u{fc}.vhdx")
    #expect(again["parent_linkage"] == "{12345678-9abc-def0-0123-456789abcdef}")
    let nameless = VHDXParentLocator([.init(key: "relative_path", value: "x")]).encoded()
    #expect(throws: ImageFault.self) { try VHDXParentLocator(parsing: nameless.rawSpan, at: 0) }
  }

  @Test func logEntry() throws {
    let guid = GUID.random()
    let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    for count in [0, 1, 126, 127, 300] {
      var changes = (0..<count).map { VHDXLogEntry.Change.page(offset: UInt64($0 + 100) * 4096, bytes: page) }
      if count > 0 { changes[0] = .zero(offset: 3 << 20, byteCount: 8192) }
      let entry = VHDXLogEntry(
        sequenceNumber: 0x1_0000_0007, logGUID: guid, tail: 4096, flushedFileOffset: 4 << 20, lastFileOffset: 8 << 20,
        changes: changes)
      let bytes = entry.encoded()
      #expect(bytes.count % 4096 == 0 && bytes.count == entry.byteCount)
      let parsed = VHDXLogEntry(parsing: bytes.rawSpan, logGUID: guid, logByteCount: 4 << 20)
      #expect(parsed == entry)
      let foreign = VHDXLogEntry(parsing: bytes.rawSpan, logGUID: .random(), logByteCount: 4 << 20)
      #expect(foreign == nil)
      for place in [0, 5, 9, 13, 20, 30, 50, bytes.count - 1] {
        var bad = bytes
        bad[place] ^= 0x10
        let parsed = VHDXLogEntry(parsing: bad.rawSpan, logGUID: guid, logByteCount: 4 << 20)
        #expect(parsed == nil, "byte \(place)")
      }
    }
  }
}
