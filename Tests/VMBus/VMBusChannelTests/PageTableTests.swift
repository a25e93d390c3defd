import LinuxIO
import SharedMemory
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// Guest memory whose pages do not follow each other.
@Suite struct PageTableTests {
  private let region: MemoryRegion
  private let host: Channel

  init() throws {
    region = try MemoryRegion(anonymous: 32768)
    OutgoingRing.initialize(region.slice.slice(at: 0, count: 16384))
    OutgoingRing.initialize(region.slice.dropFirst(16384))
    host = try Channel(
      relid: 1, outgoing: region.slice.dropFirst(16384), incoming: region.slice.slice(at: 0, count: 16384),
      acceptedTypes: .fromGuest, doorbell: SilentDoorbell(), waitDescriptor: -1)
  }

  private func guest(_ table: GuestPageTable?) throws -> Channel {
    try Channel(
      relid: 1, outgoing: region.slice.slice(at: 0, count: 16384), incoming: region.slice.dropFirst(16384),
      acceptedTypes: .fromHost, doorbell: SilentDoorbell(), waitDescriptor: -1, pageTable: table)
  }

  private func sent(_ guest: Channel, _ address: UInt64, _ byteCount: Int) throws -> [UInt8] {
    let payload: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    #expect(
      try guest.sendGPADirect(
        transactionID: 9, guestAddress: address, byteCount: byteCount, payload: payload.rawSpan))
    try guest.flush()
    return try #require(try host.receive { _, packet in packet.array() })
  }

  /// The 64-bit words of a packet from byte `offset` on.
  private func words(_ packet: [UInt8], from offset: Int) -> [UInt64] {
    stride(from: offset, to: packet.count, by: 8).map { packet.rawSpan.le64(at: $0) }
  }

  @Test func packetNamesTheRealPages() throws {
    let base: UInt64 = 1 << 46
    let guest = try guest(GuestPageTable(guestAddress: base, pages: [900, 17, 18, 4, 1 << 40]))
    // From byte 0xf00 of the second page on, over the third, into the fourth.
    let packet = try sent(guest, base + 0x1f00, 0x100 + 0x1000 + 1)
    #expect(words(packet, from: 24) == [UInt64(0x1101) | 0xf00 << 32, 17, 18, 4, 0x0807_0605_0403_0201])
    #expect(words(try sent(guest, base + 0x4000, 4096), from: 24).dropLast() == [0x1000, 1 << 40])
  }

  @Test func contiguousTableSaysTheSameAsNoTable() throws {
    let without = try sent(try guest(nil), 0x7000_0123, 9000)
    let pages = (0..<4).map { UInt64(0x70000 + $0) }
    OutgoingRing.initialize(region.slice.slice(at: 0, count: 16384))
    let again = try PageTableTests()
    let with = try again.sent(
      try again.guest(GuestPageTable(guestAddress: 0x7000_0000, pages: pages)), 0x7000_0123, 9000)
    #expect(with == without)
  }

  @Test(arguments: [(0, 4096), (1 << 46 - 1, 2), (1 << 46 + 0x2000, 1), (1 << 46 + 0x1fff, 2)])
  func memoryWithoutNumbersIsRefused(address: Int, byteCount: Int) throws {
    let guest = try guest(GuestPageTable(guestAddress: 1 << 46, pages: [1, 2]))
    let payload = [UInt8](repeating: 0, count: 8)
    #expect {
      try guest.sendGPADirect(
        transactionID: 1, guestAddress: UInt64(address), byteCount: byteCount, payload: payload.rawSpan)
    } throws: { error in
      if case .system(_, .EFAULT)? = error as? ChannelError { true } else { false }
    }
    try guest.flush()
    #expect(try host.receive { _, _ in true } == nil)
  }

  @Test func memoryOfAPageTableKeepsItsAddresses() throws {
    let memory = try MemoryRegion(anonymous: 3 * 4096)
    let range = GuestMemory.Range(guestAddress: 1 << 46, region: memory, pages: [5, 3, 9])
    let guest = GuestMemory([range])
    #expect(guest.guestAddress(of: memory.slice.slice(at: 4096, count: 100)) == 1 << 46 + 4096)
    #expect(range.pageTable?.pages == [5, 3, 9])
    #expect(range.pageTable?.indices(first: (1 << 46) / 4096 + 1, count: 2) == 1..<3)
    #expect(range.pageTable?.indices(first: (1 << 46) / 4096 + 1, count: 3) == nil)
    #expect(GuestMemory.Range(guestAddress: 0, region: memory).pageTable == nil)
  }
}
