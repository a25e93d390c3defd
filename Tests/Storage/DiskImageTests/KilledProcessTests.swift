import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// What a process leaves that is killed: the file as it is while the image is still open.
@Suite(.serialized) struct KilledProcessTests {
  enum Kind: CaseIterable { case vhd, vhdx, vhdChild, vhdxChild }

  private func make(_ kind: Kind, _ scratch: Scratch) throws -> String {
    let byteCount: UInt64 = 8 << 20
    switch kind {
    case .vhd: return try scratch.vhd(byteCount: byteCount)
    case .vhdx: return try scratch.vhdx(byteCount: byteCount)
    case .vhdChild: return try scratch.vhdChild(of: scratch.vhd("base", byteCount: byteCount), byteCount: byteCount)
    case .vhdxChild: return try scratch.child(of: scratch.vhdx("base", byteCount: byteCount), byteCount: byteCount)
    }
  }

  /// Writes without a flush, and answers what another process finds that opens the file as it is then.
  private func leftBy(_ kind: Kind, keepsUnflushedWrites: Bool, usesRing: Bool) throws -> [[UInt8]] {
    let scratch = try Scratch()
    let path = try make(kind, scratch)
    var options = DiskImage.Options()
    if kind == .vhdxChild { options.parents = SameDirectory() }
    options.keepsUnflushedWrites = keepsUnflushedWrites
    let image = try DiskImage.open(path, options: options)
    let queue = try TestQueue(image, usesRing: usesRing)
    let places: [UInt64] = [0, 3 << 20 + 512, 3 << 20 + 8192, 5 << 20]
    for place in places { #expect(queue.write([UInt8](repeating: 7, count: 1024), place) == nil) }
    #expect(queue.range(.discard, 5 << 20, 1 << 20).error == nil)
    let copy = scratch.directory + "/copy"
    try run("/bin/cp", path, copy)
    queue.queue.close()
    try image.close()
    let left = try DiskImage.open(copy, options: options)
    let reader = try TestQueue(left)
    let bytes = places.map { reader.read($0, 1024).0 }
    reader.queue.close()
    try left.close()
    return bytes
  }

  @Test(arguments: Kind.allCases, [true, false]) func endedWritesAreKept(kind: Kind, usesRing: Bool) throws {
    let written = [UInt8](repeating: 7, count: 1024)
    let zeros = [UInt8](repeating: 0, count: 1024)
    let left = try leftBy(kind, keepsUnflushedWrites: true, usesRing: usesRing)
    #expect(left == [written, written, written, zeros])
  }

  /// Otherwise they need not be: the test above would notice.
  @Test(arguments: Kind.allCases) func withoutTheOptionTheyMayBeLost(kind: Kind) throws {
    let left = try leftBy(kind, keepsUnflushedWrites: false, usesRing: true)
    #expect(left[0] == [UInt8](repeating: 0, count: 1024))
  }
}
