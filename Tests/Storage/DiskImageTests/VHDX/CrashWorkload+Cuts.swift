@testable import DiskImage
import Testing

/// Crashes among the changes of a workload.
extension CrashWorkload {
  /// The program dies after each change: the image opens, what was flushed is there, everything else is old or new.
  func cutEverywhere(_ scratch: Scratch, leastChanges: Int = 340) throws {
    var file = before
    let changes = recorder.all
    #expect(changes.count >= leastChanges)
    let copy = scratch.directory + "/cut"
    for cut in 0...changes.count {
      if cut > 0 { file.apply(changes[cut - 1]) }
      try file.write(to: copy)
      try check(copy, cut: cut)
    }
  }

  /// The power fails after about every other change: of what was not synchronized any part may be lost, also half a write.
  func loseWhatIsVolatile(_ scratch: Scratch) throws {
    var random = Generator(state: 9)
    let changes = recorder.all
    var durable = before
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
        let copy = scratch.directory + "/cut"
        try file.write(to: copy)
        try check(copy, cut: cut)
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

  private func tear(_ change: FileChange, _ random: inout Generator) -> FileChange? {
    guard case .write(let offset, let bytes, _) = change, bytes.count > 512 else { return nil }
    let count = Int.random(in: 1..<(bytes.count / 512), using: &random) * 512
    return Bool.random(using: &random)
      ? .write(offset: offset, bytes: Array(bytes[..<count]))
      : .write(offset: offset + UInt64(count), bytes: Array(bytes[count...]))
  }
}
