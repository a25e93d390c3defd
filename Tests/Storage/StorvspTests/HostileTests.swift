import Block
import SCSI
import SharedMemory
import StorvscProtocol
@testable import Storvsp
import TestVectors
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@Suite struct HostileTests {
  private func packet(_ cdb: [UInt8], _ direction: DataDirection, _ count: UInt32) -> [UInt8] {
    [UInt8](zeroed: 64) { bytes in
      StorvscPacket.request(.executeSRB).store(into: &bytes)
      SCSIRequest(CommandDescriptorBlock(cdb.rawSpan)!, lun: 0, direction: direction, dataByteCount: count)
        .store(into: &bytes, version: .v6_2)
    }
  }

  private let read: [UInt8] = [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0]

  /// Well-framed packets with impossible ranges: an answer, nothing touched, and the channel goes on.
  @Test func ranges() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    disk.store([UInt8](repeating: 0xee, count: 4096), at: 0)
    let guest = try TestGuest(try .with(disk))
    guest.start()
    let base = TestGuest.base >> 12
    let end = base + UInt64(guest.region.byteCount / 4096)
    let cases: [(String, [UInt64], UInt32)] = [
      ("no range", [0], 4096), ("two ranges", [2 << 32, 4096, base, 4096, base], 4096),
      ("empty range", [1 << 32, 0, base], 4096), ("offset 4096", [1 << 32, 4096 << 32 | 4096, base, base], 4096),
      ("too few pages", [1 << 32, 1 << 32 | 4096, base], 4096), ("short range", [1 << 32, 4095, base], 4096),
      ("outside", [1 << 32, 4096, end], 4096), ("below", [1 << 32, 4096, base - 1], 4096),
      ("far outside", [1 << 32, 4096, UInt64.max], 4096), ("wraps", [1 << 32, 4096, 1 << 52], 4096),
      ("second page outside", [1 << 32, 1 << 32 | 4096, end - 1, end], 4096),
      ("runs past the end", [1 << 32, 1 << 32 | 4096, end - 1, 5], 4096),
      ("many ranges", [0xffff_ffff << 32, 4096, base], 4096), ("huge range", [1 << 32, 0xffff_ffff, base], 4096),
      ("in-band with a length", [], 4096),
      ("longer than allowed", [1 << 32, 2 << 20] + (0..<512).map { base + $0 }, 2 << 20),
    ]
    for (name, extra, count) in cases {
      let answer = guest.primary.transact(type: extra.isEmpty ? 6 : 9, id: 7, extra: extra, packet(read, .read, count))
      try #require(answer.count == 80, "\(name)")
      let result = guest.result(answer)
      #expect(result.completion.srbStatus.rawValue == 0x86 && result.sense == .invalidFieldInCDB, "\(name)")
      #expect(result.completion.dataTransferByteCount == 0)
    }
    #expect(guest.region.slice.bytes().allSatisfy { $0 == 0 })
    #expect(disk.log.isEmpty && guest.primary.endpoint.fault == nil)
    // A longer range than needed is cut; pages in any order, and twice the same, are fine.
    var answer = guest.primary.transact(
      type: 9, id: 7, extra: [1 << 32, 8192, base + 3, base + 1], packet(read, .read, 4096))
    #expect(
      guest.result(answer).isGood && guest.region.slice.bytes()[3 * 4096] == 0xee
        && guest.region.slice.bytes()[4096] == 0)
    answer = guest.primary.transact(
      type: 9, id: 0, extra: [1 << 32, 0x800 << 32 | 4096, base + 9, base + 9], packet(read, .read, 4096))
    #expect(guest.result(answer).isGood && answer.rawSpan.le64(at: 8) == 0)
  }

  /// Pages that are neighbours for the guest, but lie in two mappings.
  @Test func twoMappings() throws {
    let next = try MemoryRegion(anonymous: 8192)
    let disk = TestDisk(byteCount: 1 << 20)
    disk.store((0..<8192).map { UInt8(truncatingIfNeeded: $0 / 32) }, at: 0)
    let guest = try TestGuest(
      try .with(disk), ranges: [GuestMemory.Range(guestAddress: TestGuest.base + (4 << 20), region: next)])
    guest.start()
    let last = (TestGuest.base + (4 << 20)) >> 12
    let answer = guest.primary.transact(
      type: 9, id: 1, extra: [1 << 32, 0x100 << 32 | 8192, last - 1, last, last + 1],
      packet([0x28, 0, 0, 0, 0, 0, 0, 0, 16, 0], .read, 8192))
    #expect(guest.result(answer).isGood)
    #expect(
      guest.region.slice.bytes().suffix(4096 - 0x100) + next.slice.bytes().prefix(0x1100)
        == disk.bytes(at: 0, count: 8192)[...])
  }

  @Test func commandBlocks() throws {
    let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
    guest.start()
    for length in [0, 17, 32, 255] as [UInt8] {
      var bytes = packet([0, 0, 0, 0, 0, 0], .none, 0)
      bytes[12 + 8] = length
      let result = guest.result(guest.primary.transact(type: 6, id: 1, bytes))
      #expect(result.completion.srbStatus.rawValue == 0x86 && result.sense == .invalidFieldInCDB)
    }
  }

  /// An index that is none, a length that does not fit: the channel falls silent.
  @Test func rings() throws {
    for (index, value) in [(0, 3), (0, 0xffff_fff8), (4, 61440)] as [(Int, UInt32)] {
      let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
      guest.start()
      if index == 0 {
        guest.primary.toHost.slice.word32(at: index).storeReleasing(value)
        guest.primary.endpoint.run()
      } else {
        // The reader's index of the host's ring.
        guest.primary.toGuest.slice.word32(at: index).storeReleasing(value)
        for _ in 0..<2000 where guest.primary.endpoint.fault == nil {
          guest.primary.sendRaw(TestChannel.packet(type: 6, id: 1, packet([0, 0, 0, 0, 0, 0], .none, 0)))
          guest.primary.endpoint.run()
        }
      }
      #expect(guest.primary.endpoint.fault != nil)
      guest.primary.endpoint.close()
      guest.session.end()
    }
  }

  /// Random packets, and random changes to good ones, through an endpoint: it never traps, answers each well-framed
  /// packet exactly once, and never writes outside of what the packet names.
  @Test(arguments: 0..<4) func fuzz(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let disk = TestDisk(byteCount: 1 << 20, scrambleSeed: seed)
    let controller = try SCSIController.with(disk)
    let base = TestGuest.base >> 12
    var guest = try TestGuest(controller)
    guest.start()
    let opcodes: [UInt8] = [
      0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1d, 0x1e, 0x25, 0x28, 0x2a, 0x2f, 0x35, 0x41, 0x42,
      0x55, 0x5a, 0x5e, 0x5f, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa, 0xaf,
    ]
    var faults = 0
    var answers = 0
    for round in 0..<6000 {
      var cdb = (0..<16).map { _ in Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random) }
      cdb[0] = opcodes.randomElement(using: &random)!
      if Bool.random(using: &random) { for index in 2..<9 { cdb[index] = 0 } }
      let count = UInt32.random(in: 0...20000, using: &random)
      let offset = UInt64.random(in: 0..<4096, using: &random)
      let pages = (offset + UInt64(count) + 4095) / 4096
      // The last page is never named: nothing may change there.
      let extra =
        [1 << 32, offset << 32 | UInt64(count)]
        + (0..<pages).map { _ in base + UInt64.random(in: 0..<1000, using: &random) }
      let direction = DataDirection(rawValue: UInt8.random(in: 0...2, using: &random))
      let isInBand = count == 0 || Int.random(in: 0..<10, using: &random) == 0
      var bytes = TestChannel.packet(
        type: isInBand ? 6 : 9, id: UInt64(round), extra: isInBand ? [] : extra, packet(cdb, direction, count))
      if Int.random(in: 0..<4, using: &random) == 0 {
        // Anything but the length of the packet and the pages.
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let index = Int.random(in: 0..<bytes.count, using: &random)
          if index == 4 || index == 5 || (!isInBand && index >= 32 && index < 16 + 8 * extra.count) { continue }
          bytes[index] = UInt8.random(in: 0...255, using: &random)
        }
      }
      guest.primary.sendRaw(bytes)
      guest.primary.endpoint.run()
      if guest.primary.endpoint.fault != nil {
        faults += 1
        guest.primary.endpoint.close()
        guest.session.end()
        guest = try TestGuest(controller)
        guest.start()
        continue
      }
      let answer = try #require(guest.primary.receive(), "round \(round)")
      answers += 1
      #expect(answer.rawSpan.le64(at: 8) == bytes.rawSpan.le64(at: 8))
      #expect(answer.count <= 80 && guest.primary.receive() == nil)
      if answer.count == 80, answer.rawSpan.le32(at: 16) == 1, bytes[0] == 9 || bytes[0] == 6 {
        let result = try SCSIRequest(parsing: Array(answer[16...]).rawSpan, version: .v6_2)
        let isSenseThere = result.srbStatus.hasAutosense
        #expect(!isSenseThere || result.scsiStatus == .checkCondition)
      }
      #expect(guest.region.slice.slice(at: 1000 * 4096, count: 24 * 4096).loadLE64(at: 0) == 0)
    }
    #expect(answers > 4000 && faults > 10)
    #expect(guest.region.slice.slice(at: 1000 * 4096, count: 24 * 4096).bytes().allSatisfy { $0 == 0 })
  }
}
