import Block
import LinuxIO
import SCSI
import SharedMemory
@testable import Storvsc
import StorvscProtocol
import Testing
import VMBusChannel
import WireBytes

/// Data, errors and limits of one queue.
@Suite struct QueueTests {
  /// A rig whose queue is open, and guest memory.
  static func start(
    _ threading: Threading = .inline, depth: Int = 32, _ configure: (inout ScriptedDisk) -> Void = { _ in },
    options: (inout StorvscOptions) -> Void = { _ in }
  ) throws -> (Rig, Owner, MemorySlice) {
    var disk = ScriptedDisk(byteCount: 1 << 20)
    configure(&disk)
    let host = ScriptedHost([0: disk])
    host.set { $0.subChannels = 1 }
    let rig = try Rig(host, threading, options)
    let owner = try Owner(rig.disk, depth: depth)
    return (rig, owner, try rig.disk.allocateMemory(byteCount: 1 << 20))
  }

  @Test func directTransfersAreSplitAndTouchNoBounce() throws {
    let (rig, owner, memory) = try Self.start()
    let bytes = (0..<(600 * 1024)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
    let slice = memory.slice(at: 4096, count: bytes.count)
    slice.copyIn(bytes.rawSpan)
    #expect(owner.run(.write, 8192, [slice], flags: .forceUnitAccess) == nil)
    #expect(Array(rig.host.data()[8192..<(8192 + bytes.count)]) == bytes)
    #expect(rig.host.count(.write16) == 3 && rig.host.log().filter(\.isForced).count == 3)
    slice.fill(0)
    #expect(owner.run(.read, 8192, [slice]) == nil)
    #expect(slice.bytes() == bytes)
    #expect(rig.controller.queueStatistics[1].bounces == 0)
    // One doorbell for a batch: the two requests, and one each for giving space back at most.
    let before = rig.controller.queueStatistics[1].doorbells
    for tag in 0..<8 { owner.submit(.read, tag: UInt32(tag), tag * 4096, [memory.slice(at: tag * 4096, count: 4096)]) }
    #expect(owner.wait(8).count == 8)
    #expect(rig.controller.queueStatistics[1].doorbells - before <= 3)
    owner.queue.close()
  }

  @Test(arguments: [512, 4096], Threading.allCases)
  func anyAlignmentMatchesAModel(_ sector: Int, _ threading: Threading) throws {
    let (rig, owner, memory) = try Self.start(threading) { $0.sector = sector }
    let outside = try MemoryRegion(anonymous: 1 << 20)
    var random = Random(state: 42 &+ UInt64(sector))
    var model = [UInt8](repeating: 0, count: 1 << 20)
    for step in 0..<(threading == .inline ? 600 : 250) {
      let count = random.below(4) == 0 ? random.below(300_000) + 1 : random.below(9000) + 1
      let aligned = random.below(3) == 0
      let offset = random.below((1 << 20) - count) / (aligned ? sector : 1) * (aligned ? sector : 1)
      let length = aligned ? max(sector, count / sector * sector) : count
      guard offset + length <= 1 << 20 else { continue }
      let source = random.below(3) == 0 ? outside.slice : memory
      // In one piece, or in several that are not neighbours.
      var slices: [MemorySlice] = []
      var left = length
      var position = random.below(2000)
      while left > 0 {
        let part = random.below(2) == 0 ? left : min(left, random.below(20_000) + 1)
        guard position + part <= 1 << 20 else { break }
        slices.append(source.slice(at: position, count: part))
        left -= part
        position += part + random.below(3) * 64
      }
      guard left == 0 else { continue }
      switch random.below(8) {
      case 0, 1, 2:
        var written: [UInt8] = []
        for slice in slices {
          let bytes = (0..<slice.byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
          slice.copyIn(bytes.rawSpan)
          written += bytes
        }
        #expect(owner.run(.write, offset, slices) == nil)
        model.replaceSubrange(offset..<(offset + length), with: written)
      case 3:
        #expect(owner.run(.writeZeroes, offset, byteCount: length) == nil)
        for byte in offset..<(offset + length) { model[byte] = 0 }
      case 4:
        #expect(owner.run(.discard, offset, byteCount: length) == nil)
        let first = (offset + sector - 1) / sector * sector
        let end = (offset + length) / sector * sector
        if first < end { for byte in first..<end { model[byte] = 0 } }
      default:
        for slice in slices { slice.fill(0xee) }
        #expect(owner.run(.read, offset, slices) == nil)
        #expect(slices.flatMap { $0.bytes() } == Array(model[offset..<(offset + length)]), "step \(step)")
      }
    }
    #expect(rig.host.data() == model)
    owner.queue.close()
  }

  @Test func refusesWhatCannotBe() throws {
    let (rig, owner, memory) = try Self.start()
    let page = memory.slice(at: 0, count: 4096)
    #expect(owner.run(.read, (1 << 20) - 4095, [page]) == .outOfRange)
    #expect(owner.run(.write, Int.max - 10, [page]) == .outOfRange)
    #expect(owner.run(.read, 0, [page], byteCount: 4095) == .misaligned)
    #expect(owner.run(.read, 0, byteCount: 512) == .misaligned)
    #expect(owner.run(.read, 1 << 20, byteCount: 0) == nil)
    #expect(rig.host.count(.read16) == 0 && rig.host.count(.write16) == 0)
    owner.queue.close()
  }

  @Test func retriesAreBoundedAndCounted() throws {
    let (rig, owner, memory) = try Self.start()
    let page = memory.slice(at: 0, count: 4096)
    func reads(_ answers: [Answer], expect error: BlockError?, commands: Int, _ what: String) {
      let before = rig.host.count(.read16)
      rig.host.script(.read16, answers)
      #expect(owner.run(.read, 0, [page]) == error, "\(what)")
      #expect(rig.host.count(.read16) - before == commands, "\(what)")
    }
    let many = 40
    reads([.executeTelling(100)], expect: nil, commands: 2, "short once")
    reads(.init(repeating: .executeTelling(100), count: 2), expect: .failed, commands: 2, "short twice")
    reads([.executeTelling(5000), .executeTelling(5000)], expect: .failed, commands: 2, "too many")
    reads([.srb(.busy, .busy), .srb(.error, .taskSetFull)], expect: nil, commands: 3, "busy")
    reads([.srb(.error, .reservationConflict)], expect: .reserved, commands: 1, "reserved")
    reads(.init(repeating: .srb(.aborted, .taskAborted), count: 5), expect: nil, commands: 6, "aborted")
    reads(.init(repeating: .srb(.busReset), count: many), expect: .failed, commands: 6, "aborted for ever")
    reads(.init(repeating: .sense(.powerOnOrReset), count: 16), expect: nil, commands: 17, "attention")
    reads(.init(repeating: .sense(.powerOnOrReset), count: many), expect: .failed, commands: 17, "attention for ever")
    reads([.sense(.noMedium)], expect: .gone, commands: 1, "no medium")
    reads(.init(repeating: .sense(.aborted), count: many), expect: .failed, commands: 6, "sense B")
    reads([.sense(SenseData(.abortedCommand, 0x10, 1))], expect: .medium, commands: 1, "integrity")
    reads([.sense(.unrecoveredReadError)], expect: nil, commands: 9, "medium, each block readable")
    reads(
      [.sense(.unrecoveredReadError), .execute, .sense(.unrecoveredReadError)], expect: .medium, commands: 3, "bad")
    reads(.init(repeating: .sense(.internalTargetFailure), count: 2), expect: nil, commands: 3, "hardware")
    reads(.init(repeating: .sense(.internalTargetFailure), count: many), expect: .failed, commands: 3, "hardware")
    reads([.sense(.lbaOutOfRange)], expect: .outOfRange, commands: 1, "shrunk")
    reads([.srb(.timeout), .srb(.commandTimeout), .srb(.selectionTimeout)], expect: nil, commands: 4, "timeouts")
    reads([.srb(.invalidRequest)], expect: .failed, commands: 1, "bad request")
    reads(.init(repeating: .srb(.internalError), count: many), expect: .failed, commands: 6, "unknown")
    #expect(rig.events.contains("unitAttention"))
    owner.queue.close()
  }

  @Test func readsAreRightAfterSplitting() throws {
    let (rig, owner, memory) = try Self.start()
    let bytes = (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 3) }
    let page = memory.slice(at: 0, count: 4096)
    page.copyIn(bytes.rawSpan)
    #expect(owner.run(.write, 0, [page]) == nil)
    page.fill(0)
    rig.host.script(.read16, [.sense(.unrecoveredReadError)])
    #expect(owner.run(.read, 0, [page]) == nil)
    #expect(page.bytes() == bytes)
    owner.queue.close()
  }

  @Test func waitsForADiskThatStartsUpNoLongerThanAllowed() throws {
    let (rig, owner, memory) = try Self.start { _ in
    } options: {
      $0.busyMilliseconds = 60
    }
    let page = memory.slice(at: 0, count: 512)
    rig.host.script { $0.opcode == .read16 ? .srb(.busy, .busy) : .execute }
    #expect(owner.run(.read, 0, [page]) == .timedOut)
    rig.host.script(.read16, [.sense(.becomingReady)])
    #expect(owner.run(.read, 0, [page]) == nil)
    owner.queue.close()
  }

  @Test func writeErrorsSpeak() throws {
    let (rig, owner, memory) = try Self.start()
    let page = memory.slice(at: 0, count: 512)
    rig.host.script(.write16, [.sense(.spaceAllocationFailed), .sense(.writeFault), .sense(.writeProtected)])
    #expect(owner.run(.write, 0, [page]) == .noSpace)
    #expect(owner.run(.write, 0, [page]) == .medium)
    #expect(owner.run(.write, 0, [page]) == .readOnly)
    #expect(rig.disk.info.isReadOnly && rig.events.contains("becameReadOnly"))
    // Refused here from now on.
    #expect(owner.run(.write, 0, [page]) == .readOnly && owner.run(.read, 0, [page]) == nil)
    owner.queue.close()
  }

  @Test func unsupportedFeaturesAreNotUsedAgain() throws {
    let (rig, owner, memory) = try Self.start { $0.writeSameBlocks = 1024 }
    let page = memory.slice(at: 0, count: 65536)
    page.fill(0xaa)
    #expect(owner.run(.write, 0, [page], flags: .forceUnitAccess) == nil)
    #expect(rig.host.count(.synchronizeCache16) == 0)
    #expect(owner.run(.writeZeroes, 512, byteCount: 1024) == nil && rig.host.count(.writeSame16) == 1)
    rig.host.script { cdb in
      let isForced = cdb.opcode == .write16 && cdb[1] & 8 != 0
      return isForced || [.unmap, .writeSame16].contains(cdb.opcode) ? .sense(.invalidFieldInCDB) : .execute
    }
    #expect(owner.run(.write, 0, [page], flags: .forceUnitAccess) == nil)
    #expect(rig.host.count(.synchronizeCache16) == 1)
    #expect(owner.run(.write, 0, [page], flags: .forceUnitAccess) == nil)
    #expect(rig.host.count(.synchronizeCache16) == 2 && rig.disk.info.supportsForceUnitAccess)
    #expect(owner.run(.writeZeroes, 0, byteCount: 40_000) == nil)
    #expect(rig.host.count(.writeSame16) == 2)
    let data = rig.host.data()
    #expect(data[0..<40_000].allSatisfy { $0 == 0 } && data[40_000..<65536].allSatisfy { $0 == 0xaa })
    #expect(!rig.disk.info.supportsWriteZeroes)
    #expect(owner.run(.discard, 0, byteCount: 4096) == .notSupported)
    #expect(!rig.disk.info.supportsDiscard && owner.run(.discard, 0, byteCount: 4096) == .notSupported)
    #expect(rig.host.count(.unmap) == 1)
    owner.queue.close()
  }

  @Test func extents() throws {
    let (rig, owner, _) = try Self.start()
    owner.submit(.extent, 1000, byteCount: 100_000)
    #expect(owner.wait().first?.extent == .init(byteCount: 512 + 4 * 512 - 1000, isAllocated: false))
    rig.host.script { $0.opcode == .serviceActionIn16 ? .sense(.invalidFieldInCDB) : .execute }
    owner.submit(.extent, 1000, byteCount: 100_000)
    #expect(owner.wait().first?.extent == .init(byteCount: 100_000, isAllocated: true))
    owner.queue.close()
  }

  @Test func capacityChangesShow() throws {
    let (rig, owner, memory) = try Self.start()
    let page = memory.slice(at: 0, count: 512)
    rig.host.set { $0.disks[0]!.capacityBytes = 1 << 19 }
    rig.host.script(.read16, [.sense(.capacityChanged)])
    #expect(owner.run(.read, 0, [page]) == nil)
    for _ in 0..<100 where rig.disk.info.byteCount != 1 << 19 { owner.turn() }
    #expect(rig.disk.info.byteCount == 1 << 19 && rig.events.contains("capacityChanged"))
    #expect(owner.run(.read, 1 << 19, [page]) == .outOfRange)
    owner.queue.close()
  }

  @Test func goneDisksFailAtOnce() throws {
    let (rig, owner, memory) = try Self.start()
    let page = memory.slice(at: 0, count: 512)
    let disk = rig.disk
    rig.host.script(.read16, [.srb(.invalidLUN, .checkCondition)])
    for tag in 0..<8 { owner.submit(.read, tag: UInt32(tag), 0, [page]) }
    #expect(owner.wait(8).count == 8)
    #expect(disk.isGone && rig.events.contains("diskGone"))
    let before = rig.host.log().count
    #expect(owner.run(.read, 0, [page]) == .gone && rig.host.log().count == before)
    owner.queue.close()
  }

  @Test(arguments: Threading.allCases) func aFullRingIsWaitedFor(_ threading: Threading) throws {
    let (rig, owner, memory) = try Self.start(threading, depth: 128) { _ in
    } options: {
      $0.ringByteCount = 16 * 1024
    }
    for round in 0..<10 {
      for tag in 0..<128 {
        let slice = memory.slice(at: tag * 4096 + 512, count: 4096)
        slice.fill(UInt8(truncatingIfNeeded: tag + round))
        owner.submit(.write, tag: UInt32(tag), tag * 4096, [slice])
      }
      let done = owner.wait(128)
      #expect(done.count == 128 && done.allSatisfy { $0.error == nil })
      #expect(Set(done.map(\.tag)).count == 128)
    }
    #expect(rig.host.data()[127 * 4096] == 136 && rig.host.data()[0] == 9)
    #expect(rig.controller.queueStatistics[1].fullRings > 0)
    owner.queue.close()
  }

  @Test func silenceEndsTheRequestIfItsMemoryIsOurs() throws {
    let (rig, owner, memory) = try Self.start { _ in
    } options: {
      $0.requestMilliseconds = 40
    }
    rig.host.script { $0.opcode == .synchronizeCache16 || $0.opcode == .read16 ? .silence : .execute }
    let start = monotonicNanoseconds()
    #expect(owner.run(.flush) == .timedOut)
    // A part of a sector goes through a page of the queue.
    #expect(owner.run(.read, 10, [memory.slice(at: 0, count: 100)]) == .timedOut)
    #expect(monotonicNanoseconds() - start < 2_000_000_000)
    // The request's own memory may still be written: it is the host's until the channel is closed.
    owner.submit(.read, 0, [memory.slice(at: 0, count: 512)])
    #expect(owner.wait(1, milliseconds: 200).isEmpty)
    #expect(rig.events.contains("stalled"))
    let controller = rig.controller
    let thread = try WorkerThread(name: "detach") { try? controller.detach() }
    #expect(owner.wait().first?.error == .timedOut)
    thread.join()
    try Self.reattach(rig, owner)
    rig.host.script { _ in .execute }
    #expect(owner.run(.flush) == nil && owner.run(.read, 0, [memory.slice(at: 0, count: 512)]) == nil)
    owner.queue.close()
  }

  /// Lets the controller go on over the host's next life, while the owner turns.
  static func reattach(_ rig: Rig, _ owner: Owner) throws {
    let flag = ScriptedDevice.StopFlag()
    let box = Carrier(rig: rig)
    let thread = try WorkerThread(name: "control") {
      do { try box.rig.restart() } catch { Issue.record("\(error)") }
      flag.value.store(true, ordering: .releasing)
    }
    while !flag.value.load(ordering: .acquiring) {
      if !owner.turn() { _ = try Epoll().wait(milliseconds: 1) }
    }
    thread.join()
  }

  // Sendable, because the test's thread does not touch the rig meanwhile.
  struct Carrier: @unchecked Sendable {
    let rig: Rig
  }
}
