import Testing
import WireBytes

@Suite struct WireBytesTests {
  @Test func loadsBothByteOrdersAtOddOffsets() {
    let bytes: [UInt8] = [0xff, 1, 2, 3, 4, 5, 6, 7, 8]
    let span = bytes.rawSpan
    #expect(span.byte(at: 0) == 0xff)
    #expect(span.le16(at: 1) == 0x0201)
    #expect(span.le32(at: 1) == 0x0403_0201)
    #expect(span.le64(at: 1) == 0x0807_0605_0403_0201)
    #expect(span.be16(at: 1) == 0x0102)
    #expect(span.be32(at: 1) == 0x0102_0304)
    #expect(span.be64(at: 1) == 0x0102_0304_0506_0708)
    #expect(span.array(from: 7) == [7, 8])
    #expect(span.array(from: 1, count: 2) == [1, 2])
  }

  @Test func storesBothByteOrdersAtOddOffsets() {
    let bytes = [UInt8](zeroed: 9) { span in
      span.storeLE(UInt32(0x0403_0201), at: 1)
      span.storeBE(UInt16(0x0506), at: 5)
      span.store(([7, 8] as [UInt8]).rawSpan, at: 7)
      span.zero(from: 7, count: 1)
    }
    #expect(bytes == [0, 1, 2, 3, 4, 5, 6, 0, 8])
  }

  @Test func loadPastTheEndTraps() async {
    await #expect(processExitsWith: .failure) {
      let bytes: [UInt8] = [1, 2, 3]
      _ = bytes.rawSpan.le32(at: 0)
    }
  }
}
