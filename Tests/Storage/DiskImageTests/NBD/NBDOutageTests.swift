import Block
@testable import DiskImage
import LinuxIO
import NBDSupport
import SharedMemory
import Synchronization
import Testing

/// Servers that go, and come back or not.
@Suite(.serialized) struct NBDOutageTests {
  private func filled(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

  @Test func requestsInFlightAreRepeated() throws {
    let bench = try NBDBench()
    let path = try bench.scratch.file(byteCount: 1 << 20)
    try run("/usr/bin/qemu-io", "-f", "raw", "-c", "write -P 0x11 0 1M", path)
    let server = try bench.nbdkit("--filter=delay", "file", path, "delay-read=500ms", "delay-write=500ms")
    let disk = try bench.open()
    let deep = try DeepQueue(disk, depth: 8, byteCount: 4096)
    var table = ScatterTable(capacity: 1)
    for _ in 0..<3 {
      let tag = try #require(deep.takeTag())
      _ = table.append(deep.room(tag))
      deep.queue.submit(BlockRequest(.read, tag: tag, offset: 4096, byteCount: 4096, memory: table.list))
      table = ScatterTable(capacity: 1)
    }
    deep.queue.flushSubmissions()
    #expect(deep.queue.reap { _ in } == 0)
    server.kill()
    sleepThread(nanoseconds: 300_000_000)
    #expect(deep.queue.reap { _ in } == 0 && bench.lines.count(of: "is gone") == 1)
    try server.start()
    defer { server.kill() }
    var ends: [BlockCompletion] = []
    while ends.count < 3 {
      let more = deep.await()
      if more.isEmpty { break }
      ends += more
    }
    #expect(ends.count == 3 && ends.allSatisfy { $0.error == nil })
    for tag in 0..<UInt32(3) { #expect(deep.room(tag).bytes().allSatisfy { $0 == 0x11 }) }
    #expect(bench.lines.count(of: "is back") == 1 && bench.lines.count(of: "may be lost") == 0)
    deep.queue.close()
    try disk.close()
  }

  /// What was acknowledged but not flushed may have died with the server: the next flush says so, once.
  @Test func nextFlushFailsOnce() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("file", try bench.scratch.file(byteCount: 1 << 20))
    defer { server.kill() }
    let disk = try bench.open(bench.options(connections: 1))
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 0) == nil)
    #expect(queue.range(.flush).error == nil)
    // All is flushed, or durable by itself: nothing is lost.
    #expect(queue.write(filled(1, 512), 512, flags: .forceUnitAccess) == nil)
    server.kill()
    try server.start()
    #expect(queue.range(.flush).error == nil && bench.lines.count(of: "may be lost") == 0)
    #expect(queue.write(filled(1, 512), 0) == nil)
    server.kill()
    try server.start()
    #expect(queue.read(0, 512).1 == nil && bench.lines.count(of: "not flushed") == 1)
    #expect(queue.range(.flush).error == .medium)
    #expect(queue.range(.flush).error == nil)
    #expect(queue.write(filled(1, 512), 0) == nil && queue.range(.flush).error == nil)
    queue.queue.close()
    try disk.close()
  }

  /// A connection over which nothing was written is no loss, whenever its end is noticed.
  @Test func spareConnectionThatHasEnded() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("file", try bench.scratch.file(byteCount: 1 << 20))
    defer { server.kill() }
    let disk = try bench.open(bench.options(connections: 2))
    let queue = try TestQueue(disk)
    server.kill()
    try server.start()
    #expect(queue.read(0, 512).1 == nil && queue.write(filled(1, 512), 0) == nil)
    let other = try TestQueue(disk)
    #expect(other.read(0, 512).0 == filled(1, 512))
    #expect(bench.lines.count(of: "is gone") == 2 && bench.lines.count(of: "may be lost") == 0)
    #expect(queue.range(.flush).error == nil && other.range(.flush).error == nil)
    // One that was given back after a write is.
    #expect(other.write(filled(2, 512), 0) == nil)
    other.queue.close()
    server.kill()
    try server.start()
    let third = try TestQueue(disk)
    #expect(third.read(0, 512).1 == nil && bench.lines.count(of: "may be lost") == 1)
    #expect(third.range(.flush).error == .medium && queue.range(.flush).error == nil)
    for queue in [queue, third] { queue.queue.close() }
    try disk.close()
  }

  /// A flush that was under way when the server died fails, too: it can't know what its predecessor had done.
  @Test func flushInFlightFails() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    server.setScript { $0.response = { $0.number == 1 ? .end : .proper } }
    let disk = try bench.open()
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 0) == nil)
    #expect(queue.range(.flush).error == .medium)
    #expect(queue.range(.flush).error == nil)
    queue.queue.close()
  }

  /// A write that was carried out, but whose answer was lost, is written once more.
  @Test func writesAreRepeated() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    server.setScript { $0.response = { $0.number % 3 == 0 ? .carryOutAndEnd : .proper } }
    let disk = try bench.open()
    let queue = try TestQueue(disk)
    for index in 0..<6 { #expect(queue.write(filled(UInt8(index + 1), 4096), UInt64(index * 4096)) == nil) }
    for index in 0..<6 { #expect(queue.read(UInt64(index * 4096), 4096).0 == filled(UInt8(index + 1), 4096)) }
    #expect(server.connectionCount > 3)
    queue.queue.close()
  }

  @Test func serverThatIsShuttingDown() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    server.setScript { $0.response = { $0.number == 0 ? .error(108) : .proper } }
    let queue = try TestQueue(try bench.open())
    #expect(queue.write(filled(1, 512), 0) == nil)
    #expect(bench.lines.count(of: "shutting down") == 1 && bench.lines.count(of: "is back") == 1)
    queue.queue.close()
  }

  @Test(arguments: ["size", "lost", "read-only"]) func exportThatHasChanged(how: String) throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    let disk = try bench.open()
    let queue = try TestQueue(disk)
    server.setScript {
      $0.response = { _ in .end }
      switch how {
      case "size": $0.byteCount = 1 << 19
      case "lost": $0.flags &= ~4
      default: $0.flags |= 2
      }
    }
    #expect(queue.read(0, 512).1 == .gone && queue.read(0, 512).1 == .gone)
    #expect(queue.range(.flush).error == .gone)
    #expect(bench.lines.count(of: "the export has changed") == 1)
    queue.queue.close()
  }

  /// After the time that was asked for requests fail, until the server is back after all.
  @Test func outageThatLasts() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("file", try bench.scratch.file(byteCount: 1 << 20))
    defer { server.kill() }
    var options = bench.options()
    options.reconnectSeconds = 1
    let disk = try bench.open(options)
    let queue = try TestQueue(disk)
    server.kill()
    let start = monotonicNanoseconds()
    #expect(queue.read(0, 512).1 == .failed)
    let waited = Double(monotonicNanoseconds() - start) / 1e9
    #expect(waited > 0.9 && waited < 3, "\(waited) s")
    #expect(queue.read(0, 512).1 == .failed, "and the next ones at once")
    #expect(Double(monotonicNanoseconds() - start) / 1e9 < 4)
    try server.start()
    #expect(succeedsSoon(queue))
    queue.queue.close()
  }

  /// Whether reads succeed again within fifteen seconds.
  private func succeedsSoon(_ queue: TestQueue) -> Bool {
    let end = monotonicNanoseconds() + 15_000_000_000
    while queue.read(0, 512).1 != nil {
      if monotonicNanoseconds() > end { return false }
      sleepThread(nanoseconds: 50_000_000)
    }
    return true
  }

  /// A server that takes requests and answers none: an error in bounded time.
  @Test func serverThatNeverAnswers() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    var options = bench.options()
    options.answerMilliseconds = 300
    options.reconnectSeconds = 1
    let queue = try TestQueue(try bench.open(options))
    server.setScript { $0.response = { _ in .silence } }
    let start = monotonicNanoseconds()
    #expect(queue.read(0, 512).1 == .timedOut)
    #expect(monotonicNanoseconds() - start < 5_000_000_000 && server.connectionCount >= 2)
    server.setScript { $0.response = { _ in .proper } }
    #expect(succeedsSoon(queue))
    queue.queue.close()
  }

  /// A server that goes while nothing is asked of it is noticed, and connected with again.
  @Test func idleLoss() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("file", try bench.scratch.file(byteCount: 1 << 20))
    defer { server.kill() }
    let disk = try bench.open()
    let queue = try disk.makeQueue(depth: 4)
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 0) == 0)
    server.kill()
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 5000) == 1)
    queue.reap { _ in }
    #expect(bench.lines.count(of: "is gone") == 1)
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 0) == 0, "nothing keeps a worker awake")
    try server.start()
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 5000) == 1)
    queue.reap { _ in }
    #expect(bench.lines.count(of: "is back") == 1)
    queue.close()
  }

  /// Closing in the middle of an outage neither waits for the server nor keeps silent about what was not flushed.
  @Test func closingWithoutTheServer() throws {
    let bench = try NBDBench()
    let server = try bench.nbdkit("file", try bench.scratch.file(byteCount: 1 << 20))
    let disk = try bench.open()
    let queue = try TestQueue(disk)
    #expect(queue.write(filled(1, 512), 0) == nil)
    server.kill()
    let start = monotonicNanoseconds()
    _ = waitForInput([queue.queue.readinessDescriptor], milliseconds: 5000)
    queue.queue.reap { _ in }
    queue.queue.close()
    #expect(throws: DiskImageError.self) { try disk.close() }
    #expect(bench.lines.count(of: "closed without a flush") == 1)
    #expect(monotonicNanoseconds() - start < 5_000_000_000)
  }

  /// Killed again and again under load: with durable writes the load notices nothing but pauses.
  @Test func killedUnderLoad() throws {
    let bench = try NBDBench()
    let path = try bench.scratch.file(byteCount: 16 << 20)
    let server = try bench.qemu(path, format: "raw")
    var options = bench.options()
    options.cache = .direct
    let disk = try bench.open(options)
    let isDone = Atomic<Bool>(false)
    let failures = LogLines()
    let threads = try (0..<2).map { index in
      try WorkerThread(name: "load \(index)") {
        do {
          var model = try NBDModel(disk, range: index << 23..<(index + 1) << 23, depth: 16, seed: UInt64(index))
          while !isDone.load(ordering: .relaxed) {
            if let failure = model.run(50) {
              failures.append(failure)
              break
            }
          }
          model.deep.queue.close()
        } catch { failures.append("\(error)") }
      }
    }
    for round in 0..<5 {
      sleepThread(nanoseconds: 200_000_000)
      server.kill()
      sleepThread(nanoseconds: round % 2 == 0 ? 10_000_000 : 300_000_000)
      try server.start()
    }
    sleepThread(nanoseconds: 300_000_000)
    isDone.store(true, ordering: .relaxed)
    for thread in threads { thread.join() }
    #expect(failures.all == [])
    #expect(bench.lines.count(of: "is gone") >= 5 && bench.lines.count(of: "may be lost") == 0)
    try disk.close()
    server.kill()
  }
}
