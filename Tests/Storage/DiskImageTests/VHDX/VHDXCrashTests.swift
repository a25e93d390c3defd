import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import Testing

/// Crashes at every point of a workload: the image opens, what was flushed is there, everything else is old or new.
@Suite(.serialized) struct VHDXCrashTests {
  @Test(arguments: [UInt64(1), 2])
  func everyPrefixOfTheChanges(seed: UInt64) throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 6 << 20)
    try cutEverywhere(scratch, CrashWorkload(path, steps: 260, seed: seed, blocks: 6))
  }

  @Test func everyPrefixOfTheChangesOfAChild() throws {
    let scratch = try Scratch(memory: true)
    let (path, initial) = try patternedChild(scratch)
    try cutEverywhere(scratch, CrashWorkload(path, steps: 260, seed: 3, initial: initial, blocks: 4))
  }

  /// Of what was not synchronized any part may be lost, also the first half of a write.
  @Test(arguments: [true, false])
  func powerFailures(isChild: Bool) throws {
    let scratch = try Scratch(memory: true)
    let (path, initial) = isChild ? try patternedChild(scratch) : (try scratch.vhdx(byteCount: 4 << 20), [:])
    let work = try CrashWorkload(path, steps: 200, seed: 4, initial: initial, blocks: 4)
    var random = Generator(state: 9)
    let changes = work.recorder.all
    var durable = work.before
    var durableCount = 0
    for cut in 0...changes.count {
      // What is durable: everything before the begin of the last synchronization that has ended.
      if cut > 0, changes[cut - 1] == .synchronizeEnd,
        let begin = changes[..<(cut - 1)].lastIndex(of: .synchronizeBegin)
      {
        for change in changes[durableCount..<max(durableCount, begin)] { durable.apply(change) }
        durableCount = max(durableCount, begin)
      }
      // The file grows and takes its bitmap with the first changes: these are looked at more often.
      for _ in 0..<(cut < 60 ? 4 : Int.random(in: 0...1, using: &random)) {
        var file = durable
        for change in changes[durableCount..<cut] { lose(change, &file, &random) }
        let copy = scratch.directory + "/cut.vhdx"
        try file.write(to: copy)
        try work.check(copy, cut: cut)
      }
    }
  }

  /// Makes a change, or a part of it, or nothing.
  private func lose(_ change: FileChange, _ file: inout PageFile, _ random: inout Generator) {
    if case .write(_, _, isDurable: true) = change { return file.apply(change) }
    switch Int.random(in: 0..<8, using: &random) {
    case 0..<3: return
    case 3: if let torn = tear(change, &random) { file.apply(torn) }
    default: file.apply(change)
    }
  }

  /// A replay that is interrupted after each change is done again.
  @Test func replayIsRepeated() throws {
    let scratch = try Scratch(memory: true)
    let path = try scratch.vhdx(byteCount: 4 << 20)
    let work = try CrashWorkload(path, steps: 60, seed: 5, blocks: 4)
    let changes = work.recorder.all
    var file = work.before
    var replayed = 0
    for (index, change) in changes.enumerated() {
      file.apply(change)
      guard index % 23 == 22 else { continue }
      let copy = scratch.directory + "/cut.vhdx"
      try file.write(to: copy)
      let recorder = CrashRecorder()
      try DiskImage.open(copy, options: vhdxOptions(observer: recorder)).close()
      for cut in 0..<recorder.count {
        var half = file
        for change in recorder.all[..<cut] { half.apply(change) }
        try half.write(to: copy)
        try work.check(copy, cut: index + 1)
        replayed += 1
      }
    }
    #expect(replayed > 20)
  }

  private func tear(_ change: FileChange, _ random: inout Generator) -> FileChange? {
    guard case .write(let offset, let bytes, _) = change, bytes.count > 512 else { return nil }
    let count = Int.random(in: 1..<(bytes.count / 512), using: &random) * 512
    return Bool.random(using: &random)
      ? .write(offset: offset, bytes: Array(bytes[..<count]))
      : .write(offset: offset + UInt64(count), bytes: Array(bytes[count...]))
  }

  private func cutEverywhere(_ scratch: Scratch, _ work: CrashWorkload) throws {
    var file = work.before
    let changes = work.recorder.all
    #expect(changes.count >= 340)
    let copy = scratch.directory + "/cut.vhdx"
    for cut in 0...changes.count {
      if cut > 0 { file.apply(changes[cut - 1]) }
      try file.write(to: copy)
      try work.check(copy, cut: cut)
    }
  }

  /// A child of four blocks above a parent whose sectors bear stamps.
  private func patternedChild(_ scratch: Scratch) throws -> (path: String, initial: [Int: UInt32]) {
    let base = try scratch.vhdx("base.vhdx", byteCount: 4 << 20)
    var initial: [Int: UInt32] = [:]
    let image = try DiskImage.open(base, options: vhdxOptions())
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
    return (try scratch.child(of: base, byteCount: 4 << 20), initial)
  }
}
