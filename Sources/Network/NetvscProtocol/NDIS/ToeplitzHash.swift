import WireBytes

/// The hash of receive-side scaling (Windows: "RSS hashing functions"), over addresses and ports in network order.
public struct ToeplitzHash: Sendable {
  /// The key as big-endian words.
  @usableFromInline let words: [10 of UInt32]

  /// The size of a key, in bytes.
  @inlinable public static var keyByteCount: Int { 40 }

  /// The key of Linux, which the public verification suite uses.
  public static let linuxKey: [UInt8] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
    0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
    0x01, 0xfa,
  ]

  /// A hash with the 40 bytes of `key`; nil for a key of another size.
  public init?(key: [UInt8]) {
    guard key.count == ToeplitzHash.keyByteCount else { return nil }
    let bytes = key.rawSpan
    var words = [10 of UInt32](repeating: 0)
    for index in 0..<10 {
      words[index] = bytes.be32(at: 4 * index)
    }
    self.words = words
  }

  /// The hash of IPv4 addresses, and of ports if given.
  @inlinable
  public func hash(source: UInt32, destination: UInt32, ports: (source: UInt16, destination: UInt16)? = nil)
    -> UInt32
  {
    var result = contribution(of: source, at: 0) ^ contribution(of: destination, at: 1)
    if let ports {
      result ^= contribution(of: UInt32(ports.source) << 16 | UInt32(ports.destination), at: 2)
    }
    return result
  }

  /// The hash of IPv6 addresses, each as a 128-bit number, and of ports if given.
  @inlinable
  public func hash(source: UInt128, destination: UInt128, ports: (source: UInt16, destination: UInt16)? = nil)
    -> UInt32
  {
    var result: UInt32 = 0
    for index in 0..<4 {
      result ^= contribution(of: UInt32(truncatingIfNeeded: source >> (96 - 32 * UInt128(index))), at: index)
      result ^= contribution(of: UInt32(truncatingIfNeeded: destination >> (96 - 32 * UInt128(index))), at: 4 + index)
    }
    if let ports {
      result ^= contribution(of: UInt32(ports.source) << 16 | UInt32(ports.destination), at: 8)
    }
    return result
  }

  /// What the input word `index` adds: for each of its bits that is set, the 32 bits of the key from that place on.
  @inlinable
  func contribution(of input: UInt32, at index: Int) -> UInt32 {
    let window = UInt64(words[index]) << 32 | UInt64(words[index + 1])
    var result: UInt32 = 0
    for bit: UInt32 in 0..<32 {
      let mask = 0 &- (input >> (31 - bit) & 1)
      result ^= UInt32(truncatingIfNeeded: window >> (32 - UInt64(bit))) & mask
    }
    return result
  }
}
