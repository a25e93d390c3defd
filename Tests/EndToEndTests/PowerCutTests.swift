import Foundation
import Synchronization
import Testing

extension EndToEnd {
  /// What was fsynced survives a power cut.
  ///
  /// The volatile cache that loses its content is the page cache of a loop device, whose backing file is the medium: with
  /// `--cache buffered` Synthgate writes into the cache, and only a flush that travels the whole chain (or the kernel's
  /// own write-back, in any order) brings it into the backing file. A cut stops the gateway, so that nothing new is
  /// issued, and copies the backing file, which never saw what is only in the cache. A gateway that acknowledges a
  /// flush without one leaves the data in the cache for half a minute, and the copy lacks it.
  @Suite(.serialized) struct PowerCut {
    @Test func fsyncedFilesSurvive() throws {
      try Scratch.with { scratch in
        let medium = try Image.plain(scratch.file("medium.img"), type: "ext4", mebibytes: 64)
        try Image.withLoop(medium, readOnly: false) { device in
          let result = try scratch.synthgate("mount", device, scratch.mountPoint, "--cache", "buffered")
          #expect(result.code == 0, "\(result.error)")
          let gateway = try scratch.gatewayProcess()
          let journal = FsyncJournal(directory: scratch.mountPoint)
          journal.start()
          defer {
            kill(gateway, SIGCONT)
            journal.stop()
          }
          var generator = Generator(state: 2024)
          let count = Program.isLong ? 1000 : 100
          var replayed = 0
          for _ in 0..<count {
            usleep(UInt32(1000 + generator.below(40_000)))
            let promised = journal.acknowledged
            kill(gateway, SIGSTOP)
            try must("cp", "--sparse=always", medium.image, scratch.file("cut.img"))
            kill(gateway, SIGCONT)
            replayed += try verify(scratch, promised)
            #expect(journal.failure == nil)
          }
          journal.stop()
          let last = journal.acknowledged
          #expect(last.records > count && last.replacements > count, "the writer hardly wrote: \(last)")
          print("\(count) power cuts, \(replayed) with a journal to replay, after \(last)")
          try scratch.synthgateMustUnmount()
        }
        try Image.check(medium, type: "ext4")
      }
    }

    /// The method itself can fail: a write without fsync is lost by the cut.
    @Test func theCutLosesWhatWasNotFlushed() throws {
      try Scratch.with { scratch in
        try Image.sparse(scratch.file("medium.img"), mebibytes: 16)
        let medium = Extent(image: scratch.file("medium.img"), offset: 0, size: 16 << 20)
        try Image.withLoop(medium, readOnly: false) { device in
          let result = try scratch.synthgate(
            "mount", device, scratch.mountPoint, "--cache", "buffered", "--filesystem", "none")
          #expect(result.code == 0, "\(result.error)")
          let write = #"dd if=/dev/urandom of="$1/whole" bs=64k count=1 oflag=direct conv=notrunc status=none "#
          try shell(write, scratch.mountPoint)
          let zero = try shell(#"cmp --bytes=65536 "$1" /dev/zero && echo lost"#, medium.image)
          #expect(zero == "lost\n", "an unflushed write is on the medium; the cut would prove nothing")
          try shell(#"sync "$1/whole""#, scratch.mountPoint)
          try must("cmp", "--bytes=65536", medium.image, scratch.mountPoint + "/whole")
          try scratch.synthgateMustUnmount()
        }
      }
    }

    /// Mounts the copy by the kernel and compares it with the promises. Answers 1 when a journal had to be replayed.
    private func verify(_ scratch: Scratch, _ promised: FsyncJournal.Acknowledged) throws -> Int {
      let cut = Extent(image: scratch.file("cut.img"), offset: 0, size: 64 << 20)
      let state = try Image.withLoop(cut, readOnly: true) { device in
        try must("dumpe2fs", "-h", device)
      }
      try Image.withNativeMount(cut, type: "ext4", at: scratch.nativePoint) {
        let log = FileManager.default.contents(atPath: scratch.nativePoint + "/log") ?? Data()
        #expect(FsyncJournal.validRecords(log) >= promised.records)
        let file = FileManager.default.contents(atPath: scratch.nativePoint + "/file") ?? Data()
        let version = FsyncJournal.version(of: file)
        #expect(promised.replacements == 0 || version != nil, "a replaced file is torn")
        #expect(version ?? 0 >= promised.replacements)
      }
      try Image.check(cut, type: "ext4")
      return state.contains("needs_recovery") ? 1 : 0
    }
  }
}

/// A thread that appends to one file and replaces another one, and keeps count of what was fsynced.
final class FsyncJournal: Sendable {
  struct Acknowledged: CustomStringConvertible {
    /// Records at the start of `log` that are there for good.
    var records = 0
    /// The version of `file` that is there for good, or a later one.
    var replacements = 0
    var description: String { "\(records) records and \(replacements) replaced files" }
  }

  private struct State {
    var acknowledged = Acknowledged()
    var isStopping = false
    var hasEnded = false
    var failure: String?
  }

  private static let recordByteCount = 700
  private let directory: String
  private let state = Mutex(State())

  init(directory: String) {
    self.directory = directory
  }

  var acknowledged: Acknowledged { state.withLock { $0.acknowledged } }
  var failure: String? { state.withLock { $0.failure } }

  func start() {
    Thread.detachNewThread { [self] in
      do { try write() } catch { state.withLock { $0.failure = "\(error)" } }
      state.withLock { $0.hasEnded = true }
    }
  }

  func stop() {
    state.withLock { $0.isStopping = true }
    while !state.withLock({ $0.hasEnded }) { usleep(1000) }
  }

  private func write() throws {
    let log = open(directory + "/log", O_CREAT | O_WRONLY | O_APPEND, 0o600)
    let folder = open(directory, O_RDONLY | O_DIRECTORY)
    guard log >= 0, folder >= 0, fsync(folder) == 0 else { throw CommandFailure(description: "open: errno \(errno)") }
    defer {
      close(log)
      close(folder)
    }
    var number = 0
    while !state.withLock({ $0.isStopping }) {
      // The log starts anew before the disk is full: then nothing of it is promised until the next fsync.
      if number % 30_000 == 29_999 {
        state.withLock { $0.acknowledged.records = 0 }
        guard ftruncate(log, 0) == 0 else { throw CommandFailure(description: "truncate: errno \(errno)") }
      }
      number += 1
      try append(Self.content(of: number % 30_000, count: Self.recordByteCount), to: log)
      state.withLock { $0.acknowledged.records += 1 }
      try replaceFile(version: number, folder: folder)
      state.withLock { $0.acknowledged.replacements = number }
    }
  }

  private func replaceFile(version: Int, folder: Int32) throws {
    let file = open(directory + "/new", O_CREAT | O_WRONLY | O_TRUNC, 0o600)
    guard file >= 0 else { throw CommandFailure(description: "open: errno \(errno)") }
    defer { close(file) }
    try append(Self.content(of: version, count: 1000 + version % 20_000), to: file)
    guard rename(directory + "/new", directory + "/file") == 0, fsync(folder) == 0 else {
      throw CommandFailure(description: "rename: errno \(errno)")
    }
  }

  private func append(_ data: Data, to file: Int32) throws {
    let count = data.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    guard count == data.count, fsync(file) == 0 else { throw CommandFailure(description: "write: errno \(errno)") }
  }

  /// A number, and bytes that follow from it.
  private static func content(of number: Int, count: Int) -> Data {
    var generator = Generator(state: UInt64(number))
    return withUnsafeBytes(of: UInt64(number).littleEndian) { Data($0) } + generator.data(count - 8)
  }

  /// How many records at the start of the log are as they were written, one after the other.
  static func validRecords(_ log: Data) -> Int {
    var count = 0
    while (count + 1) * recordByteCount <= log.count {
      let record = log.subdata(in: count * recordByteCount..<(count + 1) * recordByteCount)
      let number = record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
      guard record == content(of: Int(number & 0xffff_ffff), count: recordByteCount) else { break }
      count += 1
    }
    return count
  }

  /// The version of a replaced file; nil when it is torn.
  static func version(of file: Data) -> Int? {
    guard file.count >= 8 else { return nil }
    let number = Int(file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } & 0xffff_ffff)
    return file == content(of: number, count: 1000 + number % 20_000) ? number : nil
  }
}
