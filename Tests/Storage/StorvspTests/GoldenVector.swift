/// A golden vector: bytes computed from the layouts by another program, with a checksum of its own.
///
/// In the text `[n]` is n zero bytes, any other word is one byte in hexadecimal.
struct GoldenVector {
  let name: String
  let count: Int
  let checksum: UInt32
  /// The offset in the ring of a packet, or 0.
  let position: UInt32
  let bytes: [UInt8]

  init(_ line: Substring) {
    let parts = line.split(separator: "|")
    let facts = parts[1].split(separator: " ")
    name = String(parts[0].prefix(3))
    count = Int(facts[0])!
    checksum = UInt32(facts[1], radix: 16)!
    position = facts.count > 2 ? UInt32(facts[2].dropFirst(4), radix: 16)! : 0
    bytes = GoldenVector.expand(parts[2])
  }

  static func expand(_ text: some StringProtocol) -> [UInt8] {
    text.split(separator: " ").flatMap { word in
      word.hasPrefix("[")
        ? [UInt8](repeating: 0, count: Int(word.dropFirst().dropLast())!) : [UInt8(word, radix: 16)!]
    }
  }

  /// The vector called `name` in `text`, one vector a line.
  static func named(_ name: String, in text: String) -> GoldenVector {
    GoldenVector(text.split(separator: "\n").first { $0.hasPrefix(name) }!)
  }

  /// CRC-32 as IEEE 802.3 and zlib define it.
  static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 {
        let carry = crc & 1 != 0
        crc >>= 1
        if carry { crc ^= 0xedb8_8320 }
      }
    }
    return ~crc
  }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

extension SeededGenerator {
  /// `bytes` with some of them changed and perhaps the end cut off or random bytes added; or all random.
  mutating func mutation(of bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    if Int.random(in: 0..<8, using: &self) == 0 {
      return (0..<Int.random(in: 0..<80, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
    for _ in 0..<Int.random(in: 0..<5, using: &self) where !result.isEmpty {
      let index = Int.random(in: 0..<result.count, using: &self)
      result[index] = [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &self)].randomElement(using: &self)!
    }
    switch Int.random(in: 0..<4, using: &self) {
    case 0: result.removeLast(Int.random(in: 0...result.count, using: &self))
    case 1: result += (0..<Int.random(in: 0..<40, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) }
    default: break
    }
    return result
  }
}
