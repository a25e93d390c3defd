import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// VHD images of this program, as other programs see them.
@Suite(.serialized) struct VHDOtherProgramsTests {
  private func write(_ path: String, _ parts: [(sector: UInt64, count: Int, value: UInt8)]) throws {
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    for part in parts {
      #expect(queue.write([UInt8](repeating: part.value, count: part.count * 512), part.sector * 512) == nil)
    }
    queue.queue.close()
    try image.close()
  }

  /// What libvhdi reads of an image, above a parent if there is one.
  private func theirs(_ scratch: Scratch, _ path: String, parent: String = "", byteCount: Int) throws -> [UInt8] {
    let script = """
      import pyvhdi, sys
      image = pyvhdi.file(); image.open(sys.argv[1])
      if sys.argv[2]:
        base = pyvhdi.file(); base.open(sys.argv[2]); image.set_parent(base)
      open(sys.argv[3], 'wb').write(image.read_buffer_at_offset(int(sys.argv[4]), 0))
      """
    let copy = scratch.directory + "/copy"
    try run("/usr/bin/python3", "-c", script, path, parent, copy, "\(byteCount)")
    return try contents(copy)
  }

  private func ours(_ path: String, byteCount: Int) throws -> [UInt8] {
    var options = DiskImage.Options()
    options.isReadOnly = true
    let queue = try TestQueue(DiskImage.open(path, options: options))
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: byteCount, by: 1 << 20) {
      let (part, error) = queue.read(UInt64(start), min(1 << 20, byteCount - start))
      #expect(error == nil)
      bytes += part
    }
    return bytes
  }

  /// Blocks of sizes that qemu-img does not make.
  @Test(arguments: [UInt64(512 << 10), 2 << 20, 16 << 20]) func dynamic(block: UInt64) throws {
    let scratch = try Scratch()
    let path = try scratch.vhd(byteCount: 20 << 20) { $0.blockByteCount = block }
    try write(path, [(0, 3, 1), (1023, 2, 2), (9000, 2000, 3), (40959, 1, 4)])
    #expect(try theirs(scratch, path, byteCount: 20 << 20) == ours(path, byteCount: 20 << 20))
    #expect(try runAll(["/usr/bin/qemu-img", "info", "-f", "vpc", path]).contains("virtual size: 20 MiB"))
  }

  /// Runs of whole bytes of the bitmap, which is as far as the other reader is right.
  @Test func differencing() throws {
    let scratch = try Scratch()
    let base = try scratch.vhd("base.vhd", byteCount: 8 << 20)
    try write(base, [(0, 8192, 0xaa), (12288, 100, 0xab)])
    let child = try scratch.vhdChild(of: base, byteCount: 8 << 20)
    try write(child, [(0, 8, 1), (64, 256, 2), (4080, 32, 3), (8192, 4096, 4), (16376, 8, 5)])
    #expect(try theirs(scratch, child, parent: base, byteCount: 8 << 20) == ours(child, byteCount: 8 << 20))
  }

  /// Single sectors: exactly those that the bitmap names, from the highest bit of a byte on.
  @Test func singleSectors() throws {
    let scratch = try Scratch()
    let base = try scratch.vhd("base.vhd", byteCount: 4 << 20)
    try write(base, [(0, 8192, 0xaa)])
    let child = try scratch.vhdChild(of: base, byteCount: 4 << 20)
    let sectors = [0, 3, 4095]
    try write(child, sectors.map { (UInt64($0), 1, 7) })
    let bytes = try ours(child, byteCount: 4 << 20)
    for sector in 0..<8192 {
      #expect(bytes[sector * 512] == (sectors.contains(sector) ? 7 : 0xaa), "sector \(sector)")
    }
    let file = try OwnedDescriptor.open(child, flags: 0)
    let entry = try readBytes(file.number, at: 1536, count: 4).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let bitmap = try readBytes(file.number, at: entry * 512, count: 512)
    #expect(bitmap[0] == 0b1001_0000 && bitmap[511] == 1 && bitmap[1..<511].allSatisfy { $0 == 0 })
  }

  /// Whoever writes keeps others out, of both programs.
  @Test func locks() throws {
    let scratch = try Scratch()
    let path = try scratch.vhd(byteCount: 4 << 20)
    let image = try DiskImage.open(path)
    #expect(throws: ProgramFailure.self) { try scratch.qemu("info", "-f", "vpc", path) }
    try image.close()
    try scratch.qemu("info", "-f", "vpc", path)
    var options = DiskImage.Options()
    options.isReadOnly = true
    let reader = try DiskImage.open(path, options: options)
    try scratch.qemu("info", "-f", "vpc", path)
    try reader.close()
  }
}
