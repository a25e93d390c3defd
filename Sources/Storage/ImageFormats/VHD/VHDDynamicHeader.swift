import WireBytes

/// The header of a dynamic or differencing VHD: where its block table is, how large its blocks are, who its parent is.
public struct VHDDynamicHeader: Hashable, Sendable {
  /// Length on disk in bytes.
  public static let byteCount = 1024
  /// The most parent locators.
  public static let locatorCount = 8

  /// Where the block table stands in the file, in bytes.
  public var tableOffset: UInt64
  /// Entries of the block table.
  public var entryCount: UInt32
  /// Length of a block without its bitmap, in bytes.
  public var blockByteCount: UInt64
  /// The unique id in the footer of the parent.
  public var parentID: VHDUniqueID
  /// When the file of the parent was changed last, in seconds since 2000.
  public var parentTimeStamp: UInt32
  /// The name of the parent, as its writer wished; empty when it is no text.
  public var parentName: String
  /// Where more is said about the parent; all that are used.
  public var locators: [VHDParentLocator]

  /// A header.
  public init(
    tableOffset: UInt64, entryCount: UInt32, blockByteCount: UInt64, parentID: VHDUniqueID = .zero,
    parentTimeStamp: UInt32 = 0, parentName: String = "", locators: [VHDParentLocator] = []
  ) {
    self.tableOffset = tableOffset
    self.entryCount = entryCount
    self.blockByteCount = blockByteCount
    self.parentID = parentID
    self.parentTimeStamp = parentTimeStamp
    self.parentName = parentName
    self.locators = locators
  }

  /// Reads a header of 1024 bytes.
  ///
  /// - Parameter offset: where it stands in the file, for messages.
  /// - Throws: `vhd.header` with the field that is wrong.
  public init(parsing bytes: RawSpan, at offset: UInt64) throws(ImageFault) {
    func bad(_ why: String, _ place: Int) -> ImageFault {
      ImageFault("vhd.header", "VHD dynamic header is damaged (\(why))", at: offset + UInt64(place))
    }
    guard bytes.byteCount >= Self.byteCount else { throw bad("too short", 0) }
    let bytes = bytes.extracting(0..<Self.byteCount)
    guard bytes.be64(at: 0) == VHD.headerCookie else { throw bad("the cookie is missing", 0) }
    guard VHD.checksum(bytes, storedAt: 36) == bytes.be32(at: 36) else { throw bad("the checksum is wrong", 36) }
    let version = bytes.be32(at: 24)
    guard version >> 16 == 1 else { throw bad("version \(version >> 16).\(version & 0xffff)", 24) }
    tableOffset = bytes.be64(at: 16)
    guard tableOffset % 512 == 0 else { throw bad("block table offset \(tableOffset)", 16) }
    entryCount = bytes.be32(at: 28)
    blockByteCount = UInt64(bytes.be32(at: 32))
    guard VHD.blockByteCounts.contains(blockByteCount), blockByteCount.nonzeroBitCount == 1 else {
      throw bad("block size \(blockByteCount)", 32)
    }
    parentID = VHDUniqueID(high: bytes.be64(at: 40), low: bytes.be64(at: 48))
    parentTimeStamp = bytes.be32(at: 56)
    let name = (0..<256).map { bytes.be16(at: 64 + 2 * $0) }.prefix { $0 != 0 }
    parentName = String(validating: name, as: UTF16.self) ?? ""
    locators = (0..<Self.locatorCount).compactMap { index in
      let locator = VHDParentLocator(parsing: bytes, at: 576 + 24 * index)
      return locator.platform == .unused ? nil : locator
    }
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    var bytes = [UInt8](zeroed: Self.byteCount) { bytes in
      bytes.storeBE(VHD.headerCookie, at: 0)
      bytes.storeBE(UInt64.max, at: 8)
      bytes.storeBE(tableOffset, at: 16)
      bytes.storeBE(UInt32(0x0001_0000), at: 24)
      bytes.storeBE(entryCount, at: 28)
      bytes.storeBE(UInt32(clamping: blockByteCount), at: 32)
      bytes.storeBE(parentID.high, at: 40)
      bytes.storeBE(parentID.low, at: 48)
      bytes.storeBE(parentTimeStamp, at: 56)
      for (index, unit) in parentName.utf16.prefix(255).enumerated() { bytes.storeBE(unit, at: 64 + 2 * index) }
      for (index, locator) in locators.prefix(Self.locatorCount).enumerated() {
        locator.store(into: &bytes, at: 576 + 24 * index)
      }
    }
    let checksum = VHD.checksum(bytes.rawSpan, storedAt: 36)
    bytes.withMutableBytes { $0.storeBE(checksum, at: 36) }
    return bytes
  }

  /// Length of the block table in bytes.
  public var tableByteCount: UInt64 { UInt64(entryCount) * 4 }
}

/// Where in the file of a differencing VHD a path of its parent stands.
public struct VHDParentLocator: Hashable, Sendable {
  /// What kind of path it is.
  public var platform: Platform
  /// Room for the path: sectors by the specification, bytes in many files.
  public var space: UInt32
  /// Length of the path in bytes.
  public var byteCount: UInt32
  /// Where it stands in the file, in bytes.
  public var offset: UInt64

  /// What kind of path a locator holds.
  public struct Platform: RawRepresentable, Hashable, Sendable {
    /// Four characters.
    public var rawValue: UInt32
    /// A value as it stands in a file, known or not.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// No locator.
    public static let unused = Platform(rawValue: 0)
    /// A path of Windows relative to the child, UTF-16 little-endian (`W2ru`).
    public static let windowsRelative = Platform(rawValue: 0x5732_7275)
    /// An absolute path of Windows, UTF-16 little-endian (`W2ku`).
    public static let windowsAbsolute = Platform(rawValue: 0x5732_6b75)
    /// A URL of a file, UTF-8 (`MacX`).
    public static let macURL = Platform(rawValue: 0x4d61_6358)
  }

  /// The longest path that is read, in bytes.
  public static let maximumByteCount: UInt32 = 64 << 10

  /// A locator.
  public init(platform: Platform, space: UInt32, byteCount: UInt32, offset: UInt64) {
    self.platform = platform
    self.space = space
    self.byteCount = byteCount
    self.offset = offset
  }

  init(parsing bytes: RawSpan, at place: Int) {
    platform = Platform(rawValue: bytes.be32(at: place))
    space = bytes.be32(at: place + 4)
    byteCount = bytes.be32(at: place + 8)
    offset = bytes.be64(at: place + 16)
  }

  @_lifetime(bytes: copy bytes)
  func store(into bytes: inout MutableRawSpan, at place: Int) {
    bytes.storeBE(platform.rawValue, at: place)
    bytes.storeBE(space, at: place + 4)
    bytes.storeBE(byteCount, at: place + 8)
    bytes.storeBE(offset, at: place + 16)
  }

  /// The part of the file that belongs to the locator; nil when it makes no sense and is to be ignored.
  public var range: Range<UInt64>? {
    let room: UInt64
    if space < 512 { room = UInt64(space) * 512 } else if space % 512 == 0 { room = UInt64(space) } else { return nil }
    guard byteCount > 0, byteCount <= Self.maximumByteCount, offset > 0, offset <= UInt64.max >> 1 else { return nil }
    return offset..<(offset + max(room, UInt64(byteCount)))
  }

  /// The path in the bytes that a locator points at; nil when they are no text or of a kind that is not read.
  public func path(_ bytes: RawSpan) -> String? {
    switch platform {
    case .windowsRelative, .windowsAbsolute:
      guard bytes.byteCount % 2 == 0 else { return nil }
      let units = (0..<bytes.byteCount / 2).map { bytes.le16(at: 2 * $0) }
      // Some writers end the text with a zero.
      let text = units.last == 0 ? units.dropLast() : units[...]
      guard !text.isEmpty, !text.contains(0) else { return nil }
      return String(validating: text, as: UTF16.self)
    case .macURL: return String(validating: bytes.array(), as: UTF8.self)
    default: return nil
    }
  }

  /// The bytes of a Windows path.
  public static func encoded(_ path: String) -> [UInt8] {
    path.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  }
}
