import Block
import SCSI
import StorvscProtocol
@testable import Storvsp
import TestVectors
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@Suite struct HotPlugTests {
  private let ready: [UInt8] = [0, 0, 0, 0, 0, 0]
  private let inquiry: [UInt8] = [0x12, 0, 0, 0, 36, 0]
  private let list: [UInt8] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]

  private func isGone(_ result: TestGuest.Result) -> Bool {
    result.completion.srbStatus == .invalidLUN && result.completion.scsiStatus == .checkCondition
      && result.header == .deviceDoesNotExist && result.completion.dataTransferByteCount == 0
  }

  @Test func absentUnits() throws {
    let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
    guest.start()
    let absent = GoldenVector.named("D03", in: dataVectors).bytes
    #expect(guest.run(inquiry, lun: 9, in: 36).data == absent)
    #expect(guest.run(inquiry, path: 1, in: 36).data[0] == 0x7f)
    // An absent LUN 0 has the names of the disks.
    let first = guest.run(inquiry, target: 1, in: 36).data
    #expect(first[0] == 0x7f && Array(first[8..<36]) == Array(GoldenVector.named("D01", in: dataVectors).bytes[8...]))
    for (command, count) in [
      ([0x12, 1, 0x83, 0, 36, 0], 36), ([0x12, 0, 0, 0, 4, 0], 36), ([0x12, 0, 0, 0, 36, 0], 35),
    ] as [([UInt8], Int)] {
      let result = guest.run(command, lun: 9, in: count)
      #expect(result.completion.srbStatus.rawValue == 0x86 && result.sense == .invalidFieldInCDB)
    }
    #expect(guest.run(list, lun: 9, in: 256).data == [0, 0, 0, 8] + [UInt8](repeating: 0, count: 12))
    #expect(guest.run(list, target: 1, in: 256).data == [UInt8](repeating: 0, count: 8))
    #expect(guest.run(list, path: 3, in: 256).data == [UInt8](repeating: 0, count: 8))
    #expect(
      isGone(guest.run(ready, lun: 9)) && isGone(guest.run(ready, lun: 64)) && isGone(guest.run(ready, target: 2)))
    #expect(isGone(guest.run(ready, path: 1)) && isGone(guest.run([0xff, 0, 0, 0, 0, 0], lun: 9)))
    #expect(isGone(guest.run([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], lun: 9, in: 512)))
  }

  @Test func addAndRemove() throws {
    let controller = SCSIController(instance: GUID(1, 2, 3, 4))
    let guest = try TestGuest(controller)
    // Changes before the guest looks at all make no notice.
    try controller.addDisk(lun: 0, device: TestDisk(byteCount: 1 << 20))
    guest.start()
    guest.primary.endpoint.run()
    #expect(guest.primary.receive() == nil)

    try controller.addDisk(lun: 1, device: TestDisk(byteCount: 1 << 20))
    try controller.addDisk(lun: 5, device: TestDisk(byteCount: 1 << 20))
    guest.primary.endpoint.run()
    // Two changes, one notice.
    #expect(guest.primary.receiveCompletion() == nil && guest.primary.noticeCount == 1)
    #expect(guest.run(list, in: 256).data == GoldenVector.named("D13", in: dataVectors).bytes)
    #expect(guest.run([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], lun: 5, in: 512).isGood)
    try controller.removeDisk(lun: 5)
    #expect(isGone(guest.run([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], lun: 5, in: 512)))
    guest.primary.endpoint.run()
    _ = guest.primary.receiveCompletion()
    #expect(guest.primary.noticeCount == 2)
    #expect(throws: SCSIController.ConfigurationError.absent(DiskAddress(lun: 5)!)) {
      try controller.removeDisk(lun: 5)
    }
    #expect(throws: SCSIController.ConfigurationError.occupied(DiskAddress(lun: 1)!)) {
      try controller.addDisk(lun: 1, device: TestDisk(byteCount: 1 << 20))
    }
    #expect(throws: SCSIController.ConfigurationError.address(target: 0, lun: 64)) {
      try controller.addDisk(lun: 64, device: TestDisk(byteCount: 1 << 20))
    }
    #expect(throws: SCSIController.ConfigurationError.sectorByteCount(520)) {
      try controller.addDisk(lun: 2, device: TestDisk(byteCount: 1 << 20, sectorByteCount: 520))
    }
  }

  /// A disk goes while a command runs: that ends normally, the device is let go of, another disk takes the place.
  @Test func removalInFlight() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    let controller = try SCSIController.with(disk)
    let guest = try TestGuest(controller)
    guest.start()
    disk.isHeld.store(true, ordering: .releasing)
    let id = guest.submit([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], in: 512)
    guest.primary.endpoint.run()
    try controller.removeDisk(lun: 0)
    let other = TestDisk(byteCount: 1 << 20)
    other.store([42], at: 0)
    try controller.addDisk(lun: 0, device: other)
    #expect(guest.run([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], in: 512, offset: 4096).data[0] == 42)
    #expect(disk.state.withLock { $0.closedQueueCount } == 0)
    disk.isHeld.store(false, ordering: .releasing)
    guest.primary.endpoint.run()
    let answer = try #require(guest.primary.receiveCompletion())
    #expect(answer.rawSpan.le64(at: 8) == id && guest.result(answer).isGood)
    #expect(disk.state.withLock { $0.closedQueueCount } == 1)
  }

  /// The attention of a resize is given once to each guest, whichever channel asks.
  @Test func resize() throws {
    let disk = TestDisk(byteCount: 1 << 20)
    let controller = try SCSIController.with(disk)
    let a = try TestGuest(controller, id: 1)
    let b = try TestGuest(controller, id: 2)
    a.start()
    b.start()
    let second = try a.openSubChannel(1)
    disk.change { $0.byteCount = 2 << 20 }
    #expect(a.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], in: 8).data == [0, 0, 7, 0xff, 0, 0, 2, 0])
    try controller.diskResized(lun: 0)
    for guest in [a, b] {
      // Commands that look at the unit alone do not take the attention.
      #expect(guest.run(inquiry, in: 36).isGood && guest.run(list, in: 256).isGood)
      // Nor does one whose failure Linux's driver hides: it would take the write cache for none.
      #expect(guest.run([0x1a, 0, 0x3f, 0, 0xc0, 0], in: 0xc0).isGood)
    }
    let write: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    let first = a.run(write, out: [UInt8](repeating: 7, count: 512), on: second)
    #expect(first.sense == .capacityChanged && first.completion.srbStatus.rawValue == 0x84)
    #expect(disk.bytes(at: 0, count: 1) == [0])
    #expect(a.run(ready).isGood && a.run(ready, on: second).isGood)
    #expect(b.run(ready).sense == .capacityChanged && b.run(ready).isGood)
    #expect(a.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], in: 8).data == [0, 0, 0xf, 0xff, 0, 0, 2, 0])
    #expect(a.primary.noticeCount == 1 && b.primary.noticeCount == 1 && second.noticeCount == 0)
    // Smaller again: what was there is out of range.
    disk.change { $0.byteCount = 1 << 20 }
    try controller.diskResized(lun: 0)
    #expect(a.run(ready).sense == .capacityChanged)
    #expect(a.run([0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0], in: 512).sense == .lbaOutOfRange)
  }

  /// No notice below 4.2, a short one at 4.2.
  @Test func oldVersions() throws {
    for version in [StorvscVersion.v2_0, .v4_2] {
      let controller = try SCSIController.with(TestDisk(byteCount: 1 << 20))
      let guest = try TestGuest(controller)
      guest.start(version)
      try controller.addDisk(lun: 1, device: TestDisk(byteCount: 1 << 20))
      guest.primary.endpoint.run()
      #expect(guest.primary.receive()?.count == (version == .v2_0 ? nil : 64))
      // A guest with 48-byte packets.
      let block = [UInt8](repeating: 3, count: 512)
      guest.submit([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], out: block)
      guest.primary.endpoint.run()
      let answer = try #require(guest.primary.receive())
      #expect(answer.count == 64 && answer[28..<30] == [0x24, 0] && guest.result(answer).isGood)
      #expect(guest.run([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], in: 512, offset: 4096).data == block)
      let failed = guest.run([0x28, 0, 0, 0, 255, 0, 0, 0, 1, 0], in: 512)
      #expect(failed.sense == .lbaOutOfRange && failed.completion.senseByteCount == 18)
      // The same guest with packets of 64 bytes, as Linux sends them at every version.
      let packet = GoldenVector.named("V15", in: storvscVectors).bytes
      guest.primary.sendRaw(Array(packet.dropLast(8)))
      guest.primary.endpoint.run()
      #expect(guest.primary.receive()?.count == 80)
    }
  }
}
