import Ethernet
import TestVectors
import Testing
import WireBytes

@Suite struct FrameFinisherTests {
  /// spec G35: a TCP segment with a seed of 0x14bb.
  static let seeded = hex(
    """
    00155d01 02030015 5d0a0b0c 08004500 002c1234 40004006 13fc0a4d 00020a4d 00019c40 14510102 03040506 07085018 \
    020014bb 00004142 4344
    """)
  /// G37: the headers of 4400 bytes to be cut at 1460.
  static let super4 =
    hex(
      """
      00155d01 02030015 5d0a0b0c 08004500 11581234 40004006 02d00a4d 00020a4d 00019c40 14510102 03040506 07085018 \
      020025e7 0000
      """) + (0..<4400).map { UInt8($0 & 255) }

  @Test func completesTheChecksum() throws {
    let offload = FrameOffload(checksum: .partial(start: 34, offset: 16))
    let frames = try #require(try finish(Self.seeded, offload))
    var expected = Self.seeded
    expected.replaceSubrange(50..<52, with: hex("5400"))
    #expect(frames.map(\.bytes) == [expected])
    #expect(frames[0].offload == FrameOffload(checksum: .verified))
    #expect(frames[0].headerByteCount == expected.count && frames[0].pieceCount == 1)
  }

  /// The golden super-frame as a TCPFrame.
  static let large = TCPFrame(
    identification: 0x1234, sequence: 0x0102_0304, flags: 0x18, payload: (0..<4400).map { UInt8($0 & 255) })

  @Test func testFrameIsTheGoldenOne() {
    #expect(Self.large.bytes(seeded: true) == Self.super4)
  }

  @Test func cutsAndCounts() throws {
    let header = VirtioNetHeader(low: 0x0022_05b4_0036_0101, high: 16)
    let offload = try #require(FrameOffload(header, frameByteCount: Self.super4.count))
    let frames = try #require(try finish(Self.super4, offload))
    #expect(frames.map(\.bytes.count) == [1514, 1514, 1514, 74])
    #expect(frames.map(\.bytes) == Self.large.segments(of: 1460).map { $0.bytes(seeded: false) })
    #expect(frames.allSatisfy { $0.offload == FrameOffload(checksum: .verified) })
    #expect(frames.map { Array($0.bytes[18..<20]) } == (0..<4).map { be16(0x1234 + $0) })
  }

  @Test func tagGoesIntoTheFrameOrStaysBeside() throws {
    // G39: VLAN 100, priority 3.
    let offload = FrameOffload(
      checksum: .partial(start: 34, offset: 16), segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54),
      vlan: 0x6064, flowHash: 7)
    let inside = try #require(try finish(Self.super4, offload, insertsTag: true))
    var tagged = Self.large
    tagged.tags = [hex("81006064")]
    #expect(inside.map(\.bytes) == tagged.segments(of: 1460).map { $0.bytes(seeded: false) })
    #expect(Array(inside[0].bytes[..<18]) == hex("00155d01 02030015 5d0a0b0c 81006064 0800"))
    #expect(inside[0].offload == FrameOffload(checksum: .verified, flowHash: 7))
    let beside = try #require(try finish(Self.super4, offload))
    #expect(beside.map(\.bytes) == Self.large.segments(of: 1460).map { $0.bytes(seeded: false) })
    #expect(beside.allSatisfy { $0.offload.vlan == 0x6064 })

    let plain = try #require(try finish(Self.seeded, FrameOffload(vlan: 5), insertsTag: true))
    #expect(plain.map(\.bytes) == [Array(Self.seeded[..<12]) + hex("81000005") + Array(Self.seeded[12...])])
    #expect(plain[0].offload == .plain)
  }

  @Test func untouchedFramesAreHandedThrough() throws {
    let lent = try LentBytes(Self.seeded, firstByteCount: 34, pieceByteCount: 10)
    var finisher = try FrameFinisher()
    for offload in [FrameOffload.plain, FrameOffload(checksum: .verified), FrameOffload(vlan: 3)] {
      let result = lent.lend(offload) { frame in
        finisher.finish(frame, insertsTag: false) { frame in
          #expect((0..<frame.bytes.count).map { frame.bytes[$0] } == lent.pieces)
          #expect(frame.headerByteCount == 34 && frame.offload == offload)
        }
      }
      #expect(result == .finished(frameCount: 1))
    }
  }

  @Test func sumOfAnyRange() {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<500 {
      let bytes = random.bool() ? random.bytes(200) : [UInt8](repeating: random.bool() ? 0 : 255, count: 200)
      let start = random.number(0...200)
      let range = start..<random.number(start...200)
      let seed = random.bool() ? 0 : random.number(0...0xffff)
      let slow = onesSum(be16(seed) + bytes[range])
      #expect(Int(InternetChecksum.sum(bytes.span.bytes, range, seed: UInt16(seed))) == slow)
    }
  }

  @Test func udpChecksumOfZeroBecomesAllOnes() throws {
    // Seed and bytes sum to 0xffff.
    var frame = TCPFrame.ethernet + hex("0800 4500001e 00000000 40110000 0a4d0002 0a4d0001 00010002 000a0000 0000")
    frame.replaceSubrange(40..<42, with: be16(0xffff - 0x0d))
    let frames = try #require(try finish(frame, FrameOffload(checksum: .partial(start: 34, offset: 6))))
    #expect(Array(frames[0].bytes[40..<42]) == [255, 255])
  }

  @Test func anyHeadersAndSizes() throws {
    var random = SeededGenerator(seed: 1)
    for round in 0..<300 {
      let frame = TCPFrame.random(&random, payloadByteCount: random.number(0...(round % 10 == 0 ? 64_000 : 5000)))
      let segment = random.number(round % 10 == 0 ? 500...9000 : 8...1500)
      var offload = frame.offload(segmentByteCount: segment)
      var bytes = frame.bytes(seeded: true)
      var expected = frame
      let insertsTag = random.bool()
      if random.bool(), frame.tags.count < 2 {
        // The owner has taken one more tag out.
        offload.vlan = UInt16(random.number(0...0xffff))
        if insertsTag { expected.tags.insert(hex("8100") + be16(Int(offload.vlan!)), at: 0) }
      }
      if random.number(0...3) == 0 { bytes += [UInt8](repeating: 0, count: random.number(1...40)) }
      let frames = try finish(
        bytes, offload, insertsTag: insertsTag, firstByteCount: min(bytes.count, random.number(54...140)),
        pieceByteCount: random.number(100...5000))
      let segments = expected.segments(of: segment)
      #expect(frames?.count == segments.count, "round \(round): \(frame)")
      for (index, segment) in segments.enumerated() {
        guard frames?[index].bytes == segment.bytes(seeded: false) else {
          Issue.record("round \(round), segment \(index): \(frame.headersByteCount)")
          return
        }
      }
    }
  }

  @Test func contradictionsAreMalformed() throws {
    let good = Self.large.offload(segmentByteCount: 1460)
    func isMalformed(_ offload: FrameOffload, _ change: (inout [UInt8]) -> Void = { _ in }) throws -> Bool {
      var bytes = Self.super4
      change(&bytes)
      return try finish(bytes, offload) == nil
    }
    #expect(try !isMalformed(good))
    var offload = good
    offload.segmentation = .tcp6(segmentByteCount: 1460, headerByteCount: 54)
    #expect(try isMalformed(offload))
    for segment: UInt16 in [0, 1, 7] {
      offload.segmentation = .tcp4(segmentByteCount: segment, headerByteCount: 54)
      #expect(try isMalformed(offload))
    }
    offload = good
    offload.checksum = .complete
    #expect(try isMalformed(offload))
    for (start, offset): (UInt16, UInt16) in [(0, 16), (33, 16), (38, 16), (34, 6), (4439, 16), (65535, 16)] {
      offload.checksum = .partial(start: start, offset: offset)
      #expect(try isMalformed(offload), "\(start) \(offset)")
    }
    #expect(try isMalformed(good) { $0[23] = 17 })
    #expect(try isMalformed(good) { $0[20] = 0x20 })
    #expect(try isMalformed(good) { $0[46] = 0x40 })
    #expect(try isMalformed(good) { $0.replaceSubrange(16..<18, with: be16(4441)) })
    #expect(try isMalformed(good) { $0.replaceSubrange(16..<18, with: be16(39)) })
    #expect(try isMalformed(good) { $0.removeLast($0.count - 40) })
    #expect(try finish([1, 2, 3], FrameOffload(checksum: .partial(start: 0, offset: 0))) == nil)
    #expect(try finish(Self.seeded, FrameOffload(checksum: .partial(start: 50, offset: 7))) == nil)
    #expect(
      try finish(
        [UInt8](repeating: 0, count: FrameRoom.maximumFrameByteCount + 1),
        FrameOffload(checksum: .partial(start: 0, offset: 0))) == nil)
  }

  @Test func randomFramesNeverTrap() throws {
    var random = SeededGenerator(seed: 2)
    var finisher = try FrameFinisher()
    var handedOut = 0
    for _ in 0..<5000 {
      var frame = TCPFrame.random(&random, payloadByteCount: random.number(0...600))
      frame.isIPv6 = random.bool()
      var bytes = frame.bytes(seeded: true)
      for _ in 0..<random.number(0...3) {
        bytes[random.number(0...min(90, bytes.count - 1))] = UInt8(random.number(0...255))
      }
      if random.number(0...3) == 0 { bytes.removeLast(random.number(0...(bytes.count - 1))) }
      var offload = frame.offload(segmentByteCount: random.number(0...300))
      switch random.number(0...3) {
      case 0: offload.checksum = .partial(start: UInt16(random.number(0...120)), offset: UInt16(random.number(0...20)))
      case 1: offload.segmentation = .tcp4(segmentByteCount: UInt16(random.number(0...65535)), headerByteCount: 0)
      default: break
      }
      if random.bool() { offload.vlan = 9 }
      let lent = try LentBytes(bytes, firstByteCount: random.number(14...140), pieceByteCount: random.number(1...100))
      var count = 0
      let insertsTag = random.bool()
      let result = lent.lend(offload) { frame in
        finisher.finish(frame, insertsTag: insertsTag) { frame in
          count += 1
          handedOut += frame.byteCount
        }
      }
      if case .finished(let told) = result { #expect(told == count) } else { #expect(count == 0) }
    }
    #expect(handedOut > 0)
  }

  @Test func tellsWhatASinkNeeds() {
    let plain = FrameOffload(checksum: .verified, vlan: 1)
    #expect(!plain.needsFinishing(for: []) && plain.needsFinishing(for: .all, insertsTag: true))
    let partial = FrameOffload(checksum: .partial(start: 34, offset: 16))
    #expect(partial.needsFinishing(for: [.tcp4]) && !partial.needsFinishing(for: .checksum))
    let four = Self.large.offload(segmentByteCount: 1000)
    #expect(!four.needsFinishing(for: .tcp4) && four.needsFinishing(for: [.checksum, .tcp6]))
  }
}
