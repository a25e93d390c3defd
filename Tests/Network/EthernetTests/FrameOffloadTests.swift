import Ethernet
import Testing
import WireBytes

@Suite struct FrameOffloadTests {
  @Test func zeroUDPChecksums() {
    // The sum of 0xffff has the complement zero, which means "none" in UDP.
    var udp: [UInt8] = [0, 0, 0, 0, 0, 0, 0xff, 0xff]
    _ = udp.withMutableBytes { InternetChecksum.complete(&$0, FrameOffload(checksum: .partial(start: 0, offset: 6))) }
    #expect(udp[6] == 0xff && udp[7] == 0xff)
    let odd: [UInt8] = [1, 2, 3, 4, 5, 6, 7]
    let sum = InternetChecksum.sum(odd.rawSpan, 0..<7)
    #expect(sum == 0x0102 + 0x0304 + 0x0506 + 0x0700)
  }

  @Test func contradictoryTapHeaders() {
    func offload(_ header: VirtioNetHeader, _ count: Int = 100) -> FrameOffload? {
      FrameOffload(header, frameByteCount: count)
    }
    var header = VirtioNetHeader(
      flags: 1, gsoType: 1, headerByteCount: 54, segmentByteCount: 1460, checksumStart: 34, checksumOffset: 16)
    #expect(offload(header) != nil && offload(header, 54) != nil && offload(header, 53) == nil)
    header.gsoType = 0x81
    #expect(offload(header)?.segmentation == .tcp4(segmentByteCount: 1460, headerByteCount: 54))
    for type: UInt8 in [2, 3, 5, 0x7f] {
      header.gsoType = type
      #expect(offload(header) == nil)
    }
    header.gsoType = 1
    header.segmentByteCount = 0
    #expect(offload(header) == nil)
    header.segmentByteCount = 1
    header.flags = 0
    #expect(offload(header) == nil)
    #expect(offload(VirtioNetHeader(flags: 2)) == .plain)
    #expect(offload(VirtioNetHeader(flags: 1, checksumStart: .max, checksumOffset: .max)) == nil)
  }
}
