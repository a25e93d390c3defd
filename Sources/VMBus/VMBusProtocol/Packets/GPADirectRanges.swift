public import WireBytes

/// One range of a GPA-direct packet; its page frame numbers are read through the `GPADirectRanges` that gave it.
public struct GPADirectRange: Hashable, Sendable {
  /// The length of the range, in bytes; never 0.
  public let byteCount: UInt32
  /// Where the range starts in its first page, 0 to 4095.
  public let byteOffset: UInt32
  /// The number of pages.
  public let pageCount: Int
  /// Where the page frame numbers stand in the packet.
  @usableFromInline let pagesOffset: Int

  @usableFromInline
  init(byteCount: UInt32, byteOffset: UInt32, pageCount: Int, pagesOffset: Int) {
    self.byteCount = byteCount
    self.byteOffset = byteOffset
    self.pageCount = pageCount
    self.pagesOffset = pagesOffset
  }
}

/// Reads the ranges of a GPA-direct packet in place, without allocation.
///
/// All ranges are checked before the first is given out. The bytes should be a private copy; if the peer can still
/// change them, a later range may differ from the one that was checked, but each one given out is sound by itself.
public struct GPADirectRanges: ~Escapable {
  @usableFromInline let packet: RawSpan
  @usableFromInline let end: Int
  @usableFromInline var position: Int
  @usableFromInline var index: Int
  /// The number of ranges, at least 1.
  public let count: Int
  /// The length of all ranges together, in bytes.
  public private(set) var totalByteCount: UInt64

  /// Checks the ranges that stand before the payload of `packet`, which starts with its descriptor.
  ///
  /// - Throws: `PacketError` when there is no range, one is empty or starts past its first page, or they do not fit.
  @_lifetime(copy packet)
  public init(parsing packet: RawSpan, descriptor: PacketDescriptor) throws(PacketError) {
    let end = descriptor.payloadOffset
    guard end >= GPADirect.rangesOffset, end <= packet.byteCount else {
      throw .payloadOffset(byteOffset: end, byteCount: packet.byteCount)
    }
    let announced = packet.le32(at: 20)
    guard announced > 0 else { throw .noRanges }
    // Each range takes two words at least, so that the count is bounded before it is used.
    guard Int(announced) <= (end - GPADirect.rangesOffset) / 16 else {
      throw .ranges(count: announced, byteCount: end - GPADirect.rangesOffset)
    }
    self.packet = packet
    self.end = end
    position = GPADirect.rangesOffset
    index = 0
    count = Int(announced)
    totalByteCount = 0
    var total: UInt64 = 0
    while index < count {
      total += UInt64(try take().byteCount)
    }
    totalByteCount = total
    rewind()
  }

  /// Starts again with the first range.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func rewind() {
    position = GPADirect.rangesOffset
    index = 0
  }

  /// The next range, or nil after the last.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func next() -> GPADirectRange? {
    guard index < count else { return nil }
    return try? take()
  }

  /// The guest page frame number at `index` of a range of this packet; traps when the range has no such page.
  @inlinable
  public func page(at index: Int, of range: GPADirectRange) -> UInt64 {
    precondition(index >= 0 && index < range.pageCount)
    return packet.le64(at: range.pagesOffset + index * 8)
  }

  @usableFromInline
  @_lifetime(self: copy self)
  mutating func take() throws(PacketError) -> GPADirectRange {
    guard end - position >= 8 else { throw .ranges(count: UInt32(count), byteCount: end - GPADirect.rangesOffset) }
    let lengths = packet.le64(at: position)
    let byteCount = UInt32(truncatingIfNeeded: lengths)
    let byteOffset = UInt32(truncatingIfNeeded: lengths >> 32)
    guard byteCount != 0 else { throw .emptyRange(index: index) }
    guard byteOffset < GPADLRange.pageByteCount else { throw .byteOffset(index: index, byteOffset) }
    let pageCount = GPADLRange.pageCount(byteCount: byteCount, byteOffset: byteOffset)
    guard pageCount <= (end - position - 8) / 8 else {
      throw .ranges(count: UInt32(count), byteCount: end - GPADirect.rangesOffset)
    }
    let range = GPADirectRange(
      byteCount: byteCount, byteOffset: byteOffset, pageCount: pageCount, pagesOffset: position + 8)
    position += 8 + pageCount * 8
    index += 1
    return range
  }
}
