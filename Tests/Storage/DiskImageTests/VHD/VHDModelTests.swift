import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// Random requests against VHD images, with an array and QEMU as referees.
@Suite(.serialized) struct VHDModelTests {
  @Test(arguments: [(true, 2 << 20), (false, 2 << 20), (true, 512 << 10), (true, 32 << 20), (true, 64 << 10)])
  func dynamicAgreesWithArray(usesRing: Bool, blockByteCount: Int) throws {
    let scratch = try Scratch()
    let path = try scratch.vhd(byteCount: 12 << 20 - 1024) { $0.blockByteCount = UInt64(blockByteCount) }
    var run = try ModelRun(byteCount: 12 << 20 - 1024, seed: UInt64(blockByteCount))
    run.blockByteCount = blockByteCount
    for _ in 0..<3 { try run.agree(path, usesRing: usesRing) }
    if blockByteCount == 2 << 20 {
      let raw = try scratch.raw("model.raw", run.bytes)
      try scratch.qemu("compare", "-f", "raw", "-F", "vpc", raw, path)
    }
    #expect(try VHDCheck.findings(path).isEmpty)
  }

  @Test(arguments: [DiskImage.Cache.buffered, .direct])
  func fixedAgreesWithArray(cache: DiskImage.Cache) throws {
    let scratch = try Scratch()
    let path = try scratch.vhd(byteCount: 6 << 20 - 512) { $0.isFixed = true }
    let footer = try contents(path).suffix(512)
    var run = try ModelRun(byteCount: 6 << 20 - 512, seed: 5)
    var options = DiskImage.Options()
    options.cache = cache
    for _ in 0..<2 { try run.agree(path, options: options) }
    let after = try contents(path)
    #expect(after.count == 6 << 20 && after.suffix(512) == footer && Array(after.dropLast(512)) == run.bytes)
    try scratch.qemu("compare", "-f", "raw", "-F", "vpc", try scratch.raw("model.raw", run.bytes), path)
  }

  @Test(arguments: [true, false]) func chainAgreesWithArray(usesRing: Bool) throws {
    let scratch = try Scratch()
    // The base is fixed and shorter, the middle has small blocks.
    let base = try scratch.vhd("base.vhd", byteCount: 5 << 20) { $0.isFixed = true }
    var run = try ModelRun(byteCount: 5 << 20, seed: 11)
    try run.agree(base, steps: 60)
    let baseBytes = try contents(base)
    let middle = try scratch.vhdChild("middle.vhd", of: base, byteCount: 9 << 20) { $0.blockByteCount = 512 << 10 }
    try run.grow(to: 9 << 20)
    try run.agree(middle, steps: 80, usesRing: usesRing)
    let middleBytes = try contents(middle)
    let leaf = try scratch.vhdChild("leaf.vhd", of: middle, byteCount: 9 << 20)
    for _ in 0..<3 { try run.agree(leaf, steps: 100, usesRing: usesRing) }
    #expect(try contents(base) == baseBytes && contents(middle) == middleBytes, "parents are never written")
    #expect(try VHDCheck.findings(leaf).isEmpty)
  }

  /// Images of QEMU: what it has written we read, and the reverse.
  @Test(arguments: ["dynamic", "fixed"], [true, false]) func imagesOfQEMU(subformat: String, forceSize: Bool) throws {
    let scratch = try Scratch()
    let path = scratch.directory + "/q.vhd"
    let options = "subformat=\(subformat),force_size=\(forceSize ? "on" : "off")"
    try scratch.qemu("create", "-q", "-f", "vpc", "-o", options, path, "20M")
    _ = try runAll([
      "/usr/bin/qemu-io", "-f", "vpc", "-c", "write -P 0xaa 512 1024", "-c", "write -P 0xbb 13M 64k", path,
    ])
    let size = forceSize ? 20 << 20 : 20_994_048
    do {
      let image = try DiskImage.open(path)
      #expect(image.info.byteCount == UInt64(size))
      let queue = try TestQueue(image)
      let (bytes, error) = queue.read(0, 2048)
      #expect(error == nil)
      #expect(bytes[..<512].allSatisfy { $0 == 0 } && bytes[512..<1536].allSatisfy { $0 == 0xaa } && bytes[1536] == 0)
      #expect(queue.read(13 << 20, 64 << 10).0.allSatisfy { $0 == 0xbb })
      #expect(queue.write([UInt8](repeating: 0xcc, count: 4096), 17 << 20) == nil)
      #expect(queue.write([UInt8](repeating: 0xcc, count: 512), UInt64(size - 512)) == nil)
      queue.queue.close()
      try image.close()
    }
    _ = try runAll([
      "/usr/bin/qemu-io", "-r", "-f", "vpc", "-c", "read -P 0xaa 512 1024", "-c", "read -P 0xbb 13M 64k",
      "-c", "read -P 0xcc 17M 4k", "-c", "read -P 0 0 512", path,
    ])
    #expect(try VHDCheck.findings(path).isEmpty)
  }
}
