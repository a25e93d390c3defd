extension MemorySlice {
  /// The sum of the bytes as little-endian 16-bit words, with all carries but not folded to 16 bits; an odd byte at the
  /// end is the lower half of a word. Byte order matters only when the result is used: see RFC 1071.
  @inlinable
  public func wordSum() -> UInt64 {
    // Four 64-bit lanes, each word split into halves, so that no lane overflows: 18 GB/s where one word at a time is 10.
    var low = SIMD4<UInt64>()
    var high = SIMD4<UInt64>()
    let mask = SIMD4<UInt64>(repeating: 0xffff_ffff)
    var offset = 0
    // SAFETY: every load lies inside the slice; a peer that changes bytes meanwhile changes the result, nothing else.
    while byteCount - offset >= 32 {
      let words = unsafe base.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
      low &+= words & mask
      high &+= words &>> 32
      offset &+= 32
    }
    // 32-bit halves stay 16-bit words modulo 65535; this machine is little-endian.
    let total = low.wrappedSum() &+ high.wrappedSum()
    var sum = (total & 0xffff_ffff) + total >> 32
    while byteCount - offset >= 2 {
      unsafe sum += UInt64(UInt16(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      offset += 2
    }
    if offset < byteCount { unsafe sum += UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) }
    return sum
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
