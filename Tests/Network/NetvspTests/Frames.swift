import Ethernet
import WireBytes

/// Bytes in hexadecimal; `[n]` is n zero bytes.
func hex(_ text: String) -> [UInt8] {
  text.split(whereSeparator: \.isWhitespace).flatMap { word in
    if word.hasPrefix("[") { return [UInt8](repeating: 0, count: Int(word.dropFirst().dropLast())!) }
    let digits = Array(word.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)!
    }
  }
}

enum Frames {
  static let arp = hex(
    """
    ffffffffffff 00155d0a0b0c 0806 0001080006040001 00155d0a0b0c 0a4d0002 000000000000 0a4d0001 [18]
    """)

  /// A frame of `count` bytes to the guest or a group, which is no IP.
  static func plain(_ count: Int, to destination: String = "00155d0a0b0c", fill: UInt8 = 0x5a) -> [UInt8] {
    hex(destination) + hex("00155d010203 88b5") + [UInt8](repeating: fill, count: count - 14)
  }

  static func sum(_ bytes: [UInt8]) -> UInt16 {
    var total = 0
    for (index, byte) in bytes.enumerated() { total += Int(byte) << (index % 2 == 0 ? 8 : 0) }
    while total > 0xffff { total = total & 0xffff + total >> 16 }
    return UInt16(total)
  }

  static func be(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

  /// A TCP or UDP frame from 10.77.0.2:40000 to 10.77.0.1:5201, or of IPv6; the layer-4 checksum is complete.
  static func ip(payload: Int, udp: Bool = false, v6: Bool = false, port: Int = 40_000) -> [UInt8] {
    let data = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    var segment = be(port) + be(5201)
    segment += udp ? be(8 + payload) + [0, 0] : hex("01020304 05060708 5018 0200 0000 0000")
    segment += data
    let source = v6 ? hex("fd000000 00000000 00000000 00000002") : hex("0a4d0002")
    let target = v6 ? hex("fd000000 00000000 00000000 00000001") : hex("0a4d0001")
    let number: UInt8 = udp ? 17 : 6
    let pseudo = source + target + [0, 0] + be(segment.count >> 16) + be(segment.count & 0xffff) + [0, number]
    var checksum = ~sum(pseudo + segment)
    if udp, checksum == 0 { checksum = 0xffff }
    segment.replaceSubrange((udp ? 6 : 16)..<(udp ? 8 : 18), with: be(Int(checksum)))
    var network: [UInt8]
    if v6 {
      network = hex("60000000") + be(segment.count) + [number, 64] + source + target
    } else {
      network = hex("4500") + be(20 + segment.count) + hex("1234 4000 40") + [number, 0, 0] + source + target
      network.replaceSubrange(10..<12, with: be(Int(~sum(network))))
    }
    return hex("00155d010203 00155d0a0b0c") + (v6 ? hex("86dd") : hex("0800")) + network + segment
  }

  /// The frame with the seed of the pseudo-header in its checksum field, and how it is then told.
  static func seeded(_ frame: [UInt8], segment: UInt16? = nil) -> TestFrame {
    let v6 = frame[12] == 0x86
    let start = v6 ? 54 : 34
    let udp = frame[v6 ? 20 : 23] == 17
    let field = udp ? 6 : 16
    let addresses = v6 ? Array(frame[22..<54]) : Array(frame[26..<34])
    let seed = sum(addresses + [0, frame[v6 ? 20 : 23]] + be(frame.count - start))
    var bytes = frame
    bytes.replaceSubrange((start + field)..<(start + field + 2), with: be(Int(seed)))
    var offload = FrameOffload(checksum: .partial(start: UInt16(start), offset: UInt16(field)))
    if let segment {
      let end = UInt16(start + 20)
      offload.segmentation =
        v6
        ? .tcp6(segmentByteCount: segment, headerByteCount: end)
        : .tcp4(segmentByteCount: segment, headerByteCount: end)
    }
    return TestFrame(bytes: bytes, offload: offload)
  }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}

// A span inside an expectation would outlive its owner: these take the owner.

extension [UInt8] {
  func le32(at offset: Int) -> UInt32 { rawSpan.le32(at: offset) }
  func le64(at offset: Int) -> UInt64 { rawSpan.le64(at: offset) }
}
