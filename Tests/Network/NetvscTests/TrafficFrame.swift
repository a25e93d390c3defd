import Ethernet

/// What a stream of frames is made of.
struct TrafficProfile: Sendable {
  /// The payload of the longest frame that is not cut.
  var mtu = 1500
  /// The payload of the longest TCP frame that is to be cut; 0 for none.
  var longest = 60_000
  /// Whether frames that are too short for their number are among them.
  var hasShort = true
  /// Whether some say that their checksum was verified, and what the hash of their flow is.
  var isFromWire = false
}

/// Frame `number` of a stream that both ends can compute, made and finished without the code under test.
struct TrafficFrame {
  var bytes: [UInt8]
  var offload = FrameOffload.plain
  /// Where the payload starts, at whose start is the number.
  private var dataOffset = 14

  init(_ number: Int, seed: UInt64, _ profile: TrafficProfile) {
    var random = Random(state: (seed &+ UInt64(number)) &* 0x9e37_79b9_7f4a_7c15 | 1)
    for _ in 0..<4 { _ = random.next() }
    bytes = [0x00, 0x15, 0x5d, 1, 2, 3, 0x02, 0, 0, 0, 0, UInt8(truncatingIfNeeded: seed)]
    let kind = random.below(20)
    switch kind {
    case 0..<6:
      bytes += [0x88, 0xb5]
      let least = profile.hasShort ? 0 : 8
      bytes += Self.data(number, least + random.below(profile.mtu - least + 1), &random)
    default:
      let isCut = kind == 19 && profile.longest > 0
      addPacket(number, isTCP: isCut || random.below(2) == 0, isCut: isCut, profile, &random)
    }
    if random.below(4) == 0 { offload.vlan = UInt16(random.below(0x10000)) }
    if profile.isFromWire, random.below(3) == 0 { offload.flowHash = UInt32(truncatingIfNeeded: random.next()) }
  }

  private static func data(_ number: Int, _ count: Int, _ random: inout Random) -> [UInt8] {
    var data = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    while data.count < count {
      let word = random.next()
      for shift in 0..<8 { data.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(shift)))) }
    }
    return Array(data.prefix(count))
  }

  private mutating func addPacket(
    _ number: Int, isTCP: Bool, isCut: Bool, _ profile: TrafficProfile, _ random: inout Random
  ) {
    let isIPv6 = random.below(2) == 0
    let options = isTCP ? 4 * random.below(11) : 0
    let headers = (isIPv6 ? 40 : 20) + (isTCP ? 20 + options : 8)
    let most = (isCut ? profile.longest : profile.mtu) - headers
    let payload = Self.data(number, 8 + random.below(most - 7), &random)
    let layer4 = 14 + (isIPv6 ? 40 : 20)
    let length = headers - layer4 + 14 + payload.count
    if isIPv6 {
      bytes += [0x86, 0xdd, 0x60, 0, 0, 0] + big(length) + [isTCP ? 6 : 17, 64]
      bytes += [0xfd] + random.bytes(15) + [0xfd] + random.bytes(15)
    } else {
      bytes += [0x08, 0, 0x45, 0] + big(length + 20) + big(number & 0xffff) + [0x40, 0, 64, isTCP ? 6 : 17, 0, 0]
      bytes += [10] + random.bytes(3) + [10] + random.bytes(3)
    }
    bytes += random.bytes(4)
    if isTCP {
      bytes += random.bytes(8) + [UInt8(20 + options) << 2, [0x10, 0x18, 0x19, 0x98][random.below(4)]]
      bytes += [1, 0, 0, 0, 0, 0] + [UInt8](repeating: 1, count: options)
    } else {
      bytes += big(length) + [0, 0]
    }
    dataOffset = bytes.count
    bytes += payload
    bytes = WireFrame.withLengths(bytes)
    let field = isTCP ? 16 : 6
    let finished = { (bytes: [UInt8]) in WireFrame.summed(bytes, from: layer4, field: field) }
    let choice = random.below(3)
    if isCut {
      offload.checksum = .partial(start: UInt16(layer4), offset: UInt16(field))
      let segment = UInt16(profile.mtu - headers)
      let end = UInt16(14 + headers)
      offload.segmentation =
        isIPv6
        ? .tcp6(segmentByteCount: segment, headerByteCount: end)
        : .tcp4(segmentByteCount: segment, headerByteCount: end)
    } else if choice == 0 {
      offload.checksum = .partial(start: UInt16(layer4), offset: UInt16(field))
    } else {
      bytes = finished(bytes)
      if choice == 1, profile.isFromWire { offload.checksum = .verified }
    }
  }

  /// The number of a frame of any stream, as it is in memory; nil for what is too short, or of another stream.
  static func number(in bytes: [UInt8], seed: UInt64) -> Int? {
    guard bytes.count >= 22, bytes[11] == UInt8(truncatingIfNeeded: seed) else { return nil }
    var offset = 14
    if bytes[12] == 0x08 || bytes[12] == 0x86 {
      let isIPv6 = bytes[12] == 0x86
      offset = isIPv6 ? 54 : 34
      guard bytes.count > offset + 12 else { return nil }
      let isTCP = bytes[isIPv6 ? 20 : 23] == 6
      offset += isTCP ? Int(bytes[offset + 12] >> 4) * 4 : 8
    }
    if bytes[12] == 0x88, bytes[13] != 0xb5 { return nil }
    guard bytes.count >= offset + 8 else { return nil }
    var number = 0
    for index in 0..<8 { number |= Int(bytes[offset + index]) << (8 * index) }
    return number
  }
}

/// The frames for which one of any form stands on the wire, the slow way.
enum WireFrame {
  static func all(_ bytes: [UInt8], _ offload: FrameOffload) -> [[UInt8]] {
    switch offload.segmentation {
    case .tcp4(let segment, _), .tcp6(let segment, _): return cut(bytes, segment: Int(segment))
    case .none: break
    }
    guard case .partial(let start, let offset) = offload.checksum else { return [bytes] }
    return [seeded(bytes, from: Int(start), field: Int(offset))]
  }

  /// The segments of a TCP frame, whatever its checksum field holds.
  static func cut(_ bytes: [UInt8], segment: Int) -> [[UInt8]] {
    let tcp = bytes[12] == 0x86 ? 54 : 34
    let end = tcp + Int(bytes[tcp + 12] >> 4) * 4
    let starts = Array(stride(from: end, to: bytes.count, by: segment))
    return starts.enumerated().map { index, start in
      var result = Array(bytes[0..<end])
      if bytes[12] == 0x08 {
        result.replaceSubrange(18..<20, with: big((Int(bytes[18]) << 8 + Int(bytes[19]) + index) & 0xffff))
      }
      var sequence = 0
      for index in 0..<4 { sequence = sequence << 8 | Int(bytes[tcp + 4 + index]) }
      sequence += start - end
      result.replaceSubrange(tcp + 4..<tcp + 8, with: big(sequence >> 16 & 0xffff) + big(sequence & 0xffff))
      if index > 0 { result[tcp + 13] &= 0x7f }
      if index < starts.count - 1 { result[tcp + 13] &= 0xf6 }
      result += bytes[start..<min(bytes.count, start + segment)]
      return summed(withLengths(result), from: tcp, field: 16)
    }
  }

  /// With the lengths and the IPv4 checksum that the frame has, and the sum of the pseudo-header in the layer-4 checksum.
  static func withLengths(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    let isIPv6 = bytes[12] == 0x86
    let layer4 = isIPv6 ? 54 : 34
    if isIPv6 {
      bytes.replaceSubrange(18..<20, with: big(bytes.count - 54))
    } else {
      bytes.replaceSubrange(16..<18, with: big(bytes.count - 14))
      bytes.replaceSubrange(24..<26, with: [0, 0])
      bytes.replaceSubrange(24..<26, with: big(0xffff ^ sum(bytes, 14..<34)))
    }
    let number = Int(bytes[isIPv6 ? 20 : 23])
    let field = layer4 + (number == 6 ? 16 : 6)
    let pseudo = sum(bytes, isIPv6 ? 22..<54 : 26..<34) + number + bytes.count - layer4
    bytes.replaceSubrange(field..<field + 2, with: big(folded(pseudo)))
    return bytes
  }

  /// With the checksum over the frame, whose seed is in the field already.
  static func seeded(_ bytes: [UInt8], from start: Int, field: Int) -> [UInt8] {
    var bytes = bytes
    guard start + field + 2 <= bytes.count else { return [] }
    var value = 0xffff ^ sum(bytes, start..<bytes.count)
    if value == 0, field == 6 { value = 0xffff }
    bytes.replaceSubrange(start + field..<start + field + 2, with: big(value))
    return bytes
  }

  static func summed(_ bytes: [UInt8], from start: Int, field: Int) -> [UInt8] {
    seeded(withLengths(bytes), from: start, field: field)
  }

  private static func sum(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
    var total = 0
    var index = range.lowerBound
    while index + 1 < range.upperBound {
      total &+= Int(bytes[index]) << 8 | Int(bytes[index &+ 1])
      index &+= 2
    }
    if index < range.upperBound { total &+= Int(bytes[index]) << 8 }
    return folded(total)
  }

  private static func folded(_ total: Int) -> Int {
    var total = total
    while total > 0xffff { total = total & 0xffff + total >> 16 }
    return total
  }
}

private func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
