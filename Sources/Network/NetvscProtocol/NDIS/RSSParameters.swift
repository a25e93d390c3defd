import WireBytes

/// How the guest wants its flows spread over the queues (Windows: NDIS_RECEIVE_SCALE_PARAMETERS).
public struct RSSParameters: Hashable, Sendable {
  /// Bits about what is unchanged.
  public struct Flags: OptionSet, Hashable, BitwiseCopyable, Sendable {
    /// The value on the wire.
    public var rawValue: UInt16

    /// Flags as they came over the wire.
    @inlinable
    public init(rawValue: UInt16) {
      self.rawValue = rawValue
    }

    /// The base CPU is as it was.
    @inlinable public static var baseCPUUnchanged: Flags { Flags(rawValue: 1) }
    /// The hash is as it was.
    @inlinable public static var hashUnchanged: Flags { Flags(rawValue: 2) }
    /// The table is as it was.
    @inlinable public static var tableUnchanged: Flags { Flags(rawValue: 4) }
    /// The key is as it was.
    @inlinable public static var keyUnchanged: Flags { Flags(rawValue: 8) }
    /// Receive-side scaling is off.
    @inlinable public static var disable: Flags { Flags(rawValue: 0x10) }
  }

  /// What is unchanged, and whether scaling is off.
  public var flags: Flags
  /// The base CPU; 0.
  public var baseCPU: UInt16 = 0
  /// Function and types.
  public var hashTypes: RSSHashTypes
  /// A queue per entry; a host must check them against its queues.
  public var table: [UInt32]
  /// The key of the hash; a host takes 40 bytes.
  public var key: [UInt8]

  /// Where the table starts in an object of ours, in bytes: behind revision 2.
  @inlinable public static var tableOffset: Int { 40 }
  /// The largest table that is read, in entries.
  @inlinable public static var maximumTableEntryCount: Int { 1024 }

  /// Parameters as given.
  public init(flags: Flags = [], hashTypes: RSSHashTypes = .standard, table: [UInt32], key: [UInt8]) {
    self.flags = flags
    self.hashTypes = hashTypes
    self.table = table
    self.key = key
  }

  /// Whether scaling is off: by the flag, or for want of a function.
  public var isDisabled: Bool { flags.contains(.disable) || !hashTypes.contains(.toeplitz) }

  /// Whether a host with `queueCount` queues can use the parameters: a key of 40 bytes, and a table that is not empty
  /// and names no other queue.
  public func isUsable(queueCount: UInt32) -> Bool {
    key.count == ToeplitzHash.keyByteCount && !table.isEmpty && table.allSatisfy { $0 < queueCount }
  }

  /// The size of the object, in bytes.
  public var byteCount: Int { RSSParameters.tableOffset + 4 * table.count + key.count }

  /// Parses the object; table and key are where their offsets say, in whatever order. The size in the header is not
  /// looked at: peers disagree on what it counts.
  public init(parsing object: RawSpan) throws(NetvscError) {
    try object.require(28)
    let header = NDISObjectHeader(parsing: object, at: 0)
    try header.require(type: NDISObjectHeader.rssParametersType)
    flags = Flags(rawValue: object.le16(at: 4))
    baseCPU = object.le16(at: 6)
    hashTypes = RSSHashTypes(rawValue: object.le32(at: 8))
    let tableByteCount = UInt32(object.le16(at: 12))
    let tableOffset = object.le32(at: 16)
    let keyByteCount = UInt32(object.le16(at: 20))
    let keyOffset = object.le32(at: 24)
    guard tableByteCount & 3 == 0, Int(tableByteCount) <= 4 * RSSParameters.maximumTableEntryCount else {
      throw .count(tableByteCount)
    }
    table = []
    if tableByteCount > 0 {
      try object.requirePart(offset: tableOffset, count: tableByteCount, minimum: 28, limit: object.byteCount)
      table.reserveCapacity(Int(tableByteCount / 4))
      for index in 0..<Int(tableByteCount / 4) {
        table.append(object.le32(at: Int(tableOffset) + 4 * index))
      }
    }
    key = []
    if keyByteCount > 0 {
      try object.requirePart(offset: keyOffset, count: keyByteCount, minimum: 28, limit: object.byteCount)
      key = object.array(from: Int(keyOffset), count: Int(keyByteCount))
    }
  }

  /// Stores the object at `start`, of revision 2, the key behind the table, and returns its size.
  @discardableResult
  public func store(into target: inout MutableRawSpan, at start: Int = 0) -> Int {
    let keyOffset = RSSParameters.tableOffset + 4 * table.count
    target.zero(from: start, count: RSSParameters.tableOffset)
    NDISObjectHeader(type: NDISObjectHeader.rssParametersType, revision: 2, byteCount: 40)
      .store(into: &target, at: start)
    target.storeLE(flags.rawValue, at: start + 4)
    target.storeLE(baseCPU, at: start + 6)
    target.storeLE(hashTypes.rawValue, at: start + 8)
    target.storeLE(UInt16(4 * table.count), at: start + 12)
    target.storeLE(UInt32(RSSParameters.tableOffset), at: start + 16)
    target.storeLE(UInt16(key.count), at: start + 20)
    target.storeLE(UInt32(keyOffset), at: start + 24)
    for (index, queue) in table.enumerated() {
      target.storeLE(queue, at: start + RSSParameters.tableOffset + 4 * index)
    }
    target.store(key.rawSpan, at: start + keyOffset)
    return keyOffset + key.count
  }
}
