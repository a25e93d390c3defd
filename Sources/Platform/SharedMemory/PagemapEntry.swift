/// An entry of the Linux file `/proc/self/pagemap`: tells a process the page frame numbers of its own memory, which the page
/// lists of a guest must name.
///
/// Source: Linux Documentation/admin-guide/mm/pagemap.rst.
public struct PagemapEntry: RawRepresentable, Hashable, Sendable {
  /// The 64-bit word, little-endian in the file.
  public let rawValue: UInt64

  /// Takes any word.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Whether the page is in memory (bit 63).
  public var isPresent: Bool { rawValue >> 63 != 0 }

  /// The page frame number (bits 0 to 54) of a page in memory; the kernel shows 0 to those who may not know it.
  public var page: UInt64 { rawValue & 0x7f_ffff_ffff_ffff }
}
