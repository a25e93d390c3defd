import LinuxIO
import SharedMemory
import Support
import Testing
import VMBusChannel
import VMBusClient
import WireBytes

/// The guest's memory: allocated, freed, zeroed, and named to the host.
@Suite(.serialized) struct MemoryTests {
  @Test func allocateAndFree() throws {
    var settings = VMBusClient.Settings()
    settings.memoryByteCount = 4 << 20
    let bus = try TestBus(.embedded, guest: settings)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    var random = RandomNumbers(seed: 4)
    var pieces: [MemorySlice] = []
    for _ in 0..<3000 {
      if random.next() & 1 == 0, let piece = try? device.allocateMemory(byteCount: Int(random.next() % 200_000) + 1) {
        #expect(piece.byteCount % pageByteCount == 0)
        #expect(piece.word32(at: 0).loadRelaxed() == 0 && piece.word32(at: piece.byteCount - 4).loadRelaxed() == 0)
        #expect(
          pieces.allSatisfy {
            $0.address + UInt($0.byteCount) <= piece.address || piece.address + UInt(piece.byteCount) <= $0.address
          })
        piece.fill(0xff)
        pieces.append(piece)
      } else if !pieces.isEmpty {
        device.freeMemory(pieces.remove(at: Int(random.next() % UInt64(pieces.count))))
      }
    }
    for piece in pieces { device.freeMemory(piece) }
    let all = try device.allocateMemory(byteCount: (4 << 20) - 8192)
    device.freeMemory(all)
    #expect(throws: ChannelError.self) { _ = try device.allocateMemory(byteCount: 4 << 20) }
  }

  @Test(arguments: TestBus.Attachment.allCases) func theHostReadsIt(attachment: TestBus.Attachment) throws {
    let bus = try TestBus(attachment)
    defer { bus.stop() }
    let device = try #require(bus.echo)
    let driver = EchoDriver(try device.openPrimary(ringByteCount: 16384))
    let slice = try device.allocateMemory(byteCount: 16384)
    slice.fill(3)
    let address = try #require(device.memory.guestAddress(of: slice))
    #expect(
      try driver.channel.sendGPADirect(
        transactionID: 5, guestAddress: address + 100, byteCount: 10_000, payload: [0].rawSpan))
    #expect(try driver.answer().prefix(8) == [0x30, 0x75, 0, 0, 0, 0, 0, 0])
    // Memory that does not exist.
    #expect(
      try driver.channel.sendGPADirect(transactionID: 6, guestAddress: 4096, byteCount: 10, payload: [0].rawSpan))
    #expect(try driver.answer().prefix(8).allSatisfy { $0 == 0xff })
    device.close()
  }
}
