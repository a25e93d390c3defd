/// Where the pages of a run of guest memory are, when they do not follow each other.
///
/// Drivers know such a run by consecutive guest addresses all the same, as an IOMMU would show it to a device; only a
/// `Channel` turns them into the real page numbers, when it writes a packet.
public struct GuestPageTable: Sendable {
  /// The number by which drivers know the first page: guest address / 4096.
  public let firstPage: UInt64
  /// The real page frame numbers (units of 4096 bytes), in the order of the run.
  public let pages: [UInt64]

  /// A table for the run from `guestAddress` on, a multiple of the page size.
  public init(guestAddress: UInt64, pages: [UInt64]) {
    precondition(guestAddress % 4096 == 0)
    firstPage = guestAddress / 4096
    self.pages = pages
  }

  /// The indices in `pages` of `count` pages from the page `first` on; nil unless the table has all of them.
  @inlinable
  public func indices(first: UInt64, count: Int) -> Range<Int>? {
    guard first >= firstPage, count >= 0, first - firstPage <= UInt64(pages.count) else { return nil }
    let start = Int(first - firstPage)
    return count <= pages.count - start ? start..<(start + count) : nil
  }
}
