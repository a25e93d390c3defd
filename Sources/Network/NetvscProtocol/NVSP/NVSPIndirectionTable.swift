public import WireBytes

/// The channel on which the host wants each share of the guest's flows (SEND_INDIRECTION_TABLE).
public struct NVSPIndirectionTable: Equatable, BitwiseCopyable, Sendable {
  /// A channel index per share; what a peer sent may exceed the number of channels.
  public var channels: [16 of UInt32]

  /// The number of entries: 16 in every version.
  @inlinable public static var entryCount: Int { 16 }
  /// The size of the message with the table right behind the fields, in bytes.
  @inlinable public static var byteCount: Int { 76 }
  /// Where the table is in the other form.
  @inlinable public static var longTableOffset: Int { 40 }

  /// The table that deals out `channelCount` channels in turn.
  @inlinable
  public init(channelCount: UInt32) {
    precondition(channelCount > 0)
    channels = InlineArray { UInt32($0) % channelCount }
  }

  /// The channel of a flow with `hash`, where `channelCount` are open.
  @inlinable
  public func channel(forHash hash: UInt32, channelCount: UInt32) -> UInt32 {
    precondition(channelCount > 0)
    return channels[Int(hash % 16)] % channelCount
  }

  /// Parses the whole message.
  ///
  /// Some Windows hosts up to version 6 tell a wrong offset when the table is at 40: an offset outside the message, or
  /// one of the short form in a message of the long one at these versions, is read as 40.
  @inlinable
  public init(parsing message: RawSpan, version: NVSPVersion = .v6_1) throws(NetvscError) {
    try message.require(NVSPIndirectionTable.byteCount)
    let type = message.le32(at: 0)
    guard type == NVSPMessageType.sendIndirectionTable.rawValue else {
      throw .unexpectedType(type, expected: NVSPMessageType.sendIndirectionTable.rawValue)
    }
    let count = message.le32(at: 4)
    guard count == 16 else { throw .count(count) }
    let stated = message.le32(at: 8)
    var offset = Int(stated)
    let long = NVSPIndirectionTable.longTableOffset
    let hasLongForm = message.byteCount >= long + 64
    if hasLongForm, version.rawValue <= NVSPVersion.v6.rawValue { offset = long }
    if offset < 12 || offset > message.byteCount - 64 {
      guard hasLongForm else {
        throw .part(offset: stated, byteCount: 64, minimum: 12, available: message.byteCount)
      }
      offset = long
    }
    channels = InlineArray(repeating: 0)
    for index in 0..<16 {
      channels[index] = message.le32(at: offset + 4 * index)
    }
  }

  /// Stores the 76 bytes of the message with the table at 12, or the 104 with the table at 40; returns that size.
  @inlinable @discardableResult
  public func store(into target: inout MutableRawSpan, at start: Int = 0, tableOffset: Int = 12) -> Int {
    precondition(tableOffset >= 12)
    target.storeLE(NVSPMessageType.sendIndirectionTable.rawValue, at: start)
    target.storeLE(UInt32(16), at: start + 4)
    target.storeLE(UInt32(tableOffset), at: start + 8)
    target.zero(from: start + 12, count: tableOffset - 12)
    for index in 0..<16 {
      target.storeLE(channels[index], at: start + tableOffset + 4 * index)
    }
    return tableOffset + 64
  }

  /// Whether all entries are equal.
  @inlinable
  public static func == (left: NVSPIndirectionTable, right: NVSPIndirectionTable) -> Bool {
    for index in 0..<16 where left.channels[index] != right.channels[index] {
      return false
    }
    return true
  }
}
