/// One range of a guest physical address descriptor list: bytes that start inside a first page and run over a list of
/// guest pages.
public struct GPADLRange: Hashable, Sendable {
  /// The length of the range, in bytes; never 0.
  public var byteCount: UInt32
  /// Where the range starts in its first page, 0 to 4095.
  public var byteOffset: UInt32
  /// The guest page frame numbers, in the order of the range.
  public var pages: [UInt64]

  /// A range as given field by field; `validate()` says whether the fields agree.
  public init(byteCount: UInt32, byteOffset: UInt32 = 0, pages: [UInt64]) {
    self.byteCount = byteCount
    self.byteOffset = byteOffset
    self.pages = pages
  }

  /// Whole pages; traps when they hold more bytes than a 32-bit length can say.
  public init(pages: [UInt64]) {
    self.init(byteCount: UInt32(pages.count * GPADLRange.pageByteCount), pages: pages)
  }

  /// The page size of the protocol, in bytes, whatever the page size of the guest is.
  public static let pageByteCount = 4096

  /// How many pages `byteCount` bytes touch that start at `byteOffset` in the first one.
  @inlinable
  public static func pageCount(byteCount: UInt32, byteOffset: UInt32) -> Int {
    // 64-bit arithmetic: both words together may exceed 32 bits.
    Int((UInt64(byteOffset) + UInt64(byteCount) + 4095) >> 12)
  }

  /// The number of pages that the two length words call for.
  public var pageCount: Int { GPADLRange.pageCount(byteCount: byteCount, byteOffset: byteOffset) }

  /// The size of the range in the messages, in 64-bit words.
  var wordCount: Int { 1 + pages.count }

  /// Checks length, offset and number of pages; `index` is the position of the range for the error.
  public func validate(index: Int = 0) throws(GPADLError) {
    guard byteCount != 0 else { throw .emptyRange(index: index) }
    guard byteOffset < GPADLRange.pageByteCount else { throw .byteOffset(index: index, byteOffset) }
    guard pages.count == pageCount else { throw .pageCount(index: index, needs: pageCount, has: pages.count) }
  }
}
