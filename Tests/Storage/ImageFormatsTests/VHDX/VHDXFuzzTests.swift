import ImageFormats
import Testing
import WireBytes

/// Parsers take any bytes: they answer or throw, and what they accept is within its bounds.
@Suite struct VHDXFuzzTests {
  /// Knuth's MMIX generator.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 32) | (state << 32)
    }
  }

  private func mutate(_ bytes: [UInt8], _ random: inout Generator, fixChecksum: Bool) -> [UInt8] {
    var bytes = bytes
    let words: [UInt32] = [0, 1, 7, 0xffff_ffff, 0x8000_0000, 0x10_0000, 4096, 2047, 2048]
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      // Mostly where the fields are.
      let limit = Bool.random(using: &random) ? min(bytes.count, 512) : bytes.count
      let place = Int.random(in: 0..<limit, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
      default:
        let at = min(place / 4 * 4, bytes.count - 4)
        let word = words[Int.random(in: 0..<words.count, using: &random)]
        bytes.withMutableBytes { $0.storeLE(word, at: at) }
      }
    }
    if fixChecksum {
      let sum = CRC32C.checksum(bytes.rawSpan, storedAt: 4)
      bytes.withMutableBytes { $0.storeLE(sum, at: 4) }
    }
    return bytes
  }

  @Test func headersAndRegionTables() {
    var random = Generator(state: 1)
    let header = VHDXHeader(
      sequenceNumber: 5, fileWriteGUID: .random(), dataWriteGUID: .random(), logByteCount: 1 << 20, logOffset: 1 << 20
    ).encoded()
    let regions = VHDXRegionTable([
      .init(id: VHDXRegionTable.blockTable, offset: 3 << 20, byteCount: 1 << 20),
      .init(id: VHDXRegionTable.metadata, offset: 2 << 20, byteCount: 1 << 20),
    ]).encoded()
    for _ in 0..<200 {
      let bytes = mutate(header, &random, fixChecksum: true)
      if let parsed = VHDXHeader(parsing: bytes.rawSpan) {
        #expect(VHDXHeader(parsing: parsed.encoded().rawSpan) == parsed)
      }
    }
    var accepted = 0
    for _ in 0..<100 {
      let bytes = mutate(regions, &random, fixChecksum: true)
      do throws(ImageFault) {
        guard let table = try VHDXRegionTable(parsing: bytes.rawSpan, at: 0) else { continue }
        accepted += 1
        for entry in table.entries {
          #expect(entry.byteCount > 0 && entry.range.lowerBound >= 1 << 20)
          #expect(table.entries.count { $0.range.overlaps(entry.range) } == 1)
        }
      } catch {
        #expect(error.code == "vhdx.region.bad" && error.offset != nil)
      }
    }
    #expect(accepted > 0)
  }

  @Test func metadata() {
    var random = Generator(state: 2)
    var offset: UInt32 = 64 << 10
    let entries = VHDXMetadataItem.allCases.map { item in
      defer { offset += 64 }
      return VHDXMetadataTable.Entry(id: item.id, offset: offset, byteCount: item.byteCount ?? 40, isVirtualDisk: true)
    }
    let table = VHDXMetadataTable(entries).encoded()
    var accepted = 0
    for _ in 0..<300 {
      let bytes = mutate(table, &random, fixChecksum: false)
      do throws(ImageFault) {
        let parsed = try VHDXMetadataTable(parsing: bytes.rawSpan, regionOffset: 0, regionByteCount: 1 << 20)
        accepted += 1
        #expect(parsed.entries.allSatisfy { $0.range.upperBound <= 1 << 20 && $0.byteCount <= 1 << 20 })
      } catch {
        #expect(error.code == "vhdx.meta.bad" && error.offset != nil)
      }
    }
    #expect(accepted > 0)
  }

  @Test func locatorsAndItems() {
    var random = Generator(state: 3)
    let locator = VHDXParentLocator(parent: .random(), relativePath: "..\\a\\b.vhdx").encoded()
    for _ in 0..<3000 {
      let bytes = mutate(locator, &random, fixChecksum: false)
      do throws(ImageFault) {
        let parsed = try VHDXParentLocator(parsing: bytes.rawSpan, at: 0)
        #expect(!parsed.identities.isEmpty)
      } catch {
        #expect(error.code == "vhdx.parent.locator")
      }
      // A part of it.
      _ = try? VHDXParentLocator(
        parsing: bytes.rawSpan.extracting(0..<Int.random(in: 0...bytes.count, using: &random)), at: 0)
    }
    for _ in 0..<3000 {
      var items: [VHDXMetadataItem: [UInt8]] = [:]
      for item in VHDXMetadataItem.allCases {
        let count = Int.random(in: 0..<20, using: &random) == 0 ? 3 : Int(item.byteCount ?? 8)
        items[item] = (0..<count).map { _ in
          Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
        }
      }
      if let parsed = try? VHDXParameters(items) {
        #expect(parsed.geometry.entryCount > 0 && parsed.geometry.tableByteCount <= 513 << 20)
      }
    }
  }

  @Test func logEntries() {
    var random = Generator(state: 4)
    let guid = GUID(low: 5, high: 6)
    let page = [UInt8](repeating: 7, count: 4096)
    let entry = VHDXLogEntry(
      sequenceNumber: 5, logGUID: guid, tail: 0, flushedFileOffset: 4 << 20, lastFileOffset: 4 << 20,
      changes: [.page(offset: 3 << 20, bytes: page), .zero(offset: 2 << 20, byteCount: 4096)]
    ).encoded()
    var accepted = 0
    for _ in 0..<1000 {
      let bytes = mutate(entry, &random, fixChecksum: true)
      if let parsed = VHDXLogEntry(parsing: bytes.rawSpan, logGUID: guid, logByteCount: 1 << 20) {
        accepted += 1
        #expect(parsed.changes.allSatisfy { $0.range.upperBound <= 1 << 63 })
      }
    }
    #expect(accepted > 0)
  }
}
