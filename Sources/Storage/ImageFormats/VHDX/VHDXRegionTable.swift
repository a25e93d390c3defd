import WireBytes

/// The region table: where block table and metadata stand. There are two copies of it.
public struct VHDXRegionTable: Hashable, Sendable {
  /// Length on disk in bytes; the checksum covers all of it.
  public static let byteCount = 64 << 10
  /// The most regions.
  public static let maximumEntryCount = 2047
  /// The region of the block allocation table.
  public static let blockTable = GUID(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08)
  /// The region of the metadata.
  public static let metadata = GUID(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e)

  /// One region.
  public struct Entry: Hashable, Sendable {
    /// What it holds.
    public var id: GUID
    /// Where it stands, in bytes.
    public var offset: UInt64
    /// How long it is, in bytes.
    public var byteCount: UInt32
    /// Whether a program that does not know it must leave the file alone.
    public var isRequired: Bool

    /// A region.
    public init(id: GUID, offset: UInt64, byteCount: UInt32, isRequired: Bool = true) {
      self.id = id
      self.offset = offset
      self.byteCount = byteCount
      self.isRequired = isRequired
    }

    /// The bytes that it takes; the caller has checked that they do not overflow.
    public var range: Range<UInt64> { offset..<(offset + UInt64(byteCount)) }
  }

  /// The regions in the order of the table.
  public var entries: [Entry]

  /// A table.
  public init(_ entries: [Entry]) { self.entries = entries }

  /// Reads and checks a table, each region for itself.
  ///
  /// - Parameter tableOffset: where it stands in the file, for messages.
  /// - Returns: nil unless signature and checksum are right, so that the other copy is to be tried.
  /// - Throws: `vhdx.region.bad` when it is whole and yet can't be.
  public init?(parsing bytes: RawSpan, at tableOffset: UInt64) throws(ImageFault) {
    guard bytes.byteCount >= Self.byteCount, bytes.le32(at: 0) == Self.signature,
      bytes.le32(at: 4) == CRC32C.checksum(bytes.extracting(0..<Self.byteCount), storedAt: 4)
    else { return nil }
    let count = bytes.le32(at: 8)
    guard count <= Self.maximumEntryCount else {
      throw ImageFault("vhdx.region.bad", "VHDX region table has \(count) entries", at: tableOffset + 8)
    }
    guard bytes.le32(at: 12) == 0 else {
      throw ImageFault("vhdx.region.bad", "reserved field of the VHDX region table is set", at: tableOffset + 12)
    }
    entries = []
    for index in 0..<Int(count) {
      let place = 16 + 32 * index
      let entry = Entry(
        id: GUID(parsing: bytes, at: place), offset: bytes.le64(at: place + 16), byteCount: bytes.le32(at: place + 24),
        isRequired: bytes.le32(at: place + 28) & 1 != 0)
      func bad(_ why: String) -> ImageFault {
        ImageFault("vhdx.region.bad", "VHDX region \(entry.id) is invalid (\(why))", at: tableOffset + UInt64(place))
      }
      if bytes.le32(at: place + 28) & ~1 != 0 { throw bad("reserved flags") }
      if entry.byteCount == 0 { throw bad("no length") }
      if UInt64(entry.byteCount) % VHDX.alignment != 0 { throw bad("length \(entry.byteCount) is not whole MiB") }
      if entry.offset % VHDX.alignment != 0 || entry.offset < VHDX.headerSectionByteCount || entry.offset > 1 << 62 {
        throw bad("offset \(entry.offset)")
      }
      if entries.contains(where: { $0.id == entry.id }) { throw bad("it is there twice") }
      if let other = entries.first(where: { $0.range.overlaps(entry.range) }) { throw bad("overlaps \(other.id)") }
      entries.append(entry)
    }
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    precondition(entries.count <= Self.maximumEntryCount)
    var bytes = [UInt8](zeroed: Self.byteCount) { bytes in
      bytes.storeLE(Self.signature, at: 0)
      bytes.storeLE(UInt32(entries.count), at: 8)
      for (index, entry) in entries.enumerated() {
        let place = 16 + 32 * index
        entry.id.store(into: &bytes, at: place)
        bytes.storeLE(entry.offset, at: place + 16)
        bytes.storeLE(entry.byteCount, at: place + 24)
        bytes.storeLE(UInt32(entry.isRequired ? 1 : 0), at: place + 28)
      }
    }
    let checksum = CRC32C.checksum(bytes.rawSpan)
    bytes.withMutableBytes { $0.storeLE(checksum, at: 4) }
    return bytes
  }

  /// The region called `id`.
  public func region(_ id: GUID) -> Entry? { entries.first { $0.id == id } }

  /// The bytes `regi`.
  private static let signature: UInt32 = 0x6967_6572
}
