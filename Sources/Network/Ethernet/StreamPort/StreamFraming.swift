import WireBytes

/// How frames stand in a byte stream (QEMU: netdev stream; passt): each after its length, 32 bits big-endian.
enum StreamFraming {
  /// The size of the length, in bytes.
  static let prefixByteCount = 4
  /// The least and most bytes that a frame may have.
  static let frameByteCounts = 14...65_550

  /// What a stream begins with.
  enum Head: Hashable {
    /// A frame of so many bytes, whole, after its length.
    case frame(byteCount: Int)
    /// Part of a frame; with so many bytes it is whole, length included.
    case incomplete(neededByteCount: Int)
    /// A length that no frame has: the peer speaks something else.
    case nonsense(byteCount: UInt32)
  }

  /// What `bytes` begins with.
  static func head(of bytes: RawSpan) -> Head {
    guard bytes.byteCount >= prefixByteCount else { return .incomplete(neededByteCount: prefixByteCount) }
    let length = bytes.be32(at: 0)
    guard let count = Int(exactly: length), frameByteCounts.contains(count) else {
      return .nonsense(byteCount: length)
    }
    let needed = prefixByteCount + count
    return bytes.byteCount >= needed ? .frame(byteCount: count) : .incomplete(neededByteCount: needed)
  }

  /// The tag control information of the frame that `bytes` begins with, which has at least 18 bytes; nil if it has no
  /// 802.1Q tag.
  static func tag(_ bytes: RawSpan) -> UInt16? {
    let etherType = bytes.be16(at: prefixByteCount + 12)
    return etherType == 0x8100 ? bytes.be16(at: prefixByteCount + 14) : nil
  }
}
