public import WireBytes

/// The checksum of IP, TCP and UDP (RFC 1071): the one's-complement sum of 16-bit words in network order.
public enum InternetChecksum {
  /// The folded sum of the bytes `range` of `bytes`, an odd byte at the end counting as the upper half of a word.
  ///
  /// Traps when the range leaves the bytes.
  @inlinable
  public static func sum(_ bytes: RawSpan, _ range: Range<Int>, seed: UInt16 = 0) -> UInt16 {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.byteCount)
    // The sum does not depend on the order of bytes but for a swap at the end (RFC 1071, 2 B), so that many are added at a time.
    var total: UInt64 = 0
    var offset = range.lowerBound
    var upper: UInt64 = 0
    while range.upperBound - offset >= 32 {
      let (a, b) = (bytes.le64(at: offset), bytes.le64(at: offset + 8))
      let (c, d) = (bytes.le64(at: offset + 16), bytes.le64(at: offset + 24))
      total += (a & 0xffff_ffff) + (b & 0xffff_ffff) + (c & 0xffff_ffff) + (d & 0xffff_ffff)
      upper += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32)
      offset += 32
    }
    total += upper
    while range.upperBound - offset >= 2 {
      total += UInt64(bytes.le16(at: offset))
      offset += 2
    }
    if offset < range.upperBound { total += UInt64(bytes.byte(at: offset)) }
    return fold(UInt64(fold(total).byteSwapped) + UInt64(seed))
  }

  /// `total` with all carries added in.
  @inlinable
  public static func fold(_ total: UInt64) -> UInt16 {
    var total = total
    while total > 0xffff {
      total = total & 0xffff + total >> 16
    }
    return UInt16(total)
  }

  /// Computes the checksum of a partial frame, whose bytes are all in `frame`, and stores it; other frames stay as they
  /// are. What it computed needs no verification: the result says so.
  ///
  /// Traps when the frame ends before the field; ``FrameOffload`` values made by this module never ask for that.
  @inlinable
  public static func complete(_ frame: inout MutableRawSpan, _ offload: FrameOffload) -> FrameOffload {
    guard case .partial(let start, let offset) = offload.checksum else { return offload }
    var checksum = ~sum(frame.bytes, Int(start)..<frame.byteCount)
    // Zero says "no checksum" in UDP, where the field is at 6.
    if checksum == 0, offset == 6 { checksum = 0xffff }
    frame.storeBE(checksum, at: Int(start) + Int(offset))
    var result = offload
    result.checksum = .verified
    return result
  }
}
