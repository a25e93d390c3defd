public import ImageFormats
import LinuxIO

/// What a new VHD image is to be.
public struct VHDCreation: Sendable {
  /// Capacity in bytes; rounded up to whole sectors.
  public var diskByteCount: UInt64
  /// Block size in bytes; every other program wants 2 MiB.
  public var blockByteCount = VHD.usualBlockByteCount
  /// Whether the image is fixed: the bytes of the disk, then a footer.
  public var isFixed = false
  /// Whether the storage of a fixed image is taken at once; otherwise the file is a hole.
  public var isReserved = true
  /// Identity of the image; nil for a new one.
  public var uniqueID: VHDUniqueID?
  /// The parent of a differencing image.
  public var parent: Parent?
  /// Whether an existing file is replaced.
  public var isReplacing = false

  /// The parent of a new image.
  public struct Parent: Sendable {
    /// The unique id in its footer.
    public var identity: VHDUniqueID
    /// When its file was changed last, in seconds since 1970.
    public var modified: Int64
    /// Its path relative to the directory of the child, with the separators of Windows.
    public var relativePath: String
    /// Its absolute path as Windows knows it; empty where that is not known.
    public var absoluteWindowsPath: String

    /// A parent.
    public init(identity: VHDUniqueID, modified: Int64, relativePath: String, absoluteWindowsPath: String = "") {
      self.identity = identity
      self.modified = modified
      self.relativePath = relativePath
      self.absoluteWindowsPath = absoluteWindowsPath
    }
  }

  /// A dynamic image of `diskByteCount` bytes.
  public init(diskByteCount: UInt64) { self.diskByteCount = diskByteCount }

  /// Makes the image: under another name first, so that there is a whole one or none.
  ///
  /// - Throws: `vhd.size` for a size that the format does not allow; `.system`.
  public func write(to path: String) throws(DiskImageError) {
    try writeNewFile(path, replacing: isReplacing) { file throws(DiskImageError) in
      try fill(file, now: Int64(realTimeSeconds()))
    }
  }

  private func fill(_ file: ImageFile, now: Int64) throws(DiskImageError) {
    guard diskByteCount > 0, diskByteCount <= VHD.maximumDiskByteCount else {
      throw .fault(
        ImageFault("vhd.size", "VHD size \(diskByteCount) is not allowed; 2040 GiB is the most, VHDX holds more"))
    }
    let size = (diskByteCount + 511) / 512 * 512
    guard VHD.blockByteCounts.contains(blockByteCount), blockByteCount.nonzeroBitCount == 1 else {
      throw .fault(ImageFault("vhd.header", "VHD block size \(blockByteCount) is not allowed"))
    }
    let id = uniqueID ?? .random()
    let stamp = VHD.timeStamp(unixSeconds: now)
    if isFixed {
      let footer = VHDFooter(kind: .fixed, diskByteCount: size, uniqueID: id, timeStamp: stamp)
      return try system("write it") { () throws(Errno) in
        try file.truncate(to: size + 512)
        if isReserved { try file.reserve(at: 0, byteCount: size + 512) }
        try file.write(footer.encoded(), at: size)
      }
    }
    let footer = VHDFooter(
      kind: parent == nil ? .dynamic : .differencing, diskByteCount: size, uniqueID: id, timeStamp: stamp,
      dataOffset: 512)
    let blocks = (size + blockByteCount - 1) / blockByteCount
    let table = (blocks * 4 + 511) / 512 * 512
    var header = VHDDynamicHeader(
      tableOffset: 1536, entryCount: UInt32(clamping: blocks), blockByteCount: blockByteCount)
    var texts: [(offset: UInt64, bytes: [UInt8])] = []
    var end = header.tableOffset + table
    if let parent { addLocators(of: parent, to: &header, &texts, &end) }
    try system("write it") { () throws(Errno) in
      try file.truncate(to: end + 512)
      try file.write(footer.encoded(), at: 0)
      try file.write(header.encoded(), at: 512)
      var position: UInt64 = 0
      while position < table {
        let count = min(table - position, 1 << 20)
        try file.write([UInt8](repeating: 0xff, count: Int(count)), at: header.tableOffset + position)
        position += count
      }
      for text in texts { try file.write(text.bytes, at: text.offset) }
      try file.write(footer.encoded(), at: end)
    }
  }

  private func addLocators(
    of parent: Parent, to header: inout VHDDynamicHeader, _ texts: inout [(offset: UInt64, bytes: [UInt8])],
    _ end: inout UInt64
  ) {
    header.parentID = parent.identity
    header.parentTimeStamp = VHD.timeStamp(unixSeconds: parent.modified)
    header.parentName = parent.relativePath.split(separator: "\\").last.map(String.init) ?? ""
    for (platform, path) in [
      (VHDParentLocator.Platform.windowsRelative, parent.relativePath),
      (.windowsAbsolute, parent.absoluteWindowsPath),
    ] where !path.isEmpty {
      let bytes = VHDParentLocator.encoded(path)
      let space = (UInt64(bytes.count) + 511) / 512 * 512
      header.locators.append(
        VHDParentLocator(
          platform: platform, space: UInt32(space / 512), byteCount: UInt32(bytes.count), offset: end))
      texts.append((end, bytes + [UInt8](repeating: 0, count: Int(space) - bytes.count)))
      end += space
    }
  }
}
