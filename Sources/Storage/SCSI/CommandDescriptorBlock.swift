import WireBytes

/// A SCSI command descriptor block of at most 16 bytes (T10 SPC-4), held inline.
///
/// All multi-byte fields are big-endian. The bytes after ``byteCount`` are zero, so that reading a field of a block that
/// is too short gives zero and never fails.
public struct CommandDescriptorBlock: Equatable, Hashable, BitwiseCopyable, Sendable {
  /// Bytes 0-7, the first of them in the highest bits.
  public private(set) var high: UInt64
  /// Bytes 8-15, the first of them in the highest bits.
  public private(set) var low: UInt64
  private var length: UInt8

  /// The largest block that storvsc can carry.
  @inlinable public static var maximumByteCount: Int { 16 }

  /// The bytes of this block, 1-16.
  public var byteCount: Int { Int(length) }

  /// A block from its two big-endian halves; what lies after `byteCount` is dropped. Nil unless `byteCount` is 1-16.
  public init?(high: UInt64, low: UInt64, byteCount: Int) {
    guard byteCount > 0, byteCount <= CommandDescriptorBlock.maximumByteCount else { return nil }
    // Shifts by 64 and more give zero, shifts by a negative number go the other way.
    self.high = high & ~(UInt64.max >> UInt64(8 * min(byteCount, 8)))
    self.low = low & ~(UInt64.max >> UInt64(8 * max(byteCount - 8, 0)))
    length = UInt8(byteCount)
  }

  /// A copy of `bytes`; nil unless there are 1-16 of them.
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount > 0, bytes.byteCount <= CommandDescriptorBlock.maximumByteCount else { return nil }
    high = 0
    low = 0
    length = UInt8(bytes.byteCount)
    for index in 0..<bytes.byteCount {
      self[index] = bytes.byte(at: index)
    }
  }

  /// A block of the size that the opcode's group has, all else zero.
  init(_ opcode: Opcode) {
    high = UInt64(opcode.rawValue) << 56
    low = 0
    length = UInt8(opcode.blockByteCount ?? CommandDescriptorBlock.maximumByteCount)
  }

  /// A 16-byte block of the common layout: flags in byte 1, an LBA in bytes 2-9, a 32-bit number in bytes 10-13.
  init(_ opcode: Opcode, flags: UInt8, lba: UInt64, number: UInt32) {
    high = UInt64(opcode.rawValue) << 56 | UInt64(flags) << 48 | lba >> 16
    low = lba << 48 | UInt64(number) << 16
    length = 16
  }

  /// The first byte.
  public var opcode: Opcode {
    Opcode(rawValue: UInt8(truncatingIfNeeded: high >> 56))
  }

  /// The byte at `index`, which must be 0-15.
  public internal(set) subscript(index: Int) -> UInt8 {
    get {
      precondition(index >= 0 && index < 16)
      return UInt8(truncatingIfNeeded: window(at: index) >> 56)
    }
    set {
      precondition(index >= 0 && index < 16)
      let shift = UInt64(56 - 8 * (index & 7))
      if index < 8 {
        high = high & ~(0xff << shift) | UInt64(newValue) << shift
      } else {
        low = low & ~(0xff << shift) | UInt64(newValue) << shift
      }
    }
  }

  /// The 16-bit integer at `offset`, which must be 0-15; bytes past the end are zero.
  public func be16(at offset: Int) -> UInt16 {
    UInt16(truncatingIfNeeded: window(at: offset) >> 48)
  }

  /// The 32-bit integer at `offset`, which must be 0-15; bytes past the end are zero.
  public func be32(at offset: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: window(at: offset) >> 32)
  }

  /// The 64-bit integer at `offset`, which must be 0-15; bytes past the end are zero.
  public func be64(at offset: Int) -> UInt64 {
    window(at: offset)
  }

  /// Stores the ``byteCount`` bytes at `offset` of `target`, which must have room for them.
  @_lifetime(target: copy target)
  public func store(into target: inout MutableRawSpan, at offset: Int) {
    for index in 0..<byteCount {
      target.storeBE(self[index], at: offset + index)
    }
  }

  private func window(at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset < 16)
    let bits = 8 * offset
    return offset <= 8 ? high << bits | low >> (64 - bits) : low << (bits - 64)
  }

  mutating func set16(_ value: UInt16, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: value >> 8)
    self[offset + 1] = UInt8(truncatingIfNeeded: value)
  }

  mutating func set32(_ value: UInt32, at offset: Int) {
    set16(UInt16(truncatingIfNeeded: value >> 16), at: offset)
    set16(UInt16(truncatingIfNeeded: value), at: offset + 2)
  }
}

extension CommandDescriptorBlock: CustomStringConvertible {
  /// The command's name and the bytes.
  public var description: String {
    "\(opcode) [" + (0..<byteCount).map { self[$0].hexadecimal(digits: 2) }.joined(separator: " ") + "]"
  }
}
