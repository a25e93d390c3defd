import WireBytes

/// The checksum of VHDX: CRC-32C (Castagnoli), reflected polynomial 0x82F63B78, start and end inverted.
public struct CRC32C: Sendable {
  private var state = UInt32.max

  /// The checksum of nothing yet.
  public init() {}

  /// The checksum of everything so far.
  public var value: UInt32 { ~state }

  /// The checksum of `bytes`.
  public static func checksum(_ bytes: RawSpan) -> UInt32 {
    var sum = CRC32C()
    sum.update(bytes)
    return sum.value
  }

  /// The checksum of `bytes` with the four bytes from `field` on, where it is stored itself, taken as zeros.
  public static func checksum(_ bytes: RawSpan, storedAt field: Int) -> UInt32 {
    var sum = CRC32C()
    sum.update(bytes.extracting(0..<field))
    for _ in 0..<4 { sum.update(byte: 0) }
    sum.update(bytes.extracting((field + 4)..<bytes.byteCount))
    return sum.value
  }

  /// Goes on with `bytes`.
  public mutating func update(_ bytes: RawSpan) {
    let table = Self.table
    var crc = state
    var offset = 0
    let count = bytes.byteCount
    while offset + 8 <= count {
      // Eight bytes at once, each by a table of its own.
      let word = bytes.le64(at: offset) ^ UInt64(crc)
      crc = 0
      for lane in 0..<8 { crc ^= table[(7 - lane) << 8 | Int(word >> UInt64(8 * lane) & 0xff)] }
      offset += 8
    }
    while offset < count {
      crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes.byte(at: offset))) & 0xff)]
      offset += 1
    }
    state = crc
  }

  private mutating func update(byte: UInt8) {
    state = state >> 8 ^ Self.table[Int((state ^ UInt32(byte)) & 0xff)]
  }

  /// Eight tables of 256: table k tells what a byte does to a checksum when k more bytes follow.
  private static let table: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 8 * 256)
    for index in 0..<256 {
      var crc = UInt32(index)
      for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
      table[index] = crc
    }
    for index in 256..<(8 * 256) {
      let before = table[index - 256]
      table[index] = before >> 8 ^ table[Int(before & 0xff)]
    }
    return table
  }()
}
