import Block
import CLinux
import DiskImage
import LinuxIO
import SharedMemory
import Testing

/// A directory of its own, which is gone with this object.
final class Scratch {
  let directory: String

  init() throws {
    directory = try run("/bin/mktemp", "-d", "/tmp/synthgate-image.XXXXXX")
  }

  deinit {
    _ = try? run("/bin/rm", "-rf", directory)
  }

  /// A file of `byteCount` bytes, a hole as a whole.
  func file(_ name: String = "image", byteCount: UInt64) throws -> String {
    let path = "\(directory)/\(name)"
    let file = try OwnedDescriptor.open(path, flags: O_CREAT | O_RDWR)
    try file.truncate(to: byteCount)
    return path
  }
}

/// A loop device over a file, which is gone with this object.
final class TestLoopDevice {
  let path: String

  init(over file: String, sectorByteCount: Int) throws {
    path = try run("/usr/sbin/losetup", "-f", "--show", "-b", "\(sectorByteCount)", file)
  }

  deinit {
    _ = try? run("/usr/sbin/losetup", "-d", path)
  }
}

struct ProgramFailure: Error {
  let arguments: [String]
  let output: String
}

/// Runs a program and answers its output without the last line end.
@discardableResult
func run(_ arguments: String...) throws -> String {
  let pipe = try LinePipe()
  let copy = try pipe.writer.duplicate()
  let process = try ProcessHandle.start(arguments, output: copy.number, error: copy.number)
  close(copy.release())
  close(pipe.writer.number)
  defer { dup2(2, pipe.writer.number) }
  var output: [UInt8] = []
  while true {
    let part = try readAvailable(pipe.reader.number)
    if part.isEmpty { break }
    output += part
  }
  let text = String(decoding: output, as: UTF8.self)
  guard process.exitCode() == 0 else { throw ProgramFailure(arguments: arguments, output: text) }
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

var isRoot: Bool { geteuid() == 0 }

/// A queue that is used one request after the other, waiting on its descriptor as a worker would.
final class TestQueue {
  let queue: any BlockQueue
  let memory: MemorySlice
  private let epoll: Epoll
  private var table = ScatterTable(capacity: 64)

  init(_ image: RawImage, depth: Int = 4, memoryByteCount: Int = 4 << 20) throws {
    queue = try image.makeQueue(depth: depth)
    memory = try image.allocateMemory(byteCount: memoryByteCount)
    epoll = try Epoll()
    try epoll.add(queue.readinessDescriptor, token: 1)
  }

  func perform(_ request: BlockRequest) -> BlockCompletion? {
    queue.submit(request)
    queue.flushSubmissions()
    var found: BlockCompletion?
    for _ in 0..<100 {
      // No completion may be had without the descriptor telling: a worker sleeps on it.
      guard epoll.wait(milliseconds: 10_000) > 0 else { continue }
      queue.reap { found = $0 }
      if found != nil { break }
    }
    return found
  }

  /// Reads into the memory from `at` on, in pieces of `pieceByteCount` bytes.
  func read(_ offset: UInt64, _ count: Int, at start: Int = 0, pieceByteCount: Int = 1 << 20) -> ([UInt8], BlockError?) {
    let target = memory.slice(at: start, count: count)
    target.fill(0xee)
    let end = perform(
      BlockRequest(
        .read, tag: 0, offset: offset, byteCount: UInt64(count), memory: list(target, pieceByteCount)))
    return (target.bytes(), end == nil ? .timedOut : end?.error)
  }

  func write(
    _ bytes: [UInt8], _ offset: UInt64, at start: Int = 0, pieceByteCount: Int = 1 << 20,
    flags: BlockRequest.Flags = []
  ) -> BlockError? {
    let source = memory.slice(at: start, count: bytes.count)
    source.copyIn(bytes.span.bytes)
    let end = perform(
      BlockRequest(
        .write, tag: 1, offset: offset, byteCount: UInt64(bytes.count), memory: list(source, pieceByteCount),
        flags: flags))
    return end == nil ? .timedOut : end?.error
  }

  func range(
    _ operation: BlockOperation, _ offset: UInt64 = 0, _ byteCount: UInt64 = 0, flags: BlockRequest.Flags = []
  ) -> BlockCompletion {
    perform(BlockRequest(operation, tag: 2, offset: offset, byteCount: byteCount, flags: flags))
      ?? BlockCompletion(tag: 2, error: .timedOut)
  }

  /// The pieces of `slice`, every second one swapped by nothing: neighbours would be joined, so each goes to a table of
  /// its own order only when there is more than one piece.
  private func list(_ slice: MemorySlice, _ pieceByteCount: Int) -> ScatterList {
    table.removeAll()
    var rest = slice
    while rest.byteCount > 0 {
      let count = min(pieceByteCount, rest.byteCount)
      precondition(table.append(rest.slice(at: 0, count: count)))
      rest = rest.dropFirst(count)
    }
    return table.list
  }
}

/// Knuth's MMIX generator.
struct Generator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state >> 32) | (state << 32)
  }
}
