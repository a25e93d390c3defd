import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// Random requests against an image and an array of bytes, which must agree at all times.
@Suite(.serialized) struct VHDXModelTests {
  @Test(arguments: [true, false], [512, 4096])
  func dynamicAgreesWithArray(usesRing: Bool, sectorByteCount: UInt64) throws {
    let scratch = try Scratch()
    let byteCount = 12 << 20 - 4096
    let path = try scratch.vhdx(byteCount: UInt64(byteCount)) { $0.sectorByteCount = sectorByteCount }
    var model = [UInt8](repeating: 0, count: byteCount)
    for round in 0..<2 {
      try agree(path, &model, seed: UInt64(round), sectorByteCount: Int(sectorByteCount), usesRing: usesRing)
    }
    if sectorByteCount == 512 { try compareWithQEMU(scratch, path, model) }
  }

  @Test func fixedAgreesWithArray() throws {
    let scratch = try Scratch()
    let byteCount = 6 << 20 - 512
    let path = try scratch.vhdx(byteCount: UInt64(byteCount)) { $0.isFixed = true }
    let length = try contents(path).count
    var model = [UInt8](repeating: 0, count: byteCount)
    try agree(path, &model, seed: 7)
    try compareWithQEMU(scratch, path, model)
    #expect(try contents(path).count == length)
  }

  @Test(arguments: [true, false], [512, 4096])
  func childAgreesWithArray(usesRing: Bool, sectorByteCount: UInt64) throws {
    let scratch = try Scratch()
    let byteCount = 10 << 20
    // The parent is shorter and has larger blocks.
    let base = try scratch.vhdx("base.vhdx", byteCount: 7 << 20) {
      $0.sectorByteCount = sectorByteCount
      $0.blockByteCount = 2 << 20
    }
    var model = [UInt8](repeating: 0, count: 7 << 20)
    try agree(base, &model, seed: 3, sectorByteCount: Int(sectorByteCount), usesRing: usesRing)
    model += [UInt8](repeating: 0, count: byteCount - model.count)
    let baseBytes = try contents(base)
    let middle = try scratch.child("middle.vhdx", of: base, byteCount: UInt64(byteCount)) {
      $0.sectorByteCount = sectorByteCount
    }
    try agree(middle, &model, seed: 4, sectorByteCount: Int(sectorByteCount), usesRing: usesRing, steps: 60)
    let leaf = try scratch.child("leaf.vhdx", of: middle, byteCount: UInt64(byteCount)) {
      $0.sectorByteCount = sectorByteCount
    }
    for round in 0..<2 {
      try agree(leaf, &model, seed: 5 + UInt64(round), sectorByteCount: Int(sectorByteCount), usesRing: usesRing)
    }
    #expect(try contents(base) == baseBytes, "a parent is never written")
  }

  private func agree(
    _ path: String, _ model: inout [UInt8], seed: UInt64, sectorByteCount: Int = 512, usesRing: Bool = true,
    steps: Int = 150
  ) throws {
    var random = Generator(state: seed)
    let byteCount = model.count
    // Doubled, for a number at a time takes long.
    var noise = (0..<8192).map { _ in UInt8.random(in: 1...255, using: &random) }
    while noise.count < 5 << 20 { noise += noise }
    let image = try DiskImage.open(path, options: vhdxOptions())
    #expect(image.info.byteCount == UInt64(byteCount) && image.info.sectorByteCount == sectorByteCount)
    do {
      let queues = [try TestQueue(image, usesRing: usesRing), try TestQueue(image)]
      for step in 0..<steps {
        let queue = queues[Int.random(in: 0..<2, using: &random)]
        let sectors = byteCount / sectorByteCount
        let first = Int.random(in: 0..<sectors, using: &random)
        let longest = min(
          sectors - first, [1, 8, 300, 4 << 20 / sectorByteCount][Int.random(in: 0..<4, using: &random)])
        var range = first * sectorByteCount..<(first + Int.random(in: 1...longest, using: &random)) * sectorByteCount
        let start = [0, 512, 7][Int.random(in: 0..<3, using: &random)]
        if range.count + start > 4 << 20 { range = range.lowerBound..<(range.lowerBound + 1 << 20) }
        switch Int.random(in: 0..<12, using: &random) {
        case 0..<4:
          let (bytes, error) = queue.read(UInt64(range.lowerBound), range.count, at: start)
          try #require(error == nil, "step \(step)")
          try #require(bytes == Array(model[range]), "step \(step): \(range)")
        case 4..<8:
          let from = Int.random(in: 0..<8192, using: &random)
          let bytes = Array(noise[from..<(from + range.count)])
          let flags: BlockRequest.Flags = Int.random(in: 0..<8, using: &random) == 0 ? [.forceUnitAccess] : []
          try #require(queue.write(bytes, UInt64(range.lowerBound), at: start, flags: flags) == nil, "step \(step)")
          model.replaceSubrange(range, with: bytes)
        case 8, 9:
          // Whole blocks, too.
          if Bool.random(using: &random) {
            range = ((range.lowerBound >> 20) << 20)..<min(byteCount, ((range.lowerBound >> 20) + 2) << 20)
          }
          let operation = Bool.random(using: &random) ? BlockOperation.discard : .writeZeroes
          let flags: BlockRequest.Flags = Bool.random(using: &random) ? [.mayUnmap] : []
          let end = queue.range(operation, UInt64(range.lowerBound), UInt64(range.count), flags: flags)
          try #require(end.error == nil, "step \(step)")
          model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        case 10:
          let extent = try #require(queue.range(.extent, UInt64(range.lowerBound), UInt64(range.count)).extent)
          #expect(extent.byteCount > 0 && extent.byteCount <= UInt64(range.count))
          if !extent.isAllocated {
            let hole = model[range].prefix(Int(extent.byteCount))
            #expect(Array(hole) == [UInt8](repeating: 0, count: hole.count), "step \(step)")
          }
        default: #expect(queue.range(.flush).error == nil)
        }
      }
      for part in 0..<(byteCount / (1 << 20)) {
        let (bytes, error) = queues[0].read(UInt64(part << 20), 1 << 20)
        try #require(error == nil && bytes == Array(model[(part << 20)..<((part + 1) << 20)]), "MiB \(part)")
      }
      for queue in queues { queue.queue.close() }
    }
    try image.close()
  }

  private func compareWithQEMU(_ scratch: Scratch, _ path: String, _ model: [UInt8]) throws {
    let raw = try scratch.file("model.raw", byteCount: UInt64(model.count))
    try patch(raw, at: 0, model)
    try run("/usr/bin/qemu-img", "check", "-f", "vhdx", path)
    try run("/usr/bin/qemu-img", "compare", "-f", "raw", "-F", "vhdx", raw, path)
  }
}
