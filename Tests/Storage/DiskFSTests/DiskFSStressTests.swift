import Block
import CLinux
import DiskFS
import LinuxIO
import Testing

extension RealMounts {
  @Suite(.serialized)
  struct DiskFSStressTests {
    /// Threads that each own a stripe of the disk do random I/O and compare with a model in memory.
    @Test(arguments: [0, 1, 2])
    func agreesWithAModel(variant: Int) throws {
      var faults = MemoryBlockDevice.Faults()
      var options = DiskFSOptions()
      if variant == 1 { faults.orderSeed = 99 }
      if variant == 2 {
        faults.delayNanoseconds = 100_000
        options.queueDepth = 2
        options.workerCount = 1
      }
      let threads = 4
      let stripe = 1 << 20
      let disk = try MountedDisk(byteCount: threads * stripe, options: options, faults: faults)
      let problems = Monitor<[String]>([])
      var workers: [WorkerThread] = []
      for thread in 0..<threads {
        let path = disk.path("whole")
        workers.append(
          try WorkerThread(name: "model") {
            do {
              try exercise(path, base: thread * stripe, count: stripe, seed: UInt64(thread + 10 * variant))
            } catch {
              problems.withLock { $0.append("thread \(thread): \(error)") }
            }
          })
      }
      for worker in workers { worker.join() }
      #expect(problems.withLock { $0 } == [])
      let counters = disk.counters { $0.flushes > 10 }
      #expect(counters.errors == 0)
      #expect(counters.reads > 100 && counters.writes > 100 && counters.flushes > 10)
    }

    @Test func nothingIsLeftAfterTheEnd() throws {
      let before = openFUSEDescriptors()
      for round in 0..<10 {
        let disk = try MountedDisk()
        let held = round % 2 == 1 ? try disk.open("whole", O_RDONLY) : nil
        #expect(openFUSEDescriptors() == before + 3)
        #expect(disk.filesystem.isServing)
        disk.filesystem.stop()
        #expect(!disk.filesystem.isServing)
        #expect(openFUSEDescriptors() == before)
        #expect(try !mountTable().contains { $0.target == disk.directory })
        if let held {
          // The disk is gone for those who still have it open.
          #expect(throws: (any Error).self) { try held.read(10, at: 0) }
        }
      }
    }

    @Test func somebodyElseUnmounts() throws {
      let disk = try MountedDisk()
      try unmountFilesystem(disk.directory)
      #expect(disk.filesystem.waitForEnd(milliseconds: 5000))
      #expect(!disk.filesystem.isServing)
      // A foreign mount in the same place stays.
      try mountFilesystem(source: "none", target: disk.directory, type: "tmpfs")
      disk.filesystem.stop()
      #expect(try mountTable().contains { $0.target == disk.directory })
      try unmountFilesystem(disk.directory)
    }

    @Test func stopsWithRequestsInFlight() throws {
      var faults = MemoryBlockDevice.Faults()
      faults.delayNanoseconds = 300_000_000
      let disk = try MountedDisk(faults: faults)
      let outcome = Monitor<Int?>(nil)
      let path = disk.path("whole")
      let reader = try WorkerThread(name: "reader") {
        let count = (try? File(path, O_RDONLY).read(4096, at: 0).count) ?? -1
        outcome.withLock { $0 = count }
      }
      while disk.filesystem.workerCounters.isEmpty { sched_yield() }
      usleep(100_000)
      disk.filesystem.stop()
      reader.join()
      // Either answer is right; none would be wrong.
      #expect(outcome.withLock { $0 } != nil)
    }

    /// More requests than one worker has slots for reach the other one.
    @Test func burstsAreShared() throws {
      var faults = MemoryBlockDevice.Faults()
      faults.delayNanoseconds = 100_000_000
      var options = DiskFSOptions()
      options.queueDepth = 2
      let disk = try MountedDisk(options: options, faults: faults)
      let path = disk.path("whole")
      let bytesRead = Monitor(0)
      var readers: [WorkerThread] = []
      for index in 0..<8 {
        readers.append(
          try WorkerThread(name: "burst") {
            let count = (try? File(path, O_RDONLY).read(4096, at: index * 4096).count) ?? 0
            bytesRead.withLock { $0 += count }
          })
      }
      for reader in readers { reader.join() }
      #expect(bytesRead.withLock { $0 } == 8 * 4096)
      #expect(disk.counters { $0.reads == 8 }.reads == 8)
      #expect(disk.filesystem.workerCounters.allSatisfy { $0.reads > 0 && $0.inFlightHighWater <= 2 })
    }

    @Test func idleWorkersSleep() throws {
      let disk = try MountedDisk()
      #expect(try disk.open("whole", O_RDONLY).read(4096, at: 0).count == 4096)
      usleep(50_000)
      let before = disk.filesystem.counters
      usleep(300_000)
      #expect(disk.filesystem.counters == before)
    }

    @Test func wrongMountPointsAreRefused() throws {
      let device = try MemoryBlockDevice(byteCount: 1 << 20)
      let filesystem = try DiskFS(device: device, mountPoint: "/tmp/synthgate-no-such-directory")
      #expect(throws: DiskFSError.self) { try filesystem.start() }
      #expect(throws: DiskFSError.alreadyStarted) { try filesystem.start() }
      filesystem.stop()
    }

    /// O_DSYNC: the kernel sends no FUSE_FSYNC for direct writes, so that the flag of the open file must be honoured.
    @Test(arguments: [true, false])
    func durableWrites(supportsForceUnitAccess: Bool) throws {
      let disk = try MountedDisk { $0.supportsForceUnitAccess = supportsForceUnitAccess }
      let file = try disk.open("whole", O_RDWR | O_DSYNC)
      #expect(try file.write([1], at: 0) == 1)
      #expect(disk.device.counts.forceUnitAccess == (supportsForceUnitAccess ? 1 : 0))
      #expect(disk.device.counts.flushes == (supportsForceUnitAccess ? 0 : 1))
      let plain = try disk.open("whole", O_RDWR)
      #expect(try plain.write([1], at: 0) == 1)
      try plain.sync()
      #expect(disk.device.counts.flushes == (supportsForceUnitAccess ? 1 : 2))
    }
  }
}

/// Random reads, writes, flushes, holes and searches on one stripe of the file.
private func exercise(_ path: String, base: Int, count: Int, seed: UInt64) throws {
  struct Difference: Error { let what: String }
  var generator = Generator(state: seed)
  var model = [UInt8](repeating: 0, count: count)
  let file = try File(path, seed % 2 == 0 ? O_RDWR : O_RDWR | O_DIRECT)
  for step in 0..<400 {
    let offset = generator.below(count)
    let length = min(1 + generator.below(generator.below(8) == 0 ? 300_000 : 9000), count - offset)
    switch generator.below(10) {
    case 0...3:
      guard try file.read(length, at: base + offset) == Array(model[offset..<(offset + length)]) else {
        throw Difference(what: "read of \(length) at \(offset), step \(step)")
      }
    case 4...7:
      let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step | 1), count: length)
      guard try file.write(bytes, at: base + offset) == length else {
        throw Difference(what: "write of \(length) at \(offset), step \(step)")
      }
      model.replaceSubrange(offset..<(offset + length), with: bytes)
    case 8:
      let start = offset & ~4095
      let end = min(count, (offset + length + 4095) & ~4095)
      try file.allocate(generator.below(2) == 0 ? 3 : 0x11, at: base + start, count: end - start)
      model.replaceSubrange(start..<end, with: repeatElement(0, count: end - start))
    default:
      try file.sync()
      let isData = model[(offset & ~4095)..<((offset & ~4095) + 4096)].contains { $0 != 0 }
      let hole = try file.seek(base + offset, 4)
      guard (hole == base + offset) == !isData else {
        throw Difference(what: "hole at \(offset), step \(step)")
      }
    }
  }
  guard try file.read(count, at: base) == model else { throw Difference(what: "the end") }
}
