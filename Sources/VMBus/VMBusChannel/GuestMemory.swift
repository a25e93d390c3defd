public import SharedMemory
import LinuxIO

/// The memory of a guest as both sides know it: guest physical addresses, and where they are mapped in this process.
///
/// The host resolves page numbers that the guest sent; the guest tells the page numbers of its own buffers. The mappings
/// live as long as this object.
public final class GuestMemory: Sendable {
  /// A run of guest physical memory.
  public struct Range: Sendable {
    /// First guest physical address, a multiple of the page size.
    public let guestAddress: UInt64
    /// The mapping.
    public let region: MemoryRegion
    /// Where the pages really are; nil when they are at the guest addresses themselves.
    public let pageTable: GuestPageTable?
    let slice: MemorySlice

    /// `region` at `guestAddress`.
    ///
    /// - Parameter pages: the real page frame numbers of memory that is not contiguous. The range then has addresses that
    ///   only this process uses. An empty list is for memory that no packet may name.
    public init(guestAddress: UInt64, region: MemoryRegion, pages: [UInt64]? = nil) {
      precondition(guestAddress % UInt64(pageByteCount) == 0 && guestAddress < 1 << 52)
      self.guestAddress = guestAddress
      self.region = region
      pageTable = pages.map { GuestPageTable(guestAddress: guestAddress, pages: $0) }
      slice = region.slice
    }
  }

  /// The runs, in the order of their guest addresses.
  public let ranges: [Range]

  /// A memory of these runs, which must not overlap.
  public init(_ ranges: [Range]) {
    self.ranges = ranges.sorted { $0.guestAddress < $1.guestAddress }
  }

  /// The `byteCount` bytes at `guestAddress`, if they lie in one run.
  public func slice(at guestAddress: UInt64, byteCount: Int) -> MemorySlice? {
    for range in ranges where guestAddress >= range.guestAddress {
      let offset = guestAddress - range.guestAddress
      if offset < UInt64(range.slice.byteCount), byteCount <= range.slice.byteCount - Int(offset), byteCount >= 0 {
        return range.slice.slice(at: Int(offset), count: byteCount)
      }
    }
    return nil
  }

  /// The guest physical address of `slice`, if it lies in one run.
  public func guestAddress(of slice: MemorySlice) -> UInt64? {
    for range in ranges where slice.address >= range.slice.address {
      let offset = slice.address - range.slice.address
      if offset < UInt(range.slice.byteCount), slice.byteCount <= range.slice.byteCount - Int(offset) {
        return range.guestAddress + UInt64(offset)
      }
    }
    return nil
  }
}
