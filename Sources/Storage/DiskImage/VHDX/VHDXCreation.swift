public import ImageFormats
import LinuxIO

/// What a new VHDX image is to be.
public struct VHDXCreation: Sendable {
  /// Capacity in bytes; rounded up to whole sectors.
  public var diskByteCount: UInt64
  /// Block size in bytes; nil: 2 MiB for children and disks below 4 GiB, else 32 MiB.
  public var blockByteCount: UInt64?
  /// Logical sector size in bytes: 512 or 4096.
  public var sectorByteCount: UInt64 = 512
  /// Physical sector size in bytes: 512 or 4096.
  public var physicalSectorByteCount: UInt64 = 4096
  /// Whether all blocks are allocated at once.
  public var isFixed = false
  /// Length of the log in bytes, whole MiB.
  public var logByteCount: UInt32 = 1 << 20
  /// Identity of the disk; nil for a new one.
  public var diskID: GUID?
  /// The parent of a differencing image.
  public var parent: Parent?
  /// Whether an existing file is replaced.
  public var isReplacing = false

  /// The parent of a new image.
  public struct Parent: Sendable {
    /// The DataWriteGuid of its current header.
    public var identity: GUID
    /// Its path relative to the directory of the child.
    public var relativePath: String
    /// Its absolute path as Windows knows it; empty where that is not known.
    public var absoluteWindowsPath: String

    /// A parent.
    public init(identity: GUID, relativePath: String, absoluteWindowsPath: String = "") {
      self.identity = identity
      self.relativePath = relativePath
      self.absoluteWindowsPath = absoluteWindowsPath
    }
  }

  /// A dynamic image of `diskByteCount` bytes.
  public init(diskByteCount: UInt64) { self.diskByteCount = diskByteCount }

  /// Makes the image: under another name first, so that there is a whole one or none.
  ///
  /// - Throws: `vhdx.param` for sizes that the format does not allow; `.system`.
  public func write(to path: String) throws(DiskImageError) {
    try writeNewFile(path, replacing: isReplacing) { file throws(DiskImageError) in try fill(file) }
  }

  /// Where the log starts; metadata and block table follow.
  private static let logOffset: UInt64 = 1 << 20
  private static let metadataByteCount: UInt32 = 1 << 20

  private func fill(_ file: ImageFile) throws(DiskImageError) {
    let sector = max(512, sectorByteCount)
    let size =
      diskByteCount > VHDX.maximumDiskByteCount ? diskByteCount : (diskByteCount + sector - 1) / sector * sector
    let block = blockByteCount ?? (parent != nil || size < 4 << 30 ? 2 << 20 : 32 << 20)
    let geometry = try faults { () throws(ImageFault) in
      try VHDXGeometry(
        diskByteCount: size, blockByteCount: block, sectorByteCount: sectorByteCount, hasParent: parent != nil)
    }
    guard physicalSectorByteCount == 512 || physicalSectorByteCount == 4096 else {
      throw .fault(ImageFault("vhdx.param", "VHDX physical sector size \(physicalSectorByteCount) is not allowed"))
    }
    guard logByteCount >= 1 << 20, UInt64(logByteCount) % VHDX.alignment == 0 else {
      throw .fault(ImageFault("vhdx.param", "VHDX log length \(logByteCount) is not allowed"))
    }
    let parameters = VHDXParameters(
      geometry: geometry, leavesBlocksAllocated: isFixed && parent == nil, diskID: diskID ?? .random(),
      physicalSectorByteCount: physicalSectorByteCount)
    let metadata = Self.logOffset + UInt64(logByteCount)
    let table = metadata + UInt64(Self.metadataByteCount)
    let data = table + geometry.tableByteCount
    let regions = VHDXRegionTable([
      .init(id: VHDXRegionTable.blockTable, offset: table, byteCount: UInt32(geometry.tableByteCount)),
      .init(id: VHDXRegionTable.metadata, offset: metadata, byteCount: Self.metadataByteCount),
    ]).encoded()
    let header = VHDXHeader(
      sequenceNumber: 0, fileWriteGUID: .random(), dataWriteGUID: .random(), logByteCount: logByteCount,
      logOffset: Self.logOffset)
    try system("write it") { () throws(Errno) in
      try file.truncate(to: data + (parameters.leavesBlocksAllocated ? geometry.blockCount * block : 0))
      if parameters.leavesBlocksAllocated {
        try file.reserve(at: data, byteCount: geometry.blockCount * block)
        try writeFixedTable(file, geometry, table: table, data: data)
      }
      try file.write(VHDX.signature + Self.creator, at: 0)
      for offset in VHDX.regionTableOffsets { try file.write(regions, at: offset) }
      let items = metadataItems(parameters)
      try file.write(items.table, at: metadata)
      try file.write(items.bytes, at: metadata + UInt64(VHDXMetadataTable.byteCount))
      var writer = VHDXHeaderWriter(header: header, slot: 1)
      try file.write(header.encoded(), at: VHDX.headerOffsets[1])
      try writer.write(to: file)
    }
  }

  /// The name of the program as the format wants it: UTF-16.
  private static let creator = "synthgate".utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }

  private func metadataItems(_ parameters: VHDXParameters) -> (table: [UInt8], bytes: [UInt8]) {
    var entries: [VHDXMetadataTable.Entry] = []
    var bytes: [UInt8] = []
    for item in VHDXMetadataItem.allCases {
      var content = parameters.encoded(item)
      if item == .parentLocator, let parent {
        var locator = VHDXParentLocator(parent: parent.identity, relativePath: parent.relativePath)
        if !parent.absoluteWindowsPath.isEmpty {
          locator.pairs.append(.init(key: "absolute_win32_path", value: parent.absoluteWindowsPath))
        }
        content = locator.encoded()
      }
      guard let content else { continue }
      entries.append(
        .init(
          id: item.id, offset: UInt32(VHDXMetadataTable.byteCount + bytes.count), byteCount: UInt32(content.count),
          isVirtualDisk: item.isVirtualDisk))
      bytes += content
    }
    return (VHDXMetadataTable(entries).encoded(), bytes)
  }

  private func writeFixedTable(
    _ file: ImageFile, _ geometry: VHDXGeometry, table: UInt64, data: UInt64
  ) throws(Errno) {
    var index: UInt64 = 0
    while index < geometry.entryCount {
      let count = min(geometry.entryCount - index, 131_072)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(Int(count) * 8)
      for place in index..<(index + count) {
        var entry: UInt64 = 0
        if case .block(let block) = geometry.role(ofEntry: place) {
          entry = VHDXBlockEntry(.fullyPresent, offset: data + block << geometry.blockShift).rawValue
        }
        for byte in 0..<UInt64(8) { bytes.append(UInt8(truncatingIfNeeded: entry >> (8 * byte))) }
      }
      try file.write(bytes, at: table + index * 8)
      index += count
    }
  }
}

/// Makes a file under another name, fills it, makes it durable, and gives it its name: there is a whole one or none.
///
/// - Parameter replacing: whether an existing file is replaced.
/// - Throws: what `fill` throws; `.system` with EEXIST when there is a file that is not to be replaced.
func writeNewFile(
  _ path: String, replacing: Bool, _ fill: (ImageFile) throws(DiskImageError) -> Void
) throws(DiskImageError) {
  let partial = path + ".part\(UInt32.random(in: 0...UInt32.max))"
  let file = try system("create it") { () throws(Errno) in
    ImageFile(path: partial, file: try OwnedDescriptor.create(partial))
  }
  do throws(DiskImageError) {
    try fill(file)
    try system("write it") { () throws(Errno) in try file.synchronize() }
    try system("create it") { () throws(Errno) in try renameFile(partial, to: path, replacing: replacing) }
  } catch {
    try? removeFile(partial)
    throw error
  }
}
