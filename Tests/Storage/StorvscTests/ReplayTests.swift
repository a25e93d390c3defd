import Block
import LinuxIO
import SCSI
import SharedMemory
@testable import Storvsc
import StorvscProtocol
import Synchronization
import Testing
import VMBusChannel
import WireBytes

@Suite struct ReplayTests {
  /// The host dies at random points and comes back; whatever was told to be written is there in the end.
  @Test(arguments: Threading.allCases) func nothingIsLost(_ threading: Threading) throws {
    var random = Random(state: 99)
    let (rig, owner, memory) = try QueueTests.start(threading)
    var model = [UInt8](repeating: 0, count: 1 << 20)
    for round in 0..<(threading == .inline ? 60 : 25) {
      rig.host.set {
        $0.lifetime = random.below(24) + 1
        $0.diesAfterExecuting = random.below(2) == 0
      }
      // Ranges of one round do not overlap: each request has its own 32 KiB.
      for tag in 0..<16 {
        let unaligned = random.below(3) == 0
        let offset = tag * 32768 + (unaligned ? random.below(3000) : 4096)
        let count = unaligned ? random.below(20_000) + 1 : 8192
        let slice = memory.slice(at: tag * 32768, count: count)
        slice.fill(UInt8(truncatingIfNeeded: round + tag + 1))
        owner.submit(.write, tag: UInt32(tag), offset, [slice])
        for byte in offset..<(offset + count) { model[byte] = UInt8(truncatingIfNeeded: round + tag + 1) }
      }
      owner.submit(.flush, tag: 20)
      for _ in 0..<200 where !rig.device.isLost { owner.turn() }
      rig.host.set { $0.lifetime = nil }
      if rig.device.isLost { try QueueTests.reattach(rig, owner) }
      let done = owner.wait(17)
      #expect(done.count == 17 && done.allSatisfy { $0.error == nil }, "round \(round)")
      #expect(Set(done.map(\.tag)).count == 17)
      rig.host.set { $0.isDead = false }
    }
    #expect(rig.host.data() == model)
    #expect(rig.controller.queueStatistics[1].replays > 0)
    owner.queue.close()
  }

  /// On the new channel unknown writes come first, then the flush.
  @Test func writesBeforeFlushes() throws {
    let (rig, owner, memory) = try QueueTests.start()
    rig.host.script { [.write16, .synchronizeCache16, .read16].contains($0.opcode) ? .silence : .execute }
    let page = memory.slice(at: 0, count: 4096)
    owner.submit(.flush, tag: 0)
    owner.submit(.read, tag: 1, 0, [page])
    owner.submit(.write, tag: 2, 4096, [page])
    // The same blocks once more: the order of the two is kept.
    owner.submit(.write, tag: 3, 4096, [page])
    owner.turn()
    rig.device.kill()
    rig.host.script { _ in .execute }
    let before = rig.host.log().count
    try QueueTests.reattach(rig, owner)
    #expect(owner.wait(4).count == 4)
    let opcodes = rig.host.log()[before...].filter { $0.channel == 1 }.map(\.opcode)
    #expect(opcodes == [.write16, .write16, .synchronizeCache16, .read16])
    owner.queue.close()
  }

  @Test func anOutageEnds() throws {
    let (rig, owner, memory) = try QueueTests.start { _ in
    } options: {
      $0.outageMilliseconds = 60
    }
    rig.device.kill()
    #expect(owner.run(.write, 0, [memory.slice(at: 0, count: 512)]) == .gone)
    #expect(owner.run(.flush) == .gone)
    #expect(rig.events.contains("channelLost"))
    try QueueTests.reattach(rig, owner)
    #expect(owner.run(.flush) == nil)
    owner.queue.close()
  }

  @Test func anotherDiskIsNotWritten() throws {
    let (rig, owner, memory) = try QueueTests.start()
    rig.host.script { $0.opcode == .write16 ? .silence : .execute }
    owner.submit(.write, 0, [memory.slice(at: 0, count: 512)])
    owner.turn()
    rig.device.kill()
    rig.host.set {
      $0.script = nil
      $0.disks[0]!.id.high = 1
    }
    let writes = rig.host.count(.write16)
    try QueueTests.reattach(rig, owner)
    #expect(owner.wait().first?.error == .gone)
    #expect(rig.host.count(.write16) == writes && rig.events.contains("diskGone"))
    owner.queue.close()
  }

  @Test func aLostReservationStopsTheReplay() throws {
    let (rig, owner, memory) = try QueueTests.start()
    try rig.disk.claim()
    rig.host.script { $0.opcode == .write16 ? .silence : .execute }
    owner.submit(.write, 0, [memory.slice(at: 0, count: 512)])
    owner.turn()
    rig.device.kill()
    rig.host.set {
      $0.script = nil
      $0.disks[0]!.isReserved = true
    }
    try QueueTests.reattach(rig, owner)
    #expect(owner.wait().first?.error == .gone)
    owner.queue.close()
  }
}

@Suite struct SharedSectorTests {
  /// Two queues on two threads write neighbouring parts of the same sectors, aligned and not: no update is lost.
  @Test(arguments: Threading.allCases) func noUpdateIsLost(_ threading: Threading) throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 18)])
    host.set { $0.subChannels = 2 }
    let rig = try Rig(host, threading)
    let disk = rig.disk
    let finals = [Box(), Box()]
    // Bytes belong to the queues in stripes of 700 bytes.
    let stripe = 700
    let threads = try (0..<2).map { me in
      let memory = try disk.allocateMemory(byteCount: 1 << 16)
      return try WorkerThread(name: "writer\(me)") {
        let owner = try! Owner(disk, depth: 8)
        var random = Random(state: UInt64(me + 5))
        var model = [UInt8](repeating: 0, count: 1 << 18)
        let stripes = (1 << 18) / stripe
        for _ in 0..<150 {
          var used: Set<Int> = []
          var submitted = 0
          for tag in 0..<6 {
            let index = random.below(stripes / 2) * 2 + me
            guard used.insert(index).inserted, (index + 1) * stripe <= 1 << 18 else { continue }
            // A sector that lies whole in the stripe, or a part of the stripe.
            var start = index * stripe
            var count = stripe
            let whole = (start + 511) / 512 * 512
            if random.below(2) == 0, whole + 512 <= start + stripe {
              start = whole
              count = 512
            }
            let slice = memory.slice(at: tag * 4096, count: count)
            let value = UInt8(truncatingIfNeeded: random.next())
            slice.fill(value)
            for byte in start..<(start + count) { model[byte] = value }
            owner.submit(.write, tag: UInt32(tag), start, [slice])
            submitted += 1
          }
          let done = owner.wait(submitted)
          if done.count != submitted || done.contains(where: { $0.error != nil }) { Issue.record("a write failed") }
        }
        owner.queue.close()
        finals[me].bytes.withLock { $0 = model }
      }
    }
    for thread in threads { thread.join() }
    let data = host.data()
    let models = finals.map { box in box.bytes.withLock { $0 } }
    var wrong = 0
    for byte in 0..<(1 << 18) where data[byte] != models[byte / stripe % 2][byte] { wrong += 1 }
    #expect(wrong == 0)
  }

  /// One queue writes whole sectors, the other parts of them: what the second reads and writes back is never older than
  /// what the first was told to be written.
  @Test(arguments: Threading.allCases) func wholeSectorsAreNotTakenBack(_ threading: Threading) throws {
    let host = ScriptedHost([0: ScriptedDisk(byteCount: 1 << 16)])
    host.set { $0.subChannels = 2 }
    let rig = try Rig(host, threading)
    let disk = rig.disk
    let stop = ScriptedDevice.StopFlag()
    let part = try disk.allocateMemory(byteCount: 4096)
    let parts = try WorkerThread(name: "parts") {
      let owner = try! Owner(disk, depth: 4)
      var random = Random(state: 3)
      while !stop.value.load(ordering: .acquiring) {
        if owner.run(.write, random.below(4) * 512, [part.slice(at: 0, count: 100)]) != nil { break }
      }
      owner.queue.close()
    }
    let owner = try Owner(disk, depth: 4)
    let whole = try disk.allocateMemory(byteCount: 4096)
    var wrong = 0
    for round in 0..<(threading == .inline ? 2000 : 600) {
      let value = UInt8(round % 251 + 1)
      whole.slice(at: 0, count: 2048).fill(value)
      for tag in 0..<4 {
        owner.submit(.write, tag: UInt32(tag), tag * 512, [whole.slice(at: tag * 512, count: 512)])
      }
      #expect(owner.wait(4).count == 4)
      let data = host.data()
      for sector in 0..<4 where data[sector * 512 + 300] != value { wrong += 1 }
    }
    stop.value.store(true, ordering: .releasing)
    parts.join()
    owner.queue.close()
    #expect(wrong == 0)
  }

  final class Box: Sendable { let bytes = Mutex<[UInt8]>([]) }
}

@Suite struct HostileHostTests {
  /// Whatever the host answers: no trap, and each request ends at most once.
  @Test func mutatedAnswers() throws {
    for seed in 1...30 {
      let (rig, owner, memory) = try QueueTests.start { _ in
      } options: {
        $0.requestMilliseconds = 40
        $0.busyMilliseconds = 20
        $0.outageMilliseconds = 20
        $0.stepMilliseconds = 200
      }
      let random = ScriptedHost.Box(seed &* 7919)
      rig.host.script { _ in
        random.value.withLock { state in
          var generator = Random(state: UInt64(state))
          defer { state = Int(generator.next() >> 2) | 1 }
          switch generator.below(8) {
          case 0: return .raw((0..<64).map { _ in UInt8(truncatingIfNeeded: generator.next()) }, id: nil)
          case 1: return .raw([UInt8](repeating: 1, count: generator.below(20) * 8), id: nil)
          case 2: return .raw([1] + [UInt8](repeating: 0, count: 63), id: generator.next() >> generator.below(64))
          case 3: return .executeTelling(generator.below(1 << 20))
          default: return .execute
          }
        }
      }
      rig.host.set {
        $0.mutate = { bytes in
          random.value.withLock { state in
            var generator = Random(state: UInt64(state))
            defer { state = Int(generator.next() >> 2) | 1 }
            var bytes = bytes
            if generator.below(3) == 0, !bytes.isEmpty {
              bytes[generator.below(bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
            }
            return bytes
          }
        }
      }
      var seen: [UInt32: Int] = [:]
      for tag in 0..<24 {
        let slice = memory.slice(at: tag * 8192, count: 3000 + tag)
        owner.submit(tag % 3 == 0 ? .write : .read, tag: UInt32(tag), tag * 8192 + tag % 2, [slice])
      }
      for completion in owner.wait(24, milliseconds: 150) { seen[completion.tag, default: 0] += 1 }
      #expect(seen.values.allSatisfy { $0 == 1 })
      rig.host.set {
        $0.script = nil
        $0.mutate = nil
      }
      rig.device.kill()
      for completion in owner.wait(24 - seen.count, milliseconds: 3000) { seen[completion.tag, default: 0] += 1 }
      #expect(seen.count == 24 && seen.values.allSatisfy { $0 == 1 }, "seed \(seed): \(seen.count)")
      owner.queue.close()
    }
  }

  /// Three faults in a row lose the channel; what was sent waits.
  @Test func faultsInARow() throws {
    let (rig, owner, memory) = try QueueTests.start()
    rig.host.script { $0.opcode == .read16 ? .raw([UInt8](repeating: 1, count: 64), id: 0xdead_beef) : .execute }
    for tag in 0..<3 { owner.submit(.read, tag: UInt32(tag), 0, [memory.slice(at: tag * 512, count: 512)]) }
    #expect(owner.wait(1, milliseconds: 50).isEmpty)
    #expect(rig.events.contains("channelLost"))
    rig.host.script { _ in .execute }
    try QueueTests.reattach(rig, owner)
    #expect(owner.wait(3).allSatisfy { $0.error == nil })
    owner.queue.close()
  }
}
