import WireBytes

/// The table at the start of the metadata region: which items there are and where.
public struct VHDXMetadataTable: Hashable, Sendable {
  /// Length on disk in bytes; items stand behind it.
  public static let byteCount = 64 << 10
  /// The most items, and the most of them that belong to users.
  public static let maximumEntryCount = 2047
  /// See `maximumEntryCount`.
  public static let maximumUserEntryCount = 1024
  /// The longest item in bytes.
  public static let maximumItemByteCount: UInt32 = 1 << 20

  /// One item.
  public struct Entry: Hashable, Sendable {
    /// What it holds.
    public var id: GUID
    /// Where it stands in the region, in bytes.
    public var offset: UInt32
    /// How long it is, in bytes.
    public var byteCount: UInt32
    /// Whether it belongs to a user of the disk and not to the format.
    public var isUser: Bool
    /// Whether it describes the disk and not the file: it goes to the parent when the child is merged.
    public var isVirtualDisk: Bool
    /// Whether a program that does not know it must leave the file alone.
    public var isRequired: Bool

    /// An item.
    public init(
      id: GUID, offset: UInt32, byteCount: UInt32, isUser: Bool = false, isVirtualDisk: Bool, isRequired: Bool = true
    ) {
      self.id = id
      self.offset = offset
      self.byteCount = byteCount
      self.isUser = isUser
      self.isVirtualDisk = isVirtualDisk
      self.isRequired = isRequired
    }

    /// The bytes of the region that it takes.
    public var range: Range<UInt64> { UInt64(offset)..<(UInt64(offset) + UInt64(byteCount)) }
  }

  /// The items in the order of the table.
  public var entries: [Entry]

  /// A table.
  public init(_ entries: [Entry]) { self.entries = entries }

  /// Reads and checks a table.
  ///
  /// - Parameters:
  ///   - regionOffset: where the region stands in the file, for messages.
  ///   - regionByteCount: its length.
  /// - Throws: `vhdx.meta.bad`.
  public init(parsing bytes: RawSpan, regionOffset: UInt64, regionByteCount: UInt32) throws(ImageFault) {
    func bad(_ why: String, _ place: Int) -> ImageFault {
      ImageFault("vhdx.meta.bad", "VHDX metadata is damaged (\(why))", at: regionOffset + UInt64(place))
    }
    guard bytes.byteCount >= Self.byteCount, bytes.le64(at: 0) == Self.signature else { throw bad("no signature", 0) }
    guard bytes.le16(at: 8) == 0 else { throw bad("reserved field of the table is set", 8) }
    let count = Int(bytes.le16(at: 10))
    guard count <= Self.maximumEntryCount else { throw bad("\(count) items", 10) }
    entries = []
    var taken: [Range<UInt64>] = []
    for index in 0..<count {
      let place = 32 + 32 * index
      let flags = bytes.le32(at: place + 24)
      let entry = Entry(
        id: GUID(parsing: bytes, at: place), offset: bytes.le32(at: place + 16), byteCount: bytes.le32(at: place + 20),
        isUser: flags & 1 != 0, isVirtualDisk: flags & 2 != 0, isRequired: flags & 4 != 0)
      func wrong(_ why: String) -> ImageFault { bad("item \(entry.id): \(why)", place) }
      if flags & ~7 != 0 || bytes.le32(at: place + 28) != 0 { throw wrong("reserved bits are set") }
      if entry.isUser, entry.isRequired { throw wrong("a user's item is required") }
      if entry.id == .zero { throw wrong("no name") }
      if entry.byteCount == 0 {
        if entry.offset != 0 { throw wrong("an offset without a length") }
      } else {
        if entry.byteCount > Self.maximumItemByteCount { throw wrong("length \(entry.byteCount)") }
        if entry.offset < Self.byteCount { throw wrong("offset \(entry.offset) lies in the table") }
        if entry.range.upperBound > UInt64(regionByteCount) { throw wrong("it ends behind the region") }
        taken.append(entry.range)
      }
      entries.append(entry)
    }
    if entries.count(where: { $0.isUser }) > Self.maximumUserEntryCount { throw bad("too many users' items", 10) }
    taken.sort { $0.lowerBound < $1.lowerBound }
    for (one, next) in zip(taken, taken.dropFirst()) where one.upperBound > next.lowerBound {
      throw bad("items overlap at offset \(next.lowerBound)", 32)
    }
    var names = Set<[UInt64]>()
    for entry in entries where !names.insert([entry.id.low, entry.id.high, entry.isUser ? 1 : 0]).inserted {
      throw bad("item \(entry.id) is there twice", 32)
    }
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    precondition(entries.count <= Self.maximumEntryCount)
    return [UInt8](zeroed: Self.byteCount) { bytes in
      bytes.storeLE(Self.signature, at: 0)
      bytes.storeLE(UInt16(entries.count), at: 10)
      for (index, entry) in entries.enumerated() {
        let place = 32 + 32 * index
        entry.id.store(into: &bytes, at: place)
        bytes.storeLE(entry.offset, at: place + 16)
        bytes.storeLE(entry.byteCount, at: place + 20)
        let flags: UInt32 = (entry.isUser ? 1 : 0) | (entry.isVirtualDisk ? 2 : 0) | (entry.isRequired ? 4 : 0)
        bytes.storeLE(flags, at: place + 24)
      }
    }
  }

  /// The item of the format that is called `id`.
  public func item(_ id: GUID) -> Entry? { entries.first { $0.id == id && !$0.isUser } }

  /// The bytes `metadata`.
  private static let signature: UInt64 = 0x6174_6164_6174_656d
}
