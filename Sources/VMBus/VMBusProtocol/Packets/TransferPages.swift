public import WireBytes

/// Writing a transfer-pages packet: descriptor, page set, and ranges of a buffer that both sides know.
public enum TransferPages {
  /// Where the ranges start, in bytes.
  @inlinable public static var rangesOffset: Int { 24 }

  /// The size of descriptor, page set and ranges, in bytes: where the payload starts.
  @inlinable
  public static func headerByteCount(rangeCount: Int) -> Int {
    rangesOffset + rangeCount * 8
  }

  /// Writes descriptor and page set at the start of `packet`; a completion is always asked for, since it returns the
  /// pages. Traps when the packet exceeds `PacketDescriptor.maximumByteCount`.
  @inlinable
  public static func storeDescriptor(
    into packet: inout MutableRawSpan, pageSetID: UInt16, rangeCount: Int, payloadByteCount: Int,
    transactionID: UInt64
  ) {
    PacketDescriptor(
      type: .transferPages, headerByteCount: headerByteCount(rangeCount: rangeCount),
      payloadByteCount: payloadByteCount, flags: .completionRequested, transactionID: transactionID
    ).store(into: &packet)
    packet.storeLE(UInt32(pageSetID), at: 16)
    packet.storeLE(UInt32(rangeCount), at: 20)
  }

  /// Writes the range `index`.
  @inlinable
  public static func storeRange(into packet: inout MutableRawSpan, index: Int, _ range: TransferPageRange) {
    packet.storeLE(UInt64(range.byteCount) | UInt64(range.byteOffset) << 32, at: rangesOffset + index * 8)
  }
}

/// A piece of the buffer that a transfer-pages packet speaks of.
public struct TransferPageRange: Hashable, Sendable {
  /// The length, in bytes.
  public var byteCount: UInt32
  /// Where it starts in the buffer, in bytes.
  public var byteOffset: UInt32

  /// A range.
  @inlinable
  public init(byteCount: UInt32, byteOffset: UInt32) {
    self.byteCount = byteCount
    self.byteOffset = byteOffset
  }

  /// Whether the range lies inside a buffer of `bufferByteCount` bytes.
  @inlinable
  public func fits(in bufferByteCount: Int) -> Bool {
    Int64(byteOffset) + Int64(byteCount) <= Int64(bufferByteCount)
  }
}

/// Reads the ranges of a transfer-pages packet in place, without allocation.
///
/// The bytes should be a private copy; whether a range fits the buffer, `TransferPageRange.fits(in:)` tells.
public struct TransferPageRanges: ~Escapable {
  @usableFromInline let packet: RawSpan
  /// The number of ranges.
  public let count: Int
  /// The buffer, by the number that the device protocol agreed upon.
  public let pageSetID: UInt16

  /// Checks that the ranges fit before the payload of `packet`, which starts with its descriptor.
  ///
  /// - Throws: `PacketError` when they do not.
  @_lifetime(copy packet)
  public init(parsing packet: RawSpan, descriptor: PacketDescriptor) throws(PacketError) {
    let end = descriptor.payloadOffset
    guard end >= TransferPages.rangesOffset, end <= packet.byteCount else {
      throw .payloadOffset(byteOffset: end, byteCount: packet.byteCount)
    }
    let announced = packet.le32(at: 20)
    guard Int(announced) <= (end - TransferPages.rangesOffset) / 8 else {
      throw .ranges(count: announced, byteCount: end - TransferPages.rangesOffset)
    }
    self.packet = packet
    count = Int(announced)
    // The bytes after the id may hold garbage, as hosts leave it.
    pageSetID = packet.le16(at: 16)
  }

  /// The range `index`; traps when there is none.
  @inlinable
  public subscript(index: Int) -> TransferPageRange {
    precondition(index >= 0 && index < count)
    let lengths = packet.le64(at: TransferPages.rangesOffset + index * 8)
    return TransferPageRange(
      byteCount: UInt32(truncatingIfNeeded: lengths), byteOffset: UInt32(truncatingIfNeeded: lengths >> 32))
  }
}
