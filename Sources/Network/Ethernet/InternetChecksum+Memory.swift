public import SharedMemory

extension InternetChecksum {
  /// The folded sum of `count` bytes of `bytes` from `offset` on, an odd byte at the end counting as the upper half of a
  /// word.
  ///
  /// Traps when the range leaves the bytes.
  public static func sum(_ bytes: ScatterList, from offset: Int, count: Int) -> UInt16 {
    precondition(offset >= 0 && count >= 0 && offset <= bytes.byteCount && count <= bytes.byteCount - offset)
    var total: UInt64 = 0
    var skip = offset
    var left = count
    var index = 0
    var isOdd = false
    while left > 0 {
      let piece = bytes[index]
      index += 1
      if skip >= piece.byteCount {
        skip -= piece.byteCount
        continue
      }
      let part = min(piece.byteCount - skip, left)
      let sum = fold(piece.slice(at: skip, count: part).wordSum())
      // A piece behind an odd number of bytes stands in the other halves of the words.
      total += UInt64(isOdd ? sum.byteSwapped : sum)
      if part % 2 == 1 { isOdd.toggle() }
      left -= part
      skip = 0
    }
    return fold(total).byteSwapped
  }
}
