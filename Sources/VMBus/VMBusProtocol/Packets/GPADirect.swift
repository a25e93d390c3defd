public import WireBytes

/// Writing a GPA-direct packet: descriptor, range count, and ranges of guest pages as in a GPADL.
///
/// Linux knows two shapes, the same on the wire: single-page ranges ("page buffer"), or one range of many pages.
public enum GPADirect {
  /// Where the ranges start, in bytes.
  @inlinable public static var rangesOffset: Int { 24 }

  /// The size of descriptor, count and ranges, in bytes: where the payload starts.
  @inlinable
  public static func headerByteCount(rangeCount: Int, pageCount: Int) -> Int {
    rangesOffset + (rangeCount + pageCount) * 8
  }

  /// The descriptor of a packet with `rangeCount` ranges of `pageCount` pages together; a completion is always asked
  /// for. Traps when the packet exceeds `PacketDescriptor.maximumByteCount`.
  @inlinable
  public static func descriptor(
    rangeCount: Int, pageCount: Int, payloadByteCount: Int, transactionID: UInt64
  ) -> PacketDescriptor {
    PacketDescriptor(
      type: .gpaDirect, headerByteCount: headerByteCount(rangeCount: rangeCount, pageCount: pageCount),
      payloadByteCount: payloadByteCount, flags: .completionRequested, transactionID: transactionID)
  }

  /// Writes the descriptor and the range count at the start of `packet`; the ranges follow from `rangesOffset` on.
  @inlinable
  public static func storeDescriptor(
    into packet: inout MutableRawSpan, rangeCount: Int, pageCount: Int, payloadByteCount: Int, transactionID: UInt64
  ) {
    descriptor(
      rangeCount: rangeCount, pageCount: pageCount, payloadByteCount: payloadByteCount, transactionID: transactionID
    ).store(into: &packet)
    packet.storeLE(UInt32(0), at: 16)
    packet.storeLE(UInt32(rangeCount), at: 20)
  }

  /// Writes the two length words of a range at `offset`; returns where its first page frame number belongs.
  ///
  /// The caller stores `GPADLRange.pageCount(byteCount:byteOffset:)` page frame numbers there, 8 bytes each.
  @inlinable
  public static func storeRange(
    into packet: inout MutableRawSpan, at offset: Int, byteCount: UInt32, byteOffset: UInt32
  ) -> Int {
    packet.storeLE(UInt64(byteCount) | UInt64(byteOffset) << 32, at: offset)
    return offset + 8
  }

  /// Writes a range whose guest pages follow each other from `firstPage` on; returns the offset after it.
  @inlinable
  public static func storeContiguousRange(
    into packet: inout MutableRawSpan, at offset: Int, byteCount: UInt32, byteOffset: UInt32, firstPage: UInt64
  ) -> Int {
    var position = storeRange(into: &packet, at: offset, byteCount: byteCount, byteOffset: byteOffset)
    for index in 0..<GPADLRange.pageCount(byteCount: byteCount, byteOffset: byteOffset) {
      packet.storeLE(firstPage &+ UInt64(index), at: position)
      position += 8
    }
    return position
  }

  /// Writes a range with these guest pages, as many as `GPADLRange.pageCount(byteCount:byteOffset:)` says; returns the
  /// offset after it.
  @inlinable
  public static func storeRange(
    into packet: inout MutableRawSpan, at offset: Int, byteCount: UInt32, byteOffset: UInt32, pages: ArraySlice<UInt64>
  ) -> Int {
    var position = storeRange(into: &packet, at: offset, byteCount: byteCount, byteOffset: byteOffset)
    for page in pages {
      packet.storeLE(page, at: position)
      position += 8
    }
    return position
  }
}
