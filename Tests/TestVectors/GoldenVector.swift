/// A golden vector: bytes computed from the layouts by another program, with a checksum of its own.
///
/// In the text `[n]` is n zero bytes, any other word is one byte in hexadecimal.
package struct GoldenVector {
  /// How the vector is called.
  package let name: String
  /// How many bytes it has, as the other program says.
  package let count: Int
  /// Their CRC-32, as the other program says.
  package let checksum: UInt32
  /// The offset in the ring of a packet, or 0.
  package let position: UInt32
  /// The bytes.
  package let bytes: [UInt8]

  package init(_ line: Substring) {
    let parts = line.split(separator: "|")
    let facts = parts[1].split(separator: " ")
    name = String(parts[0].prefix(3))
    count = Int(facts[0])!
    checksum = UInt32(facts[1], radix: 16)!
    position = facts.count > 2 ? UInt32(facts[2].dropFirst(4), radix: 16)! : 0
    bytes = GoldenVector.expand(parts[2])
  }

  /// The bytes that `text` tells.
  package static func expand(_ text: some StringProtocol) -> [UInt8] {
    text.split(separator: " ").flatMap { word in
      word.hasPrefix("[")
        ? [UInt8](repeating: 0, count: Int(word.dropFirst().dropLast())!) : [UInt8(word, radix: 16)!]
    }
  }

  /// The vector called `name` in `text`, one vector a line.
  package static func named(_ name: String, in text: String) -> GoldenVector {
    GoldenVector(text.split(separator: "\n").first { $0.hasPrefix(name) }!)
  }

  /// CRC-32 as IEEE 802.3 and zlib define it.
  package static func crc32(_ bytes: [UInt8]) -> UInt32 {
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
