import VMBusProtocol
import WireBytes

/// The golden vectors: bytes of one message, packet or service payload each.
enum Golden {}

/// The bytes of hexadecimal text; `00*n` stands for n zero bytes.
func hex(_ text: String) -> [UInt8] {
  var bytes: [UInt8] = []
  for token in text.split(whereSeparator: \.isWhitespace) {
    if token.hasPrefix("00*") {
      bytes += Array(repeating: 0, count: Int(token.dropFirst(3))!)
    } else {
      bytes.append(UInt8(token, radix: 16)!)
    }
  }
  return bytes
}

/// A small deterministic generator for the mutation tests.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
  }

  /// A copy with a few bytes changed, and sometimes another length.
  mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &self)
      bytes[index] = [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &self)].randomElement(using: &self)!
    }
    switch Int.random(in: 0..<4, using: &self) {
    case 0: bytes.removeLast(Int.random(in: 0...bytes.count, using: &self))
    case 1: bytes += self.bytes(Int.random(in: 0...32, using: &self))
    default: break
    }
    return bytes
  }
}

/// Parses a message, or fails with its error.
func parse(_ bytes: [UInt8]) throws(MessageError) -> Message {
  try Message(parsing: bytes.rawSpan)
}
