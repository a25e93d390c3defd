import Block
import CLinux
import DiskImage
import LinuxIO
import SharedMemory
import Testing

/// Random requests against an image and an array of bytes, which must agree at all times.
@Suite(.serialized) struct ModelTests {
  @Test(arguments: [DiskImage.Cache.buffered, .direct], [true, false])
  func fileAgreesWithArray(cache: DiskImage.Cache, usesRing: Bool) throws {
    let scratch = try Scratch()
    let byteCount = 3 << 20
    // The file does not end at a block of the filesystem, so that the tail has to take another way.
    let path = try scratch.file(byteCount: UInt64(byteCount + 512))
    var options = DiskImage.Options()
    options.cache = cache
    try agree(path, options, byteCount: byteCount + 512, seed: 1, usesRing: usesRing)
  }

  @Test(arguments: [(DiskImage.Cache.buffered, 512), (.direct, 512), (.direct, 4096)])
  func blockDeviceAgreesWithArray(cache: DiskImage.Cache, sectorByteCount: Int) throws {
    let scratch = try Scratch()
    let device = try TestLoopDevice(
      over: try scratch.file(byteCount: 3 << 20), sectorByteCount: sectorByteCount)
    var options = DiskImage.Options()
    options.cache = cache
    try agree(device.path, options, byteCount: 3 << 20, seed: 2)
  }

  private func agree(_ path: String, _ options: DiskImage.Options, byteCount: Int, seed: UInt64, usesRing: Bool = true)
    throws
  {
    var random = Generator(state: seed)
    let noise = (0..<600_000).map { _ in UInt8.random(in: 1...255, using: &random) }
    var model = [UInt8](repeating: 0, count: byteCount)
    do {
      let image = try DiskImage.open(path, options: options)
      #expect(image.info.byteCount == UInt64(byteCount))
      #expect(image.cache == options.cache)
      let queues = [try TestQueue(image, usesRing: usesRing), try TestQueue(image)]
      for step in 0..<800 {
        let queue = queues[Int.random(in: 0..<2, using: &random)]
        // Mostly whole sectors, sometimes anything; the memory mostly aligned, sometimes not.
        let unit = [4096, 512, 512, 1][Int.random(in: 0..<4, using: &random)]
        let offset = Int.random(in: 0..<byteCount, using: &random) / unit * unit
        let longest = min(byteCount - offset, [unit, 8 * unit, 300_000][Int.random(in: 0..<3, using: &random)])
        let count = max(1, longest / unit) * (longest < unit ? longest : unit)
        let memoryStart = [0, 0, 512, 7][Int.random(in: 0..<4, using: &random)]
        let range = offset..<(offset + count)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4:
          let (bytes, error) = queue.read(UInt64(offset), count, at: memoryStart)
          try #require(error == nil, "step \(step)")
          try #require(bytes == Array(model[range]), "step \(step): \(range)")
        case 4..<7:
          let start = Int.random(in: 0..<300_000, using: &random)
          let bytes = Array(noise[start..<(start + count)])
          let flags: BlockRequest.Flags = Int.random(in: 0..<8, using: &random) == 0 ? [.forceUnitAccess] : []
          try #require(queue.write(bytes, UInt64(offset), at: memoryStart, flags: flags) == nil, "step \(step)")
          model.replaceSubrange(range, with: bytes)
        case 7:
          guard image.info.supportsDiscard, image.info.discardReadsZero else { continue }
          try #require(queue.range(.discard, UInt64(offset), UInt64(count)).error == nil, "step \(step)")
          model.replaceSubrange(range, with: repeatElement(0, count: count))
        case 8:
          let flags: BlockRequest.Flags = Bool.random(using: &random) ? [.mayUnmap] : []
          try #require(
            queue.range(.writeZeroes, UInt64(offset), UInt64(count), flags: flags).error == nil, "step \(step)")
          model.replaceSubrange(range, with: repeatElement(0, count: count))
        default:
          let end = queue.range(.extent, UInt64(offset), UInt64(count))
          let extent = try #require(end.extent)
          #expect(extent.byteCount > 0 && extent.byteCount <= UInt64(count))
          if !extent.isAllocated {
            let hole = model[offset..<(offset + Int(extent.byteCount))]
            #expect(hole.elementsEqual(repeatElement(0, count: hole.count)))
          }
          if step % 7 == 0 { #expect(queue.range(.flush).error == nil) }
        }
      }
      for queue in queues { queue.queue.close() }
    }
    // What another program sees afterwards.
    let file = try OwnedDescriptor.open(path, flags: O_RDONLY)
    #expect(try FileInfo(descriptor: file.number).byteCount == UInt64(byteCount))
    var seen: [UInt8] = []
    while seen.count < byteCount { seen += try readAvailable(file.number) }
    #expect(seen == model)
  }

  /// Two threads write neighbouring bytes of the same blocks past the page cache: none may be lost.
  @Test func neighboursSurviveEachOther() throws {
    let scratch = try Scratch()
    let path = try scratch.file(byteCount: 1 << 20)
    var options = DiskImage.Options()
    options.cache = .direct
    let image = try DiskImage.open(path, options: options)
    // Thread k owns the bytes of stripe k: 700 bytes wide, so that every block has two owners.
    let rounds = 60
    let threads = try (0..<2).map { k in
      try WorkerThread(name: "stripe \(k)") {
        guard let queue = try? TestQueue(image) else { return }
        for round in 1...rounds {
          for stripe in 0..<20 where stripe % 2 == k {
            let error = queue.write([UInt8](repeating: UInt8(round), count: 700), UInt64(stripe * 700))
            if error != nil { return }
          }
        }
      }
    }
    for thread in threads { thread.join() }
    let (bytes, error) = try TestQueue(image).read(0, 14_000)
    #expect(error == nil)
    #expect(bytes == [UInt8](repeating: UInt8(rounds), count: 14_000))
  }

  /// Many requests in flight at the same time, each of which completes once.
  @Test(arguments: [DiskImage.Cache.buffered, .direct])
  func deepQueue(cache: DiskImage.Cache) throws {
    let scratch = try Scratch()
    var options = DiskImage.Options()
    options.cache = cache
    let image = try DiskImage.open(try scratch.file(byteCount: 1 << 20), options: options)
    let queue = try image.makeQueue(depth: 64)
    let memory = try image.allocateMemory(byteCount: 64 * 4096)
    var tables = ScatterTables(count: 64)
    for operation in [BlockOperation.write, .read, .flush, .writeZeroes, .extent, .discard] {
      var open = Set<UInt32>()
      for tag in 0..<UInt32(64) {
        let slice = memory.slice(at: Int(tag) * 4096, count: 4096)
        if operation == .write { slice.fill(UInt8(tag + 1)) }
        let isTransfer = operation == .write || operation == .read
        queue.submit(
          BlockRequest(
            operation, tag: tag, offset: UInt64(tag) * 8192, byteCount: 4096,
            memory: isTransfer ? tables.list(of: slice, slot: Int(tag)) : nil))
        open.insert(tag)
      }
      queue.flushSubmissions()
      for _ in 0..<1000 where !open.isEmpty {
        if !queue.prepareToWait() { _ = waitForInput([queue.readinessDescriptor], milliseconds: 10_000) }
        queue.reap { completion in
          #expect(completion.error == nil)
          #expect(open.remove(completion.tag) != nil)
        }
      }
      #expect(open.isEmpty)
      if operation == .read { #expect((0..<64).allSatisfy { memory.loadLE64(at: $0 * 4096) & 0xff == UInt64($0 + 1) }) }
    }
    // Nothing is left that would keep a worker awake.
    queue.reap { _ in }
    #expect(!queue.prepareToWait() && waitForInput([queue.readinessDescriptor], milliseconds: 0) == 0)
    queue.close()
  }
}
