import Block
@testable import DiskImage
import ImageFormats
import LinuxIO
import SharedMemory
import Synchronization
import Testing

/// Several threads with queues of one image, many requests in flight on each.
@Suite(.serialized) struct VHDXConcurrencyTests {
  /// A queue with many requests in flight, each on an area of its own that nobody else writes.
  private final class Worker {
    let queue: any BlockQueue
    let memory: MemorySlice
    var tables: ScatterTables
    var areas: [[UInt32]]
    var random: Generator
    let number: Int
    /// What each request is doing: the first sector in its area, how many, and the stamp that is written.
    var doing: [(first: Int, count: Int, stamp: UInt32?)?]
    var failure: String?
    var stamp: UInt32

    static let depth = 16
    static let areaSectorCount = 96
    static let threadCount = 3

    init(_ image: any OpenedImage, number: Int) throws {
      queue = try image.makeQueue(depth: Self.depth)
      memory = try image.allocateMemory(byteCount: Self.depth * Self.areaSectorCount * 512)
      tables = ScatterTables(count: Self.depth)
      areas = Array(repeating: Array(repeating: 0, count: Self.areaSectorCount), count: Self.depth)
      doing = Array(repeating: nil, count: Self.depth)
      random = Generator(state: UInt64(number) * 77 + 1)
      self.number = number
      stamp = UInt32(number) << 24
    }

    /// Areas of all workers lie side by side, so that each block has many writers.
    func offset(_ tag: Int, _ sector: Int) -> UInt64 {
      let area = tag * Self.threadCount + number
      return UInt64((area * Self.areaSectorCount + sector) * 512)
    }

    func start(_ tag: Int) {
      let first = Int.random(in: 0..<Self.areaSectorCount, using: &random)
      let count = Int.random(in: 1...min(16, Self.areaSectorCount - first), using: &random)
      let slice = memory.slice(at: tag * Self.areaSectorCount * 512, count: count * 512)
      var request = BlockRequest(
        .read, tag: UInt32(tag), offset: offset(tag, first), byteCount: UInt64(count * 512),
        memory: tables.list(of: slice, slot: tag))
      doing[tag] = (first, count, nil)
      switch Int.random(in: 0..<24, using: &random) {
      case 0..<12:
        stamp += 1
        request.operation = .write
        if Int.random(in: 0..<16, using: &random) == 0 { request.flags = [.forceUnitAccess] }
        let bytes = CrashWorkload.bytes(stamp, count)
        slice.copyIn(bytes.span.bytes)
        doing[tag]?.stamp = stamp
      case 12, 13:
        request.operation = Bool.random(using: &random) ? .discard : .writeZeroes
        request.memory = nil
        doing[tag]?.stamp = 0
      case 14:
        request = BlockRequest(.flush, tag: UInt32(tag))
        doing[tag]?.count = 0
      default: slice.fill(0xee)
      }
      queue.submit(request)
    }

    func finish(_ completion: BlockCompletion) {
      let tag = Int(completion.tag)
      guard let what = doing[tag] else { return failure = "a request ended twice" }
      doing[tag] = nil
      if let error = completion.error { return failure = "request failed: \(error)" }
      if let stamp = what.stamp {
        for sector in what.first..<(what.first + what.count) { areas[tag][sector] = stamp }
        return
      }
      if what.count == 0 { return }
      let bytes = memory.slice(at: tag * Self.areaSectorCount * 512, count: what.count * 512).bytes()
      for index in 0..<what.count {
        let found = CrashWorkload.stamp(bytes, index)
        if found != areas[tag][what.first + index] {
          failure =
            "sector \(what.first + index) of area \(tag): \(String(describing: found)), not \(areas[tag][what.first + index])"
        }
      }
    }

    func run(_ count: Int) {
      var left = count
      var flying = 0
      while (left > 0 || flying > 0), failure == nil {
        for tag in 0..<Self.depth where doing[tag] == nil && left > 0 {
          start(tag)
          left -= 1
          flying += 1
        }
        queue.flushSubmissions()
        var ended = 0
        for _ in 0..<2000 where ended == 0 {
          if !queue.prepareToWait() {
            var poll = PollSet(capacity: 1)
            poll.append(queue.readinessDescriptor)
            _ = poll.wait(milliseconds: 10)
          }
          ended = queue.reap { self.finish($0) }
        }
        if ended == 0 { failure = "nothing ends: \(doing.filter { $0 != nil })" }
        flying -= ended
      }
      if failure == nil { queue.close() }
    }
  }

  @Test(arguments: [false, true], ["vhdx", "vhd"]) func threads(isChild: Bool, format: String) throws {
    let scratch = try Scratch()
    var path: String
    if format == "vhdx" {
      path = try scratch.vhdx("base.vhdx", byteCount: 8 << 20)
      if isChild { path = try scratch.child(of: path, byteCount: 8 << 20) }
    } else {
      path = try scratch.vhd("base.vhd", byteCount: 8 << 20) { $0.blockByteCount = 1 << 20 }
      if isChild { path = try scratch.vhdChild(of: path, byteCount: 8 << 20) { $0.blockByteCount = 1 << 20 } }
    }
    for round in 0..<2 {
      let image = try DiskImage.open(path)
      if round > 0 {
        // Everything starts as zeros.
        let queue = try TestQueue(image)
        #expect(queue.range(.discard, 0, 8 << 20).error == nil)
        queue.queue.close()
      }
      let failures = Mutex<[String]>([])
      let threads = try (0..<Worker.threadCount).map { number in
        try WorkerThread(name: "worker \(number)") {
          do {
            let worker = try Worker(image, number: number)
            worker.run(1500)
            if let failure = worker.failure { failures.withLock { $0.append(failure) } }
          } catch { failures.withLock { $0.append("\(error)") } }
        }
      }
      for thread in threads { thread.join() }
      #expect(failures.withLock { $0 } == [])
      try image.close()
    }
    if !isChild, format == "vhdx" { try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path) }
    #expect(try DiskImage.check(path).isEmpty)
  }

  /// A request that has found its place before the block was given back still finds what was there, or zeros.
  @Test func placesInUseAreNotReused() throws {
    let scratch = try Scratch(memory: true)
    let image = try DiskImage.open(try scratch.vhdx(byteCount: 16 << 20))
    let other = try TestQueue(image)
    #expect(other.write(CrashWorkload.bytes(1, 8), 0) == nil && other.range(.flush).error == nil)
    let queue = try image.makeQueue(depth: 1)
    let memory = try image.allocateMemory(byteCount: 4096)
    var table = ScatterTable(capacity: 1)
    _ = table.append(memory)
    // Looked up, but not sent.
    queue.submit(BlockRequest(.read, tag: 0, offset: 0, byteCount: 4096, memory: table.list))
    #expect(other.range(.discard, 0, 1 << 20).error == nil && other.range(.flush).error == nil)
    for block in 1..<UInt64(4) { #expect(other.write(CrashWorkload.bytes(2, 8), block << 20) == nil) }
    queue.flushSubmissions()
    var ended: BlockCompletion?
    for _ in 0..<1000 where ended == nil {
      if queue.reap({ ended = $0 }) == 0 { sleepThread(nanoseconds: 1_000_000) }
    }
    #expect(try #require(ended).error == nil && CrashWorkload.stamp(memory.bytes(), 0) == 1)
    // Now nobody uses the place any more.
    let map = try #require((image as? MappedImage)?.layers[0].map as? VHDXMap)
    let used = map.state.withLock { $0.lastUsed }
    #expect(other.write(CrashWorkload.bytes(3, 8), 5 << 20) == nil)
    #expect(map.state.withLock { $0.lastUsed } == used)
    #expect(other.read(5 << 20, 8192).0 == CrashWorkload.bytes(3, 8) + CrashWorkload.bytes(0, 8))
    queue.close()
    other.queue.close()
    try image.close()
  }

  /// Whole blocks are given back and taken again by two threads: nobody sees what belongs to the other.
  @Test func reusedSpace() throws {
    let scratch = try Scratch()
    let path = try scratch.vhdx(byteCount: 16 << 20)
    let image = try DiskImage.open(path)
    let failures = Mutex<[String]>([])
    let threads = try (0..<2).map { number in
      try WorkerThread(name: "worker \(number)") {
        do {
          let queue = try TestQueue(image, memoryByteCount: 1 << 20)
          var random = Generator(state: UInt64(number) + 5)
          var blocks = [UInt32](repeating: 0, count: 8)
          for step in 0..<1200 {
            let index = Int.random(in: 0..<8, using: &random)
            let start = UInt64(index * 2 + number) << 20
            let place = UInt64(Int.random(in: 0..<2000, using: &random)) * 512
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
              if queue.range(.discard, start, 1 << 20).error != nil { throw BlockError.failed }
              blocks[index] = 0
            case 1, 2:
              // All sectors of the block bear one stamp, or zeros where nothing was written.
              if blocks[index] == 0 { blocks[index] = UInt32(number + 1) << 16 | UInt32(step) }
              if queue.write(CrashWorkload.bytes(blocks[index], 16), start + place) != nil { throw BlockError.failed }
            default:
              if step % 64 == 0, queue.range(.flush).error != nil { throw BlockError.failed }
              let (bytes, error) = queue.read(start + place, 16 * 512)
              if error != nil { throw BlockError.failed }
              for sector in 0..<16 {
                let stamp = CrashWorkload.stamp(bytes, sector)
                if stamp != 0, stamp != blocks[index] {
                  failures.withLock {
                    $0.append("step \(step): block \(index) of \(number) holds \(String(describing: stamp))")
                  }
                }
              }
            }
          }
          queue.queue.close()
        } catch { failures.withLock { $0.append("\(error)") } }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == [])
    try image.close()
    // Some 600 blocks are given back. What is used, and what waits for a commit, which comes after 32 of them, and later
    // where a thread does not get to run: a quarter of that.
    let length = try contents(path).count >> 20
    #expect(length <= 4 + 16 + 150)
    try run("/usr/bin/qemu-img", "check", "-q", "-f", "vhdx", path)
  }
}
