import Block
@testable import DiskImage
import LinuxIO
import NBDSupport
import SharedMemory
import Synchronization
import Testing

/// A scratch directory with an NBD server in it.
final class NBDBench {
  let scratch: Scratch
  let lines = LogLines()

  init() throws { scratch = try Scratch() }

  var socket: String { scratch.directory + "/socket" }
  var uri: String { "nbd+unix:///?socket=\(socket)" }

  func nbdkit(_ arguments: String...) throws -> NBDServer {
    try NBDServer(["nbdkit", "-f", "-U", socket] + arguments, place: socket, log: scratch.directory + "/log")
  }

  /// qemu-nbd with an image.
  func qemu(_ image: String, format: String, _ options: String...) throws -> NBDServer {
    try NBDServer(
      ["qemu-nbd", "-t", "-e", "8", "-f", format, "-k", socket] + options + [image], place: socket,
      log: scratch.directory + "/log")
  }

  func options(isReadOnly: Bool = false, connections: Int = 4) -> DiskImage.Options {
    var options = DiskImage.Options()
    options.isReadOnly = isReadOnly
    options.connectionCount = connections
    let lines = lines
    options.report = { lines.append($0) }
    return options
  }

  func open(_ options: DiskImage.Options? = nil, uri: String? = nil) throws(DiskImageError) -> NBDImage {
    try DiskImage.open(uri ?? self.uri, options: options ?? self.options()) as! NBDImage
  }

  /// The error of an opening; nil when it succeeds.
  func failure(_ options: DiskImage.Options? = nil, uri: String? = nil) -> DiskImageError? {
    do throws(DiskImageError) { _ = try open(options, uri: uri) } catch { return error }
    return nil
  }
}

/// Lines of a log, from any thread.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  func append(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
  func count(of words: String) -> Int { all.count { $0.contains(words) } }
}

/// A queue with many requests in flight, each of which moves its own memory.
final class DeepQueue {
  let queue: any BlockQueue
  let depth: Int
  let memory: MemorySlice
  let byteCount: Int
  private var free: [UInt32]

  /// - Parameter byteCount: room of each request.
  init(_ image: any OpenedImage, depth: Int, byteCount: Int) throws {
    queue = try image.makeQueue(depth: depth)
    self.depth = depth
    self.byteCount = byteCount
    memory = try image.allocateMemory(byteCount: depth * byteCount)
    free = (0..<UInt32(depth)).reversed()
  }

  func room(_ tag: UInt32) -> MemorySlice { memory.slice(at: Int(tag) * byteCount, count: byteCount) }

  var freeCount: Int { free.count }
  func takeTag() -> UInt32? { free.popLast() }
  func release(_ tag: UInt32) { free.append(tag) }

  /// Takes completions until there is one, `seconds` at most.
  func await(seconds: Int = 20) -> [BlockCompletion] {
    var found: [BlockCompletion] = []
    let end = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    queue.flushSubmissions()
    while found.isEmpty, monotonicNanoseconds() < end {
      queue.reap { found.append($0) }
      if found.isEmpty, !queue.prepareToWait() {
        _ = waitForInput([queue.readinessDescriptor], milliseconds: 1000)
      }
    }
    return found
  }
}
