import DiskImage
import ImageTools
import LinuxIO
import Testing

@Suite(.serialized) struct ImageChangeTests {
  private static let parts: [(offset: UInt64, count: Int, value: UInt8)] = [
    (0, 4096, 1), (5 << 20, 1 << 20, 2), (9 << 20 + 512, 512, 3),
  ]

  /// Each growth keeps the contents, and what is new is zero; also where something stood behind the old end.
  @Test(arguments: ["raw", "vhd", "vhdx", "fixed.vhd", "fixed.vhdx"]) func growth(name: String) throws {
    let scratch = try ToolScratch()
    let format = name.split(separator: ".").last.map(String.init) ?? name
    let path = try scratch.create("disk.\(name)", 9 << 20 + 1024) { $0.isFixed = name.hasPrefix("fixed") }
    let model = try scratch.create("model.raw", 9 << 20 + 1024)
    for image in [path, model] { try scratch.write(image, Self.parts) }
    for size: UInt64 in [9 << 20 + 1536, 12 << 20, 100 << 20, 600 << 20] {
      if name.hasPrefix("fixed"), size > 200 << 20 { continue }
      try resizeImage(path, to: size, mayShrink: false, format: .automatic)
      try resizeImage(model, to: size, mayShrink: false, format: .raw)
      #expect(try DiskImage.describe(path).diskByteCount == size)
      #expect(try DiskImage.check(path).isEmpty)
      #expect(scratch.agree((path, format), (model, "raw")), "\(size)")
      for image in [path, model] { try scratch.write(image, [(size - 512, 512, 9)]) }
    }
    #expect(scratch.agree((path, format), (model, "raw")))
  }

  /// The block table has to become longer than the region that it stands in.
  @Test func growthWithAnotherTable() throws {
    let scratch = try ToolScratch()
    let path = try scratch.create("disk.vhdx", 100 << 30) { $0.blockByteCount = 1 << 20 }
    try scratch.write(path, [(0, 512, 1), (100 << 30 - 512, 512, 2)])
    try resizeImage(path, to: 300 << 30, mayShrink: false, format: .automatic)
    try scratch.write(path, [(300 << 30 - 512, 512, 3)])
    #expect(try DiskImage.check(path).isEmpty)
    try run("/usr/bin/qemu-img", "check", "-f", "vhdx", path)
    try run(
      "/usr/bin/qemu-io", "-r", "-f", "vhdx", "-c", "read -P 1 0 512", "-c", "read -P 2 \(100 << 30 - 512) 512", "-c",
      "read -P 0 100G 1M", "-c", "read -P 3 \(300 << 30 - 512) 512", path)
  }

  @Test(arguments: ["vhd", "vhdx"]) func growthOfAChild(format: String) throws {
    let scratch = try ToolScratch()
    let base = try scratch.create("base.\(format)", 3 << 20)
    try scratch.write(base, [(0, 4096, 1), (2 << 20, 1 << 20, 2)])
    let child = try scratch.create("child.\(format)", 3 << 20) { $0.parent = base }
    try scratch.write(child, [(2 << 20, 4096, 3)])
    let model = try scratch.create("model.raw", 3 << 20)
    try scratch.write(model, [(0, 4096, 1), (2 << 20, 1 << 20, 2), (2 << 20, 4096, 3)])
    for size: UInt64 in [4 << 20, 9 << 30] {
      try resizeImage(child, to: size, mayShrink: false, format: .automatic)
      try resizeImage(model, to: size, mayShrink: false, format: .raw)
      for image in [child, model] { try scratch.write(image, [(size - 4096, 512, 9)]) }
    }
    _ = try Conversion(from: child, to: NewImage(path: scratch.path("flat.raw"))).run { _, _ in true }
    #expect(scratch.agree((scratch.path("flat.raw"), "raw"), (model, "raw")))
  }

  @Test(arguments: ["raw", "vhd", "vhdx", "fixed.vhd"]) func shrinking(name: String) throws {
    let scratch = try ToolScratch()
    let path = try scratch.create("disk.\(name)", 40 << 20) { $0.isFixed = name.hasPrefix("fixed") }
    try scratch.write(path, [(0, 4096, 1), (5 << 20, 4096, 2)])
    let refused = toolError { try resizeImage(path, to: 10 << 20, mayShrink: false, format: .automatic) }
    #expect(refused?.kind == .usage && refused?.advice.contains("--shrink") == true)
    try resizeImage(path, to: 10 << 20, mayShrink: true, format: .automatic)
    #expect(try DiskImage.describe(path).diskByteCount == 10 << 20 && DiskImage.check(path).isEmpty)
    if name == "vhd" {
      #expect(toolError { try resizeImage(path, to: 2 << 20, mayShrink: true, format: .automatic) } != nil, "in use")
    }
    // What is cut off does not come back.
    try resizeImage(path, to: 5 << 20 + 512, mayShrink: true, format: .automatic)
    try resizeImage(path, to: 8 << 20, mayShrink: false, format: .automatic)
    let model = try scratch.create("model.raw", 8 << 20)
    try scratch.write(model, [(0, 4096, 1), (5 << 20, 512, 2)])
    let format = name.split(separator: ".").last.map(String.init) ?? name
    #expect(scratch.agree((path, format), (model, "raw")))
  }

  @Test(arguments: ["vhd", "vhdx"]) func merge(format: String) throws {
    let scratch = try ToolScratch()
    let base = try scratch.create("base.\(format)", 20 << 20)
    try scratch.write(base, [(0, 1 << 20, 1), (10 << 20, 4096, 2)])
    let middle = try scratch.create("middle.\(format)", 20 << 20) { $0.parent = base }
    try scratch.write(middle, [(4096, 4096, 9), (15 << 20, 512, 3)])
    // The leaf is longer than the others.
    let leaf = try scratch.create("leaf.\(format)", 30 << 20) { $0.parent = middle }
    try scratch.write(leaf, [(8192, 512, 6), (29 << 20, 512, 7), (10 << 20, 512, 8)])
    let model = try scratch.create("model.raw", 30 << 20)
    try scratch.write(
      model,
      [
        (0, 1 << 20, 1), (10 << 20, 4096, 2), (4096, 4096, 9), (15 << 20, 512, 3), (8192, 512, 6), (29 << 20, 512, 7),
        (10 << 20, 512, 8),
      ])
    // Stopped, the child is as good as before.
    #expect(toolError { _ = try mergeImage(leaf, options: .init(), isKept: true) { done, _ in done == 0 } } != nil)
    _ = try Conversion(from: leaf, to: NewImage(path: scratch.path("one.raw"))).run { _, _ in true }
    #expect(scratch.agree((scratch.path("one.raw"), "raw"), (model, "raw")))
    let parent = try mergeImage(leaf, options: .init(), isKept: true) { _, _ in true }
    #expect(parent.hasSuffix("/middle.\(format)"))
    if format == "vhdx" { #expect(toolError { _ = try inspectImage(leaf, options: .init(), chain: true) } != nil) }
    #expect(try mergeImage(middle, options: .init(), isKept: false) { _, _ in true }.hasSuffix("/base.\(format)"))
    #expect(!scratch.names.contains("middle.\(format)"))
    #expect(scratch.agree((base, format), (model, "raw")))
    #expect(try DiskImage.check(base).isEmpty)
    #expect(toolError { _ = try mergeImage(base, options: .init(), isKept: true) { _, _ in true } }?.kind == .usage)
  }

  @Test func repair() throws {
    let scratch = try ToolScratch()
    let path = try scratch.create("disk.vhd", 8 << 20)
    try scratch.write(path, [(0, 4096, 1)])
    let length = try DiskImage.describe(path).fileByteCount
    let file = try OwnedDescriptor.open(path, flags: 2)
    try writeBytes([UInt8](repeating: 0, count: 512), to: file.number, at: length - 512)
    try file.truncate(to: length + 4096)
    #expect(try checkImage(path, options: .init(), isRepairing: false).map(\.code) == ["vhd.tailfooter"])
    let repaired = try checkImage(path, options: .init(), isRepairing: true)
    #expect(repaired.map(\.code) == ["vhd.tailfooter"] && repaired.allSatisfy(\.isRepaired))
    #expect(try checkImage(path, options: .init(), isRepairing: false).isEmpty)
    #expect(try DiskImage.describe(path).fileByteCount == length)
    // What can't be repaired is left alone.
    try writeBytes([0, 0, 0, 1], to: file.number, at: 1540)
    let damage = try checkImage(path, options: .init(), isRepairing: true)
    #expect(damage.map(\.code) == ["vhd.bat"] && damage[0].offset == 1540 && !damage[0].isRepaired)
  }

  @Test func creationRefusesWhatCannotBe() throws {
    let scratch = try ToolScratch()
    let base = try scratch.create("base.vhd", 8 << 20)
    func kind(_ name: String, _ size: UInt64 = 1 << 20, _ change: (inout NewImage) -> Void) -> ImageToolError.Kind? {
      toolError { try scratch.create(name, size, change) }?.kind
    }
    #expect(kind("base.vhd") { _ in } == .usage)
    #expect(kind("x.vhd") { $0.sectorByteCount = 4096 } == .usage)
    #expect(kind("x.vhdx") { $0.sectorByteCount = 1024 } == .usage)
    #expect(kind("x.raw") { $0.blockByteCount = 1 << 20 } == .usage)
    #expect(kind("x.raw") { $0.parent = base } == .usage)
    #expect(
      kind("x.vhd") {
        $0.parent = base; $0.isFixed = true
      } == .usage)
    #expect(kind("x.vhdx") { $0.parent = base } == .failed)
    #expect(kind("x.vhd") { $0.parent = scratch.path("none") } == .notFound)
    #expect(
      kind("x.vhdx") {
        $0.purpose = .azure; $0.format = .vhdx
      } == .usage)
    #expect(kind("x.vhd", 3 << 40) { _ in } == .usage)
    #expect(kind("x.vhdx", 65 << 40) { _ in } == .usage)
    #expect(kind("x.vhdx", 0) { _ in } == .usage)
    #expect(kind("none/x.vhdx") { _ in } == .notFound)
    #expect(scratch.names == ["base.vhd"])
    try scratch.create("base.vhd", 9 << 20) { $0.isReplacing = true }
    #expect(try DiskImage.describe(base).diskByteCount == 9 << 20)
  }
}
