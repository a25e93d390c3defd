/// Random numbers that are the same in every run (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  /// A generator whose numbers `seed` decides.
  package init(seed: UInt64) {
    state = seed
  }

  /// The next number.
  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// A number in `range`.
  package mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  /// True or false.
  package mutating func bool() -> Bool { Bool.random(using: &self) }

  /// `count` bytes, eight of a number.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count + 8)
    while result.count < count {
      let word = next()
      for shift in 0..<8 { result.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(shift)))) }
    }
    result.removeLast(result.count - count)
    return result
  }

  /// `bytes` with some of them changed and perhaps the end cut off or random bytes added; or all random.
  package mutating func mutation(of bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    if number(0...7) == 0 { return self.bytes(number(0...79)) }
    for _ in 0..<number(0...4) where !result.isEmpty {
      let index = number(0...result.count - 1)
      result[index] = [0, 1, 0x7f, 0x80, 0xff, UInt8(number(0...255))].randomElement(using: &self)!
    }
    switch number(0...3) {
    case 0: result.removeLast(number(0...result.count))
    case 1: result += self.bytes(number(0...39))
    default: break
    }
    return result
  }
}
