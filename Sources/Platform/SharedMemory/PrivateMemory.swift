public import LinuxIO

/// Memory that no peer can see: frames and packets are put together here before they go out.
///
/// Its owner works on it through spans, and lends slices of it to queues that write or send them. A slice that is lent
/// must not be written to while a span is in use.
@safe public struct PrivateMemory: ~Copyable {
  private let region: MemoryRegion
  /// The whole memory, to be lent. It may be used as long as this owner lives.
  public let slice: MemorySlice

  /// Length in bytes, a multiple of the page size.
  public var byteCount: Int { slice.byteCount }

  /// Zeroed memory of at least `byteCount` bytes; it takes up space from its first use on, page by page.
  public init(byteCount: Int) throws(Errno) {
    region = try MemoryRegion(anonymous: byteCount)
    slice = region.slice
  }

  /// The bytes.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      // SAFETY: the mapping lives as long as this owner, which the span borrows.
      let span = unsafe RawSpan(_unsafeStart: slice.pointer, byteCount: slice.byteCount)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes, to be changed in place.
  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      // SAFETY: the mapping lives as long as this owner, to which the span has exclusive access.
      let span = unsafe MutableRawSpan(_unsafeStart: slice.pointer, byteCount: slice.byteCount)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }
}
