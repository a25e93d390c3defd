import Block
@testable import DiskImage
import LinuxIO
import NBDSupport
import SharedMemory
import TestVectors
import Testing

/// Servers that break the protocol under a disk: every request ends, in bounded time, and the server is not asked without a
/// pause.
@Suite(.serialized) struct NBDHostileTests {
  /// Submits requests of all kinds and waits for their ends; answers how many there were, and how many without an error.
  private func drive(_ image: NBDImage, rounds: Int, seed: UInt64) throws -> (ended: Int, succeeded: Int) {
    let deep = try DeepQueue(image, depth: 16, byteCount: 8192)
    var tables = ScatterTables(count: 16)
    var random = SeededGenerator(seed: seed)
    var ended = 0
    var succeeded = 0
    for _ in 0..<rounds {
      while let tag = deep.takeTag() {
        let operation = BlockOperation.allCases[random.number(0...BlockOperation.allCases.count - 1)]
        let isTransfer = operation == .read || operation == .write
        deep.queue.submit(
          BlockRequest(
            operation, tag: tag, offset: UInt64(random.number(0...64)) * 8192, byteCount: 8192,
            memory: isTransfer ? tables.list(of: deep.room(tag), slot: Int(tag)) : nil))
      }
      while deep.freeCount < 16 {
        let ends = deep.await()
        try #require(!ends.isEmpty, "a request does not end")
        for end in ends {
          deep.release(end.tag)
          ended += 1
          if end.error == nil { succeeded += 1 }
        }
      }
    }
    deep.queue.close()
    return (ended, succeeded)
  }

  /// Sometimes right, sometimes an error, garbage, a wrong cookie, a wrong length, an end, or nothing.
  @Test(arguments: 0..<4) func mixture(seed: Int) throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    var options = bench.options()
    options.reconnectSeconds = 1
    options.answerMilliseconds = 100
    let image = try bench.open(options)
    server.setScript { script in
      script.response = { request in
        var random = SeededGenerator(seed: UInt64(seed * 100_000 + request.number))
        switch random.number(0...19) {
        case 0: return .end
        case 1: return .carryOutAndEnd
        case 2: return .bytes(random.bytes(random.number(0...100)))
        case 3: return .bytes(ScriptedServer.simple(request.cookie ^ 1 << 40, 0))
        case 4:
          return .bytes(
            ScriptedServer.chunk(
              request.cookie, type: UInt16(random.number(0...6)), isLast: random.bool(),
              random.bytes(random.number(0...30))))
        case 5: return .error(UInt32(random.number(0...200)))
        case 6: return seed == 0 ? .silence : .proper
        default: return .proper
        }
      }
    }
    let (ended, succeeded) = try drive(image, rounds: 4, seed: UInt64(seed))
    #expect(ended == 64 && succeeded > 0)
    try? image.close()
  }

  /// One that takes everything and answers nothing but garbage: errors after the time that was asked for.
  @Test func nothingButGarbage() throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    var options = bench.options()
    options.reconnectSeconds = 1
    let image = try bench.open(options)
    server.setScript { script in script.response = { _ in .bytes([UInt8](repeating: 0x77, count: 40)) } }
    let start = monotonicNanoseconds()
    let (ended, succeeded) = try drive(image, rounds: 1, seed: 1)
    #expect(ended == 16 && succeeded == 0)
    #expect(monotonicNanoseconds() - start < 5_000_000_000)
    #expect(server.connectionCount < 12, "it is asked again and again without a pause")
    try? image.close()
  }

  /// Extents longer than the disk, and of length zero.
  @Test(arguments: [UInt32.max, 0, 1]) func extents(length: UInt32) throws {
    let bench = try NBDBench()
    let server = try ScriptedServer(at: bench.socket)
    defer { server.stop() }
    server.setScript { script in
      script.response = { request in
        .bytes(
          ScriptedServer.chunk(
            request.cookie, type: 5, isLast: true, bigEndian(UInt32(1)) + bigEndian(length) + bigEndian(UInt32(3))))
      }
    }
    let queue = try TestQueue(try bench.open())
    let extent = try #require(queue.range(.extent, 8192, 4096).extent)
    #expect(extent.byteCount > 0 && extent.byteCount <= 4096 && extent.isAllocated == (length == 0))
    queue.queue.close()
  }
}
