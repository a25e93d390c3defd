import CLinux

/// Room for one piece of memory per slot of a queue, allocated once: the scatter lists of transfers that are contiguous.
@safe public struct ScatterTables: ~Copyable {
  // SAFETY: owned; `count` initialized entries.
  private let entries: UnsafeMutablePointer<iovec>
  /// How many slots there are.
  public let count: Int

  /// Tables for `count` slots.
  public init(count: Int) {
    precondition(count > 0)
    self.count = count
    unsafe entries = .allocate(capacity: count)
    unsafe entries.initialize(repeating: iovec(), count: count)
  }

  deinit {
    // SAFETY: allocated by init; no request uses a table any more.
    unsafe entries.deallocate()
  }

  /// Makes the table of `slot` name `slice`, and answers it as a list, which is valid until the next call for this slot
  /// or the end of the tables.
  public mutating func list(of slice: MemorySlice, slot: Int) -> ScatterList {
    precondition(slot >= 0 && slot < count)
    // SAFETY: inside the allocation (checked above).
    unsafe entries[slot] = unsafe iovec(iov_base: slice.pointer, iov_len: slice.byteCount)
    return unsafe ScatterList(entries: entries + slot, count: 1, byteCount: slice.byteCount)
  }
}
