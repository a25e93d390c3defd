@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// What `image info --headers` tells.
@Suite struct HeaderFieldTests {
  private func values(_ path: String) throws -> [String: String] {
    Dictionary(uniqueKeysWithValues: try DiskImage.describe(path).headers.map { ($0.name, $0.value) })
  }

  @Test(arguments: [
    (UInt32(0), "2000-01-01T00:00:00Z"), (31_622_399, "2000-12-31T23:59:59Z"), (31_622_400, "2001-01-01T00:00:00Z"),
    (762_525_296, "2024-02-29T12:34:56Z"), (4_294_967_295, "2136-02-07T06:28:15Z"),
  ])
  func timeStamps(stamp: UInt32, text: String) {
    let fields = HeaderField.fields(of: VHDFooter(kind: .fixed, diskByteCount: 512, timeStamp: stamp))
    #expect(fields.first { $0.name == "footer.timestamp" }?.value == text)
  }

  @Test func vhd() throws {
    let scratch = try Scratch()
    let base = try scratch.vhd("base.vhd", byteCount: 30 << 20)
    let found = try values(base)
    #expect(found["footer.creator_application"] == "win" && found["footer.creator_host_os"] == "Wi2k")
    #expect(found["footer.disk_type"] == "dynamic" && found["footer.current_size"] == "\(30 << 20)")
    #expect(found["footer.geometry"] == "903 cylinders, 4 heads, 17 sectors")
    #expect(found["footer.version"] == "1.0" && found["footer.data_offset"] == "512")
    #expect(found["header.block_size"] == "\(2 << 20)" && found["header.max_table_entries"] == "15")
    #expect(found["header.parent_name"] == nil)
    let child = try values(scratch.vhdChild(of: base, byteCount: 30 << 20))
    #expect(child["header.parent_unique_id"] == found["footer.unique_id"] && child["header.parent_name"] != nil)
    #expect(child["header.locator.W2ru"]?.contains(" bytes at ") == true)
  }

  @Test func vhdx() throws {
    let scratch = try Scratch()
    let base = try scratch.vhdx("base.vhdx", byteCount: 30 << 20) { $0.sectorByteCount = 4096 }
    let found = try values(base)
    #expect(found["header.log_guid"] == "none: the log is empty" && found["header.version"] == "1")
    #expect(found["metadata.logical_sector_size"] == "4096" && found["metadata.virtual_disk_size"] == "\(30 << 20)")
    #expect(found["region.block_table"]?.hasSuffix(", required") == true && found["region.metadata"] != nil)
    let child = try values(scratch.child(of: base, byteCount: 30 << 20) { $0.sectorByteCount = 4096 })
    #expect(child["parent_locator.parent_linkage"] == "{\(found["header.data_write_guid"] ?? "")}")
    #expect(child["parent_locator.relative_path"] == ".\\base.vhdx" && child["metadata.has_parent"] == "yes")
  }

  @Test func textsForATerminal() {
    #expect(printableText("a\u{1b}[2Jb\u{9b}c\u{7f}\nd\u{202e}e") == "a?[2Jb?c??d?e")
    #expect(printableText("Gr\u{f6}\u{df}e \u{6f22} ~") == "Gr\u{f6}\u{df}e \u{6f22} ~")
  }
}
