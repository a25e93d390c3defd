import CLinux

extension ScatterList {
  /// The most pieces of a list that is read or written at once.
  public static let maximumTransferCount = Int(SYNTHGATE_PIECES)

  /// Reads once from `descriptor` (readv(2)): first into `head`, then into the pieces.
  ///
  /// - Returns: how many bytes there were, those of `head` included: more than head and pieces hold when the kernel cut a
  ///   frame off; -errno when the read failed. Traps for more pieces than `maximumTransferCount`.
  public func readOnce(from descriptor: Int32, head: MemorySlice) -> Int {
    precondition(count <= Self.maximumTransferCount)
    // SAFETY: head and pieces are mapped, see their types; the entries are only read.
    return unsafe synthgate_read_pieces(descriptor, head.pointer, head.byteCount, entries, Int32(clamping: count))
  }

  /// Writes once to `descriptor` (writev(2)): first `head`, then the pieces without their first `skipped` bytes.
  ///
  /// - Returns: how many bytes went, those of `head` included; -errno when the write failed, -EINVAL for more pieces than
  ///   `maximumTransferCount`.
  public func writeOnce(to descriptor: Int32, head: MemorySlice, skipping skipped: Int = 0) -> Int {
    precondition(skipped >= 0)
    // SAFETY: head and pieces are mapped, see their types; the entries are only read.
    return unsafe synthgate_write_pieces(
      descriptor, head.pointer, head.byteCount, entries, Int32(clamping: count), skipped)
  }
}
