import DiskImage
import ImageTools
import LinuxIO
import Testing

@Suite(.serialized) struct ConversionTests {
  private static let parts: [(offset: UInt64, count: Int, value: UInt8)] = [
    (0, 4096, 1), (5 << 20, 1 << 20, 2), (17 << 20 - 512, 1024, 3), (70 << 20, 512, 4), (80 << 20 - 512, 512, 5),
  ]

  private func convert(
    _ from: String, _ to: String, threads: Int = 4, _ change: (inout Conversion) -> Void = { _ in }
  ) throws -> Conversion.Summary {
    var conversion = Conversion(from: from, to: NewImage(path: to))
    conversion.threadCount = threads
    change(&conversion)
    return try conversion.run { _, _ in true }
  }

  /// From each format to each other, there and back; QEMU says whether they agree.
  @Test(arguments: ["raw", "vhd", "vhdx"], ["raw", "vhd", "vhdx"]) func formats(from: String, to: String) throws {
    let scratch = try ToolScratch()
    let source = try scratch.create("source.\(from)", 80 << 20)
    try scratch.write(source, Self.parts)
    let target = scratch.path("target.\(to)")
    let summary = try convert(source, target)
    #expect(summary.byteCount == 80 << 20)
    // Whole pages of what is not zero.
    #expect(summary.copiedByteCount >= 1 << 20 && summary.copiedByteCount <= 1 << 20 + 64 << 10)
    #expect(scratch.agree((source, from), (target, to)))
    let stored = try DiskImage.describe(target).storedByteCount
    #expect(stored < 4 << 20, "holes stay holes")
    #expect(try DiskImage.check(target).isEmpty && scratch.names.count == 2)
  }

  @Test func fixedImagesAndPurposes() throws {
    let scratch = try ToolScratch()
    let source = try scratch.create("source.raw", 10 << 20 + 512)
    try scratch.write(source, [(1 << 20, 4096, 7), (10 << 20, 512, 8)])
    let azure = try convert(source, scratch.path("azure.vhd")) { $0.target.purpose = .azure }
    #expect(azure.byteCount == 11 << 20)
    let description = try DiskImage.describe(scratch.path("azure.vhd"))
    #expect(description.kind == .fixed && description.diskByteCount == 11 << 20)
    #expect(scratch.agree((source, "raw"), (scratch.path("azure.vhd"), "vhd")))
    _ = try convert(source, scratch.path("fixed.vhdx")) { $0.target.isFixed = true }
    #expect(try DiskImage.describe(scratch.path("fixed.vhdx")).kind == .fixed)
    #expect(scratch.agree((source, "raw"), (scratch.path("fixed.vhdx"), "vhdx")))
  }

  /// A chain becomes one image.
  @Test(arguments: ["vhd", "vhdx"]) func chains(format: String) throws {
    let scratch = try ToolScratch()
    let base = try scratch.create("base.\(format)", 20 << 20)
    try scratch.write(base, [(0, 1 << 20, 1), (10 << 20, 4096, 2)])
    let child = try scratch.create("child.\(format)", 20 << 20) { $0.parent = base }
    try scratch.write(child, [(4096, 4096, 9), (15 << 20, 512, 3)])
    _ = try convert(child, scratch.path("flat.raw"))
    let expected = try scratch.create("expected.raw", 20 << 20)
    try scratch.write(expected, [(0, 1 << 20, 1), (10 << 20, 4096, 2), (4096, 4096, 9), (15 << 20, 512, 3)])
    #expect(scratch.agree((expected, "raw"), (scratch.path("flat.raw"), "raw")))
  }

  @Test func nothingIsLeftOfAFailure() throws {
    let scratch = try ToolScratch()
    let source = try scratch.create("source.raw", 64 << 20)
    try scratch.write(source, [(0, 1 << 20, 1), (40 << 20, 1 << 20, 2)])
    var calls = 0
    let stopped = toolError {
      _ = try Conversion(from: source, to: NewImage(path: scratch.path("new.vhdx"))).run { _, _ in
        calls += 1
        return false
      }
    }
    #expect(stopped?.kind == .failed && stopped?.why == "it was stopped" && calls > 0)
    #expect(scratch.names == ["source.raw"])
    let there = toolError { _ = try convert(source, source) }
    #expect(there?.kind == .usage && there?.advice.contains("--force") == true)
    // A target that has no room.
    let mount = scratch.path("small")
    try run("/bin/mkdir", mount)
    try run("/bin/mount", "-t", "tmpfs", "-o", "size=1500k", "none", mount)
    defer { _ = try? run("/bin/umount", "-l", mount) }
    let full = toolError { _ = try convert(source, mount + "/new.vhd") }
    #expect(full?.kind == .failed && full?.why.contains("space") == true, "\(String(describing: full))")
    #expect(directoryEntries(mount).isEmpty)
    // A source with a hole where its block should be.
    let vhd = try scratch.create("short.vhd", 8 << 20) { $0.isFixed = true }
    let image = try OwnedDescriptor.open(vhd, flags: 2)
    try image.truncate(to: 4 << 20)
    #expect(toolError { _ = try convert(vhd, scratch.path("x.raw")) { $0.options.format = .vhd } }?.kind == .failed)
  }

  @Test func largeSectorsStayLarge() throws {
    let scratch = try ToolScratch()
    let source = try scratch.create("source.vhdx", 8 << 20) { $0.sectorByteCount = 4096 }
    #expect(toolError { _ = try convert(source, scratch.path("x.vhd")) }?.kind == .usage)
    _ = try convert(source, scratch.path("x.vhdx"))
    #expect(try DiskImage.describe(scratch.path("x.vhdx")).sectorByteCount == 4096)
  }

  @Test func hugeSparseImagesAreFast() throws {
    let scratch = try ToolScratch()
    let source = try scratch.create("source.vhdx", 4 << 40)
    try scratch.write(source, [(0, 4096, 1), (3 << 40, 4096, 2)])
    let begin = monotonicNanoseconds()
    let summary = try convert(source, scratch.path("target.vhdx"))
    #expect(summary.copiedByteCount == 8192)
    #expect(monotonicNanoseconds() - begin < 20_000_000_000)
  }
}
