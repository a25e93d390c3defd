import Block
import CLinux
@testable import DiskImage
import LinuxIO
import SharedMemory
import Testing

/// A directory of its own, which is gone with this object.
final class Scratch {
  let directory: String

  /// - Parameter memory: whether its files are in memory, where many can be made fast.
  init(memory: Bool = false) throws {
    directory = try run("/bin/mktemp", "-d", "\(memory ? "/dev/shm" : "/tmp")/synthgate-image.XXXXXX")
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
  let process = try ProcessHandle.start(arguments, output: pipe.writer.number, error: pipe.writer.number)
  var output: [UInt8] = []
  while true {
    // What is there is read first, so that the end of the process means the end of its output.
    let ready = waitForInput([pipe.reader.number, process.descriptor], milliseconds: 60_000)
    guard ready & 1 != 0 else { break }
    output += try readAvailable(pipe.reader.number)
  }
  let text = String(decoding: output, as: UTF8.self)
  guard process.exitCode() == 0 else { throw ProgramFailure(arguments: arguments, output: text) }
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// A queue that is used one request after the other, waiting on its descriptor as a worker would.
final class TestQueue {
  let queue: any BlockQueue
  let memory: MemorySlice
  private let epoll: Epoll
  private var table = ScatterTable(capacity: 64)

  init(_ image: any OpenedImage, depth: Int = 4, memoryByteCount: Int = 4 << 20, usesRing: Bool = true) throws {
    if usesRing {
      queue = try image.makeQueue(depth: depth)
    } else if let raw = image as? RawImage {
      queue = try RawImageQueue(image: raw, depth: depth, usesRing: false)
    } else {
      queue = try MappedQueue(image: image as! MappedImage, depth: depth, usesRing: false)
    }
    memory = try image.allocateMemory(byteCount: memoryByteCount)
    epoll = try Epoll()
    try epoll.add(queue.readinessDescriptor, token: 1)
  }

  func perform(_ request: BlockRequest) -> BlockCompletion? {
    queue.submit(request)
    queue.flushSubmissions()
    var found: BlockCompletion?
    for _ in 0..<100 {
      // No completion may be had without telling before a worker sleeps.
      // A wait that ends with nothing was interrupted, which io_uring does to post its completions.
      guard queue.prepareToWait() || epoll.wait(milliseconds: 500) > 0 else { continue }
      queue.reap { found = $0 }
      if found != nil { break }
    }
    return found
  }

  /// Reads into the memory from `at` on, as one piece.
  func read(_ offset: UInt64, _ count: Int, at start: Int = 0) -> ([UInt8], BlockError?) {
    let target = memory.slice(at: start, count: count)
    target.fill(0xee)
    let end = perform(
      BlockRequest(
        .read, tag: 0, offset: offset, byteCount: UInt64(count), memory: list(target)))
    return (target.bytes(), end == nil ? .timedOut : end?.error)
  }

  func write(
    _ bytes: [UInt8], _ offset: UInt64, at start: Int = 0, flags: BlockRequest.Flags = []
  ) -> BlockError? {
    let source = memory.slice(at: start, count: bytes.count)
    source.copyIn(bytes.span.bytes)
    let end = perform(
      BlockRequest(
        .write, tag: 1, offset: offset, byteCount: UInt64(bytes.count), memory: list(source),
        flags: flags))
    return end == nil ? .timedOut : end?.error
  }

  func range(
    _ operation: BlockOperation, _ offset: UInt64 = 0, _ byteCount: UInt64 = 0, flags: BlockRequest.Flags = []
  ) -> BlockCompletion {
    perform(BlockRequest(operation, tag: 2, offset: offset, byteCount: byteCount, flags: flags))
      ?? BlockCompletion(tag: 2, error: .timedOut)
  }

  private func list(_ slice: MemorySlice) -> ScatterList {
    table.removeAll()
    _ = table.append(slice)
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
