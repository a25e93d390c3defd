@testable import DiskImage
import LinuxIO
import Testing

/// Crashes at every point of a workload on a VHD, which has no log.
@Suite(.serialized) struct VHDCrashTests {
  @Test(arguments: [UInt64(1), 2])
  func everyPrefixOfTheChanges(seed: UInt64) throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhd(byteCount: 6 << 20) { $0.blockByteCount = 1 << 20 }
    try CrashWorkload(path, steps: 260, seed: seed, blocks: 6).cutEverywhere(scratch, leastChanges: 300)
  }

  @Test func everyPrefixOfTheChangesOfAChild() throws {
    let scratch = try Scratch(memory: true)
    let (path, initial) = try patternedChild(scratch)
    try CrashWorkload(path, steps: 260, seed: 3, initial: initial, blocks: 4).cutEverywhere(scratch, leastChanges: 300)
  }

  @Test(arguments: [true, false])
  func powerFailures(isChild: Bool) throws {
    let scratch = try Scratch(memory: true)
    let (path, initial) =
      isChild
      ? try patternedChild(scratch) : (try scratch.vhd(byteCount: 4 << 20) { $0.blockByteCount = 1 << 20 }, [:])
    try CrashWorkload(path, steps: 200, seed: 4, initial: initial, blocks: 4).loseWhatIsVolatile(scratch)
  }

  /// A footer that can't be written, and everything after it, is an error of the flush and of every write that follows.
  @Test func failedFlushEndsAllWrites() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhd(byteCount: 4 << 20) { $0.blockByteCount = 1 << 20 }
    for failing in 3...7 {
      let recorder = CrashRecorder()
      var options = DiskImage.Options()
      options.observer = recorder
      let image = try DiskImage.open(path, options: options)
      let queue = try TestQueue(image)
      let before = recorder.count
      #expect(queue.write([UInt8](repeating: 1, count: 512), UInt64(failing - 3) << 19) == nil)
      let allocated = recorder.count
      recorder.fail(max(allocated + 1, before + failing), .EIO)
      let flushed = queue.range(.flush).error
      if flushed != nil { #expect(queue.write([1], 0) != nil && queue.range(.flush).error != nil) }
      queue.queue.close()
      try? image.close()
      #expect(try VHDCheck.findings(path).filter { $0.code == "vhd.bat" }.isEmpty)
    }
  }

  /// A resize that ends anywhere leaves the old size or the new one, and the contents.
  @Test(arguments: [
    (false, UInt64(3 << 20 + 512)), (false, 4 << 20), (false, 900 << 20), (true, 4 << 20), (true, 2 << 20),
  ])
  func resizesAtEveryPoint(isFixed: Bool, byteCount: UInt64) throws {
    let scratch = try Scratch(memory: true)
    let old: UInt64 = 3 << 20
    let path = try scratch.vhd(byteCount: old) { $0.isFixed = isFixed }
    let places: [UInt64] = [0, 1 << 20, 2 << 20 - 4096]
    let image = try DiskImage.open(path)
    let queue = try TestQueue(image)
    for place in places { #expect(queue.write(CrashWorkload.bytes(UInt32(place + 1), 8), place) == nil) }
    queue.queue.close()
    try image.close()
    var file = try PageFile(path)
    let recorder = CrashRecorder()
    try VHDResize.run(
      ImageFile(path: path, file: try OwnedDescriptor.open(path, flags: 2), observer: recorder), to: byteCount,
      mayShrink: true)
    #expect(recorder.count >= 4)
    let copy = scratch.directory + "/cut.vhd"
    for cut in 0...recorder.count {
      if cut > 0 { file.apply(recorder.all[cut - 1]) }
      try file.write(to: copy)
      let image = try DiskImage.open(copy)
      #expect([old, byteCount].contains(image.info.byteCount), "cut \(cut)")
      if cut == recorder.count { #expect(image.info.byteCount == byteCount) }
      let queue = try TestQueue(image)
      for place in places {
        #expect(queue.read(place, 4096).0 == CrashWorkload.bytes(UInt32(place + 1), 8), "cut \(cut)")
      }
      queue.queue.close()
      try image.close()
    }
    #expect(try VHDCheck.findings(path).isEmpty)
  }

  /// A child of four blocks above a parent whose sectors bear stamps.
  private func patternedChild(_ scratch: Scratch) throws -> (path: String, initial: [Int: UInt32]) {
    let base = try scratch.vhd("base.vhd", byteCount: 4 << 20)
    var initial: [Int: UInt32] = [:]
    let image = try DiskImage.open(base)
    do {
      let queue = try TestQueue(image)
      for block in 0..<4 where block != 2 {
        let start = block * CrashWorkload.blockSectorCount
        #expect(
          queue.write(
            CrashWorkload.bytes(1_000_000 + UInt32(block), CrashWorkload.blockSectorCount), UInt64(start) * 512) == nil)
        for sector in start..<(start + CrashWorkload.blockSectorCount) { initial[sector] = 1_000_000 + UInt32(block) }
      }
      queue.queue.close()
    }
    try image.close()
    return (try scratch.vhdChild(of: base, byteCount: 4 << 20) { $0.blockByteCount = 1 << 20 }, initial)
  }
}
