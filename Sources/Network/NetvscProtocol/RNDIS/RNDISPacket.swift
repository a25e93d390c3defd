public import WireBytes

/// The header of a PACKET message, with all offsets from the start of the message, in bytes.
public struct RNDISPacket: Hashable, Sendable {
  /// The length word: the distance to the next message of a batch.
  public var byteCount: Int
  /// The bytes of the frame, which has no frame check sequence.
  public var data: Range<Int>
  /// The bytes of the per-packet information; empty at 44 if there is none.
  public var information: Range<Int>
  /// Whether there are no out-of-band data and no virtual circuit. All peers send it so; hosts refuse the rest.
  public var isPlain: Bool

  /// The size of the header, in bytes.
  @inlinable public static var headerByteCount: Int { 44 }
  /// The largest header with the per-packet information that stock guests send, in bytes.
  @inlinable public static var maximumTransmitHeaderByteCount: Int { 108 }

  /// A message with a frame of `dataByteCount` bytes at `dataOffset`, or right behind the per-packet information.
  ///
  /// - Parameters:
  ///   - padding: bytes behind the frame that the length counts, up to the next message of a batch.
  @inlinable
  public init(informationByteCount: Int, dataByteCount: Int, dataOffset: Int? = nil, padding: Int = 0) {
    let header = RNDISPacket.headerByteCount
    let start = dataOffset ?? header + informationByteCount
    precondition(start >= header + informationByteCount && dataByteCount >= 0 && padding >= 0)
    information = header..<(header + informationByteCount)
    data = start..<(start + dataByteCount)
    byteCount = start + dataByteCount + padding
    isPlain = true
  }

  /// Parses the header at the start of `header`, a private copy of at least the first 44 bytes of the message.
  ///
  /// - Parameters:
  ///   - available: the bytes of the whole message at most, which need not be contiguous nor in `header`.
  /// - Throws: when the message is of another type, exceeds `available`, or its parts do not lie in it; a frame of no
  ///   bytes is refused too.
  @inlinable
  public init(parsing header: RawSpan, available: Int) throws(NetvscError) {
    try header.require(RNDISPacket.headerByteCount)
    let type = header.le32(at: 0)
    guard type == RNDISMessageType.packet.rawValue else {
      throw .unexpectedType(type, expected: RNDISMessageType.packet.rawValue)
    }
    let length = header.le32(at: 4)
    guard Int(length) >= RNDISPacket.headerByteCount, Int(length) <= available else {
      throw .length(length, available: available)
    }
    byteCount = Int(length)
    let limit = Int(length) - RNDISMessage.headerByteCount
    let dataOffset = header.le32(at: 8)
    let dataByteCount = header.le32(at: 12)
    try header.requirePart(offset: dataOffset, count: dataByteCount, minimum: 36, limit: limit)
    guard dataByteCount > 0 else { throw .count(0) }
    data = (Int(dataOffset) + 8)..<(Int(dataOffset) + 8 + Int(dataByteCount))
    let informationOffset = header.le32(at: 28)
    let informationByteCount = header.le32(at: 32)
    if informationByteCount == 0 {
      information = RNDISPacket.headerByteCount..<RNDISPacket.headerByteCount
    } else {
      try header.requirePart(offset: informationOffset, count: informationByteCount, minimum: 36, limit: limit)
      guard informationOffset & 3 == 0 else {
        throw .part(offset: informationOffset, byteCount: informationByteCount, minimum: 36, available: limit)
      }
      information = (Int(informationOffset) + 8)..<(Int(informationOffset) + 8 + Int(informationByteCount))
    }
    let outOfBand = header.le64(at: 16) | UInt64(header.le32(at: 24))
    isPlain = outOfBand == 0 && header.le64(at: 36) & 0xffff_ffff == 0
  }

  /// Stores the 44 bytes of the header at `offset`.
  @inlinable
  public func store(into target: inout MutableRawSpan, at offset: Int = 0) {
    target.storeLE(RNDISMessageType.packet.rawValue, at: offset)
    target.storeLE(UInt32(byteCount), at: offset + 4)
    target.storeLE(UInt32(data.lowerBound - 8), at: offset + 8)
    target.storeLE(UInt32(data.count), at: offset + 12)
    target.storeLE(UInt64(0), at: offset + 16)
    target.storeLE(UInt32(0), at: offset + 24)
    target.storeLE(UInt32(information.isEmpty ? 0 : information.lowerBound - 8), at: offset + 28)
    target.storeLE(UInt32(information.count), at: offset + 32)
    target.storeLE(UInt64(0), at: offset + 36)
  }

  /// The bytes to add to a message of `byteCount` bytes so that the next one of a batch is aligned.
  ///
  /// - Parameter alignment: a power of two, in bytes.
  @inlinable
  public static func padding(after byteCount: Int, alignment: Int) -> Int {
    precondition(alignment > 0 && alignment & (alignment - 1) == 0)
    return -byteCount & (alignment - 1)
  }
}
