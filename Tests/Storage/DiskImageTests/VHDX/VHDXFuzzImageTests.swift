import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing
import WireBytes

/// Whole images with damage: they open, or give one clear error; nothing crashes, hangs, or is written.
@Suite(.serialized) struct VHDXFuzzImageTests {
  @Test func damagedImages() throws {
    let scratch = try Scratch(memory: true)
    let base = try scratch.vhdx("base.vhdx", byteCount: 4 << 20)
    let path = try scratch.child(of: base, byteCount: 4 << 20)
    let work = try CrashWorkload(path, steps: 30, seed: 31, blocks: 4)
    // Cut before it was closed, so that there is a log.
    var file = work.before
    let changes = work.recorder.all
    for change in changes[..<(changes.count - 4)] { file.apply(change) }
    try file.write(to: path)
    let good = try contents(path)
    var random = Generator(state: 77)
    var codes = Set<String>()
    var openedCount = 0
    let places: [(UInt64, Int, checksum: Int)] = [
      (VHDX.headerOffsets[0], 80, 4096), (VHDX.headerOffsets[1], 80, 4096), (VHDX.regionTableOffsets[0], 80, 64 << 10),
      (1 << 20, 200, 0), (2 << 20, 300, 0), (2 << 20 + 64 << 10, 200, 0), (3 << 20, 40, 0),
      (3 << 20 + 4096 * 8, 8, 0),
    ]
    for round in 0..<500 {
      var edits: [(UInt64, [UInt8])] = []
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let (offset, length, checksum) = places[Int.random(in: 0..<places.count, using: &random)]
        let place = Int.random(in: 0..<length, using: &random) / 4 * 4
        let word: UInt32 = [
          0, 1, 6, 7, UInt32.max, 1 << 20, 1 << 31, UInt32.random(in: 0...UInt32.max, using: &random),
        ][
          Int.random(in: 0..<8, using: &random)]
        if checksum > 0 {
          var structure = Array(good[Int(offset)..<(Int(offset) + checksum)])
          structure.replaceSubrange(place..<(place + 4), with: le32(word))
          let sum = CRC32C.checksum(structure.rawSpan, storedAt: 4)
          structure.replaceSubrange(4..<8, with: le32(sum))
          edits.append((offset, Array(structure[..<4096])))
        } else {
          edits.append((offset + UInt64(place), le32(word)))
        }
      }
      for (offset, bytes) in edits { try patch(path, at: offset, bytes) }
      let file = try OwnedDescriptor.open(path, flags: 0)
      let before = try edits.map { try readBytes(file.number, at: $0.0, count: $0.1.count) }
      do throws(DiskImageError) {
        let image = try DiskImage.open(path, options: vhdxOptions(isReadOnly: true))
        openedCount += 1
        if let queue = try? TestQueue(image, depth: 1, memoryByteCount: 1 << 20) {
          let count = min(image.info.byteCount, 1 << 20)
          _ = queue.read(0, Int(count))
          _ = queue.read(image.info.byteCount - count, Int(count))
          queue.queue.close()
        }
        try image.close()
      } catch {
        if case .fault(let fault) = error { codes.insert(fault.code) }
        if case .system(let what, let errno) = error {
          #expect(errno == .EIO || errno == .ENODATA, "round \(round): \(what)")
        }
      }
      let after = try edits.map { try readBytes(file.number, at: $0.0, count: $0.1.count) }
      try #require(after == before, "round \(round): the image was written")
      for (offset, bytes) in edits {
        try patch(path, at: offset, Array(good[Int(offset)..<(Int(offset) + bytes.count)]))
      }
    }
    #expect(openedCount > 20 && codes.count > 8, "\(openedCount) opened, \(codes.sorted())")
  }

  /// Cut anywhere, an image gives an error or what is left.
  @Test func truncatedImages() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 8 << 20)
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    for block in 0..<UInt64(8) { #expect(queue.write([1], block << 20) == .misaligned) }
    for block in 0..<UInt64(8) { #expect(queue.write([UInt8](repeating: 1, count: 512), block << 20) == nil) }
    queue.queue.close()
    try image.close()
    let length = try contents(path).count
    for cut in stride(from: length - 512, to: 0, by: -(300 << 10)) {
      try OwnedDescriptor.open(path, flags: 2).truncate(to: UInt64(cut))
      #expect(openError(path, vhdxOptions(isReadOnly: true)) != nil, "cut to \(cut)")
    }
  }
}
