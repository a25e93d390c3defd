/// Checked stores of integers into bytes at any alignment; each traps when it would leave the span.
extension MutableRawSpan {
  /// Stores `value` in little-endian order at `offset`.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func storeLE<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    store(value.littleEndian, at: offset)
  }

  /// Stores `value` in big-endian order at `offset`.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func storeBE<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    store(value.bigEndian, at: offset)
  }

  /// Stores `bytes` from `offset` on.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(_ bytes: RawSpan, at offset: Int) {
    precondition(offset >= 0 && offset <= byteCount && bytes.byteCount <= byteCount - offset)
    // SAFETY: both ranges lie inside their spans (checked above), and a span that is mutable overlaps no other.
    unsafe withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
      }
    }
  }

  /// Stores zero into `count` bytes from `offset` on.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func zero(from offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset <= byteCount && count <= byteCount - offset)
    // SAFETY: the range lies inside the span (checked above).
    unsafe withUnsafeMutableBytes { bytes in
      for index in offset..<(offset + count) {
        unsafe bytes[index] = 0
      }
    }
  }

  @inlinable
  @_lifetime(self: copy self)
  mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "store past the end of the span")
    storeBytes(of: value, toByteOffset: offset, as: T.self)
  }
}

extension Array where Element == UInt8 {
  /// An array of `count` bytes that `body` has filled; it starts as zeros.
  @inlinable
  public init<E: Error>(zeroed count: Int, fill body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
    self = Array(repeating: 0, count: count)
    var elements = mutableSpan
    // SAFETY: every bit pattern is a value of a byte.
    var bytes = unsafe elements.mutableBytes
    try body(&bytes)
  }

  /// Calls `body` with the bytes of this array, to be changed in place.
  @inlinable
  public mutating func withMutableBytes<R, E: Error>(
    _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    var elements = mutableSpan
    // SAFETY: every bit pattern is a value of a byte.
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }
}
