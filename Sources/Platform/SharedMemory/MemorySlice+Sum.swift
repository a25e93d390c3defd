extension MemorySlice {
  /// The sum of the bytes as little-endian 16-bit words, with all carries but not folded to 16 bits; an odd byte at the
  /// end is the lower half of a word. Byte order matters only when the result is used: see RFC 1071.
  @inlinable
  public func wordSum() -> UInt64 {
    var even: UInt64 = 0
    var odd: UInt64 = 0
    var offset = 0
    // SAFETY: every load lies inside the slice; a peer that changes bytes meanwhile changes the result, nothing else.
    while byteCount - offset >= 32 {
      for step in 0..<4 {
        let word = unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset + 8 * step, as: UInt64.self))
        even += word & 0xffff_ffff
        odd += word >> 32
      }
      offset += 32
    }
    while byteCount - offset >= 2 {
      unsafe even += UInt64(UInt16(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      offset += 2
    }
    if offset < byteCount { unsafe even += UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) }
    // 32-bit halves stay 16-bit words modulo 65535.
    return (even & 0xffff_ffff) + (even >> 32) + (odd & 0xffff_ffff) + (odd >> 32)
  }
}

extension ScatterList {
  /// Copies all bytes of `source` over those from `offset` on; the two must not overlap.
  public func copyIn(_ source: ScatterList, at offset: Int = 0) {
    precondition(offset >= 0 && offset <= byteCount && source.byteCount <= byteCount - offset)
    var target = 0
    var skip = offset
    for index in 0..<source.count {
      var piece = source[index]
      while piece.byteCount > 0 {
        let room = self[target]
        if skip >= room.byteCount {
          skip -= room.byteCount
          target += 1
          continue
        }
        let part = min(room.byteCount - skip, piece.byteCount)
        room.copyIn(piece.slice(at: 0, count: part), at: skip)
        piece = piece.dropFirst(part)
        skip += part
      }
    }
  }
}
