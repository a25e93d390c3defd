import ArgumentParser
import FUSEBridge
import LinuxIO
import SharedMemory

/// The limit of what FUSE serves here: a file whose reads and writes are answered at once, without any disk behind.
struct ServeNull: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve-null",
    abstract: "Serve DIR/whole by FUSE, answering every read and write at once from memory, until a signal.")

  @Argument(help: "Directory to mount at.")
  var directory: String

  @Option(help: "Length of the file in bytes.")
  var size: UInt64 = 2 << 30

  @Option(help: "Threads; without it one per processor, at most 4.")
  var workers: Int?

  @Option(help: "Microseconds for which a thread looks for more before it sleeps.")
  var spin: UInt64 = 20

  func run() throws {
    let signals = try SignalQueue(endSignals)
    let mount = try FUSEMount(at: directory, source: "null")
    let ended = try EventFD()
    let threads = try (0..<(workers ?? min(4, Machine.processorCount))).map { index in
      return try WorkerThread(name: "null-\(index)") { [size, spin] in
        do {
          try NullWorker(mount, size: size, spinNanoseconds: spin * 1000).run()
          ended.signal()
        } catch {
          writeError("benchmark serve-null: \(error)")
          endProcess(1)
        }
      }
    }
    _ = waitForInput([signals.descriptor, ended.descriptor], milliseconds: -1)
    mount.unmount()
    for thread in threads { thread.join() }
  }
}

/// One thread of the null server.
private struct NullWorker {
  let channel: FUSEChannel
  let memory: MemoryRegion
  let requestArea: MemorySlice
  let zeroes: MemorySlice
  let waiting: Epoll
  let size: UInt64
  let spinNanoseconds: UInt64

  init(_ mount: FUSEMount, size: UInt64, spinNanoseconds: UInt64) throws {
    channel = try mount.makeChannel(slotCount: 1)
    // As in DiskFS, a page in front ends with the header, so that a payload begins on a page.
    memory = try MemoryRegion(anonymous: pageByteCount + 2 * mount.transferByteCount)
    requestArea = memory.slice.slice(
      at: pageByteCount - FUSEChannel.headerByteCount, count: FUSEChannel.headerByteCount + mount.transferByteCount)
    zeroes = memory.slice.dropFirst(pageByteCount + mount.transferByteCount)
    zeroes.fill()
    waiting = try Epoll()
    try waiting.add(channel.descriptor, token: 0, exclusive: true)
    self.size = size
    self.spinNanoseconds = spinNanoseconds
  }

  func run() {
    // Spins only while that has lately paid, so that the server sleeps when it is idle.
    var credit = 4
    while true {
      switch channel.receive(into: requestArea) {
      case .request(let operation, let reply): answer(operation, reply)
      case .handled: break
      case .ended: return
      case .empty:
        if credit > 0, spinNanoseconds > 0 {
          let end = monotonicNanoseconds() + spinNanoseconds
          var paid = false
          while !paid, monotonicNanoseconds() < end {
            switch channel.receive(into: requestArea) {
            case .request(let operation, let reply):
              answer(operation, reply)
              paid = true
            case .handled: break
            case .empty: break
            case .ended: return
            }
          }
          credit = paid ? min(8, credit + 1) : credit - 2
          if paid { continue }
        }
        if waiting.wait(milliseconds: -1) > 0, credit <= 0 { credit += 1 }
      }
    }
  }

  private func answer(_ operation: FUSEOperation, _ reply: consuming FUSEReply) {
    switch operation {
    case .read(_, let offset, let byteCount):
      let left = offset < size ? size - offset : 0
      reply.succeed(data: zeroes.slice(at: 0, count: Int(min(left, UInt64(byteCount)))))
    case .write(_, _, let payload, _): reply.succeed(writtenByteCount: payload.byteCount)
    case .lookUp(_, "whole"): reply.succeed(entry: attributes(2))
    case .lookUp: reply.fail(.ENOENT)
    case .attributes(let node), .changeAttributes(let node, _): reply.succeed(attributes: attributes(node))
    case .open: reply.succeed(opening: [.directIO, .parallelDirectWrites])
    case .readDirectory(_, let cookie, let byteCount):
      reply.succeed(entries: [FUSEDirectoryEntry(name: "whole", node: 2)], cookie: cookie, byteCount: byteCount)
    case .synchronize, .allocate: reply.succeed()
    case .statistics:
      reply.succeed(statistics: FUSEStatistics(blockByteCount: 4096, blockCount: size / 4096, fileCount: 1))
    case .changeNames, .seek: reply.fail(.EPERM)
    }
  }

  private func attributes(_ node: UInt64) -> FUSEAttributes {
    node == FUSEOperation.rootNode
      ? FUSEAttributes(node: node, isDirectory: true, permissions: 0o755, byteCount: 0)
      : FUSEAttributes(node: node, isDirectory: false, permissions: 0o644, byteCount: size)
  }
}
