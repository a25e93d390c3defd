import Block
import SharedMemory
import StorvscProtocol
@testable import Storvsp
import TestVectors
import Testing
import VMBusChannel
import VMBusProtocol
import WireBytes

@Suite struct TranscriptTests {
  /// The golden transcript against the target: each packet of the guest, each answer at its place in the ring.
  @Test func transcript() throws {
    let disk = TestDisk(byteCount: 64 << 30)
    let controller = try SCSIController.with(disk) { $0.maximumTransferByteCount = 256 << 10 }
    let pages: [UInt64] = [0x12340, 0x12345, 0x12399, 0xabcde, 0x54321, 0x777, 0x888]
    let ranges = try pages.map { GuestMemory.Range(guestAddress: $0 << 12, region: try MemoryRegion(anonymous: 4096)) }
    func page(_ number: UInt64) -> MemorySlice { ranges[pages.firstIndex(of: number)!].region.slice }
    let guest = try TestGuest(controller, ranges: ranges)
    let channel = guest.primary

    func exchange(_ request: String, _ reply: String) {
      let sent = GoldenVector.named(request, in: storvscVectors)
      channel.sendRaw(Array(sent.bytes.dropLast(8)))
      channel.endpoint.run()
      _ = channel.receive()
      expect(reply)
    }
    func expect(_ reply: String) {
      let wanted = GoldenVector.named(reply, in: storvscVectors)
      #expect(channel.hostRing(at: Int(wanted.position), count: wanted.count) == wanted.bytes, "\(reply)")
    }

    exchange("V01", "V02")
    // Our host takes 6.2. A version from the future keeps the places in the ring, and is refused in the same way.
    let refused = guest.step(.queryProtocolVersion, [0x00, 0x07])
    #expect(refused.status == .revisionMismatch && refused.bytes[12..<16] == [0x00, 0x07, 0, 0])
    exchange("V05", "V06")
    exchange("V07", "V08")
    exchange("V09", "V10")
    exchange("V11", "V12")
    #expect(guest.offered.counts.withLock { $0 } == [3])
    exchange("V13", "V14")
    #expect(page(0x12340).slice(at: 0x100, count: 36).bytes()[8..<12] == [0x4d, 0x73, 0x66, 0x74])
    controller.disks[0].post(.capacityChanged)
    exchange("V15", "V16")
    disk.store((0..<8192).map { UInt8(truncatingIfNeeded: $0 / 512 + 1) }, at: 0x1000 * 512)
    exchange("V17", "V18")
    #expect(page(0x12345).bytes()[0x1ff] == 0 && page(0x12345).bytes()[0x200] == 1)
    #expect(page(0x12399).bytes()[0] == 8 && page(0xabcde).bytes()[0x1ff] == 16 && page(0xabcde).bytes()[0x200] == 0)
    disk.fail(.write, .readOnly)
    exchange("V19", "V20")
    exchange("V21", "V22")
    page(0x777).copyIn(GoldenVector.expand("00 16 00 10 [9] 01 00 00 00 00 08 00 00 00 00 00").rawSpan, at: 0x40)
    disk.clearLog()
    exchange("V23", "V24")
    #expect(
      disk.log == [TestDisk.Entry(operation: .discard, offset: 0x10000 * 512, byteCount: 0x800 * 512, flags: 0)])
    exchange("V25", "V26")
    exchange("V27", "V28")
    exchange("V29", "V30")
    try controller.addDisk(lun: 1, device: TestDisk(byteCount: 1 << 20))
    channel.endpoint.run()
    _ = channel.receive()
    expect("V31")
    channel.endpoint.close()
    guest.session.end()
    #expect(controller.sessions.isEmpty)
  }
}
