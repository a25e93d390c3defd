/// Checked loads of integers from bytes at any alignment.
///
/// Every load traps when it would leave the span: the caller compares the span's length with the size of the layout
/// once, before the first load. A trap is therefore always a fault of ours, never of a peer.
extension RawSpan {
  /// The byte at `offset`.
  @inlinable
  public func byte(at offset: Int) -> UInt8 {
    load(UInt8.self, at: offset)
  }

  /// The little-endian 16-bit integer at `offset`.
  @inlinable
  public func le16(at offset: Int) -> UInt16 {
    UInt16(littleEndian: load(UInt16.self, at: offset))
  }

  /// The little-endian 32-bit integer at `offset`.
  @inlinable
  public func le32(at offset: Int) -> UInt32 {
    UInt32(littleEndian: load(UInt32.self, at: offset))
  }

  /// The little-endian 64-bit integer at `offset`.
  @inlinable
  public func le64(at offset: Int) -> UInt64 {
    UInt64(littleEndian: load(UInt64.self, at: offset))
  }

  /// The big-endian 16-bit integer at `offset`.
  @inlinable
  public func be16(at offset: Int) -> UInt16 {
    UInt16(bigEndian: load(UInt16.self, at: offset))
  }

  /// The big-endian 32-bit integer at `offset`.
  @inlinable
  public func be32(at offset: Int) -> UInt32 {
    UInt32(bigEndian: load(UInt32.self, at: offset))
  }

  /// The big-endian 64-bit integer at `offset`.
  @inlinable
  public func be64(at offset: Int) -> UInt64 {
    UInt64(bigEndian: load(UInt64.self, at: offset))
  }

  /// The bytes from `offset` to the end, or `count` of them, as an array of their own.
  @inlinable
  public func array(from offset: Int = 0, count: Int? = nil) -> [UInt8] {
    let count = count ?? byteCount - offset
    precondition(offset >= 0 && count >= 0 && offset <= byteCount && count <= byteCount - offset)
    // SAFETY: the range lies inside the span (checked above); the bytes are copied before the pointer ends.
    return unsafe withUnsafeBytes { unsafe [UInt8]($0[offset..<(offset + count)]) }
  }

  @inlinable
  func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
    precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "load past the end of the span")
    // SAFETY: the bytes lie inside the span (checked above) and every bit pattern is a value of an integer.
    return unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }
}

extension Array where Element == UInt8 {
  /// The bytes of this array.
  @inlinable
  public var rawSpan: RawSpan {
    @_lifetime(borrow self)
    get {
      // SAFETY: a byte has no padding, so that no uninitialized memory shows.
      unsafe span.bytes
    }
  }
}
