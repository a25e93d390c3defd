import SharedMemory
import Testing
import VMBusRing

/// The ring states R1 to R14 of the protocol notes: indices before, action, indices after, bytes, signal.
@Suite struct RingStateTests {
  let region: MemoryRegion
  var memory: MemorySlice { region.slice }
  var data: MemorySlice { memory.dropFirst(4096) }

  init() throws {
    region = try MemoryRegion(anonymous: 8192)
  }

  /// V36: in-band, completion requested, "hello".
  static let v36: [UInt8] = [
    0x06, 0, 2, 0, 3, 0, 1, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0, 0, 0,
  ]

  func set(write: UInt32, read: UInt32, mask: UInt32 = 0, pending: UInt32 = 0) {
    OutgoingRing.initialize(memory)
    memory.word32(at: RingLayout.writeIndex).storeReleasing(write)
    memory.word32(at: RingLayout.readIndex).storeReleasing(read)
    memory.word32(at: RingLayout.interruptMask).storeReleasing(mask)
    memory.word32(at: RingLayout.pendingSendSize).storeReleasing(pending)
  }

  func word(_ offset: Int) -> UInt32 { memory.word32(at: offset).loadAcquiring() }

  func bytes(_ range: Range<Int>) -> [UInt8] { data.slice(at: range.lowerBound, count: range.count).bytes() }

  @Test(
    arguments: [
      (4072, 4072, 0, true), (4072, 4000, 0, false), (4072, 4072, 1, false),
    ] as [(UInt32, UInt32, UInt32, Bool)])
  func r1ToR3(write: UInt32, read: UInt32, mask: UInt32, signals: Bool) throws {
    set(write: write, read: read, mask: mask)
    let ring = try Writer(memory)
    #expect(try ring.write(Self.v36))
    #expect(word(RingLayout.writeIndex) == write)
    #expect(ring.publish() == signals)
    #expect(word(RingLayout.writeIndex) == 8)
    #expect(bytes(4072..<4096) == Self.v36)
    #expect(bytes(0..<8) == [0, 0, 0, 0, 0xe8, 0x0f, 0, 0])
  }

  @Test func r4SplitDescriptor() throws {
    set(write: 4088, read: 4088)
    let ring = try Writer(memory)
    #expect(try ring.write(Self.v36))
    #expect(ring.publish())
    #expect(word(RingLayout.writeIndex) == 24)
    #expect(bytes(4088..<4096) == Array(Self.v36[0..<8]))
    #expect(bytes(0..<16) == Array(Self.v36[8..<24]))
    #expect(bytes(16..<24) == [0, 0, 0, 0, 0xf8, 0x0f, 0, 0])
  }

  @Test func r5Refused() throws {
    set(write: 0, read: 32)
    let ring = try Writer(memory)
    #expect(try !ring.write(Self.v36))
    #expect(!ring.publish())
    #expect(word(RingLayout.writeIndex) == 0)
  }

  @Test func r6AlmostFull() throws {
    set(write: 0, read: 40)
    let ring = try Writer(memory)
    #expect(try ring.write(Self.v36))
    #expect(!ring.publish())
    #expect(word(RingLayout.writeIndex) == 32)
  }

  @Test func r7Batch() throws {
    set(write: 0, read: 0)
    let ring = try Writer(memory)
    #expect(try ring.write(Self.v36))
    #expect(try ring.write(Self.v36))
    #expect(ring.publish())
    #expect(!ring.publish())
    #expect(word(RingLayout.writeIndex) == 64)
    #expect(data.loadLE64(at: 24) == 0)
    #expect(data.loadLE64(at: 56) == 32 << 32)
  }

  /// Packets of 32 bytes everywhere, so that any aligned index is a packet.
  func fillWithPackets(from first: Int, count: Int) {
    for index in 0..<count {
      for (offset, byte) in Self.v36.enumerated() {
        data.slice(at: (first + index * 32 + offset) % 4096, count: 1).fill(byte)
      }
    }
  }

  @Test(arguments: [(88, 120, false), (120, 152, true), (152, 184, false)] as [(UInt32, UInt32, Bool)])
  func r8ToR10(read: UInt32, after: UInt32, signals: Bool) throws {
    set(write: 24, read: read, pending: 96)
    fillWithPackets(from: Int(read), count: 4)
    let ring = try Reader(memory)
    #expect(try ring.read() == 24)
    #expect(ring.buffer.prefix(24).elementsEqual(Self.v36))
    #expect(word(RingLayout.readIndex) == read)
    #expect(try ring.release() == signals)
    #expect(word(RingLayout.readIndex) == after)
    #expect(try !ring.release())
  }

  @Test func r11OddPendingSize() throws {
    set(write: 64, read: 0, pending: 4095)
    fillWithPackets(from: 0, count: 2)
    let ring = try Reader(memory)
    for _ in 0..<2 { #expect(try ring.read() == 24) }
    #expect(try ring.release())
    #expect(word(RingLayout.readIndex) == 64)
  }

  @Test func r12WrappedPacket() throws {
    set(write: 8, read: 4072)
    fillWithPackets(from: 4072, count: 1)
    let ring = try Reader(memory)
    #expect(try ring.read() == 24)
    #expect(ring.buffer.prefix(24).elementsEqual(Self.v36))
    #expect(try ring.isEmpty())
    _ = try ring.release()
    #expect(word(RingLayout.readIndex) == 8)
  }

  @Test(arguments: [4, 4096, 0xffff_fff8, 4100] as [UInt32])
  func r13AndR14CorruptIndex(index: UInt32) throws {
    set(write: 0, read: 0)
    let incoming = try Reader(memory)
    let outgoing = try Writer(memory)
    memory.word32(at: RingLayout.writeIndex).storeReleasing(index)
    memory.word32(at: RingLayout.readIndex).storeReleasing(index)
    #expect(throws: RingError.corruptIndex(index)) { _ = try incoming.read() }
    #expect(throws: RingError.corruptIndex(index)) { _ = try outgoing.isDrained() }
    #expect(throws: RingError.corruptIndex(index)) { _ = try Writer(memory) }
    #expect(throws: RingError.corruptIndex(index)) { _ = try Reader(memory) }
  }

  @Test func lengthsThatCannotBe() throws {
    for length8 in [0, 1, 4, 0xffff] as [UInt16] {
      set(write: 32, read: 0)
      data.storeLE64(UInt64(6) | 2 << 16 | UInt64(length8) << 32, at: 0)
      let ring = try Reader(memory)
      #expect(throws: RingError.corruptLength(length8: length8, available: 32)) {
        _ = try ring.read()
      }
    }
    set(write: 8, read: 0)
    let ring = try Reader(memory)
    #expect(throws: RingError.corruptLength(length8: 0, available: 8)) {
      _ = try ring.read()
    }
  }

  @Test func packetsLongerThanTheBuffer() throws {
    set(write: 0, read: 0)
    let writer = try Writer(memory)
    var packet = [UInt8](repeating: 0, count: 128)
    packet[0] = 6
    packet[2] = 2
    packet[4] = 16
    #expect(try writer.write(packet))
    #expect(writer.publish())
    let ring = try Reader(memory, buffer: 120)
    #expect(throws: RingError.oversized(byteCount: 128, maximum: 120)) {
      _ = try ring.read()
    }
  }

  @Test func maskAndSpaceRequests() throws {
    set(write: 0, read: 40)
    let writer = try Writer(memory)
    let reader = try Reader(memory)
    reader.maskInterrupts()
    #expect(word(RingLayout.interruptMask) == 1)
    #expect(try reader.unmaskInterrupts())
    #expect(word(RingLayout.interruptMask) == 0)
    #expect(try !writer.requestSpace(forPacketOf: 32))
    #expect(word(RingLayout.pendingSendSize) == 40)
    // The request ends by itself when a packet has room.
    memory.word32(at: RingLayout.readIndex).storeReleasing(64)
    #expect(try writer.write(Self.v36))
    #expect(word(RingLayout.pendingSendSize) == 0)
    #expect(try writer.requestSpace(forPacketOf: 8))
    #expect(word(RingLayout.pendingSendSize) == 0)
  }

  @Test func memoryThatIsNoRing() throws {
    for count in [0, 4096, 8192 + 8] {
      let slice = try MemoryRegion(anonymous: 16384).slice.slice(at: 0, count: count)
      #expect(throws: RingError.invalidMemory(byteCount: count)) { _ = try Writer(slice) }
    }
    #expect(throws: RingError.invalidMemory(byteCount: 8192)) {
      _ = try Reader(MemoryRegion(anonymous: 16384).slice.slice(at: 8, count: 8192))
    }
  }
}
