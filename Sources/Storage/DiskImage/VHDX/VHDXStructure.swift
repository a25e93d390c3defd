import ImageFormats
import LinuxIO
import WireBytes

/// Everything about a VHDX file but its block table: read and checked, nothing changed, except by a replay of the log.
struct VHDXStructure: Sendable {
  /// The current header.
  var header: VHDXHeader
  /// Where it stands: 0 or 1.
  var headerSlot: Int
  /// What a log that was not replayed changes.
  var overlay: VHDXOverlay?
  /// The regions.
  var regions: VHDXRegionTable
  /// Whether one copy of the region table is damaged or differs, so that both are to be written again.
  var needsRegionTables: Bool
  /// Where the block table stands.
  var tableRegion: VHDXRegionTable.Entry
  /// Where the metadata stand.
  var metadataRegion: VHDXRegionTable.Entry
  /// The items of the metadata.
  var metadata: VHDXMetadataTable
  /// What the mandatory items say.
  var parameters: VHDXParameters
  /// Where the parent is.
  var locator: VHDXParentLocator?
  /// Length of the file in bytes.
  var fileByteCount: UInt64

  /// What a log with entries in it means.
  enum PendingLog {
    /// It is replayed: the file is written.
    case replay
    /// Its changes are laid over what is read.
    case overlay
    /// Nothing: only to look at a file whose log has no entries.
    case ignore
  }

  /// Reads the file.
  ///
  /// - Throws: what is wrong, with the name and place of the field.
  static func read(_ file: ImageFile, pendingLog: PendingLog) throws(DiskImageError) -> VHDXStructure {
    var fileByteCount = try system("look at it") { () throws(Errno) in try file.byteCount() }
    guard fileByteCount >= VHDX.headerSectionByteCount else {
      throw .fault(ImageFault("vhdx.small", "it is not a VHDX file: \(fileByteCount) bytes are too few"))
    }
    let identifier = try system("read it") { () throws(Errno) in try file.read(at: 0, count: 8) }
    guard identifier == VHDX.signature else {
      throw .fault(ImageFault("vhdx.id", "it is not a VHDX file: the identifier is missing", at: 0))
    }
    var (header, slot) = try currentHeader(file)
    try checkLogPlace(header, fileByteCount)
    var overlay: VHDXOverlay?
    if header.logGUID != .zero {
      switch pendingLog {
      case .replay:
        (header, slot) = try VHDXReplay.run(file, header: header, slot: slot)
        fileByteCount = try system("look at it") { () throws(Errno) in try file.byteCount() }
      case .ignore: break
      case .overlay: overlay = try VHDXReplay.overlay(file, header: header, fileByteCount: fileByteCount)
      }
    }
    let source = VHDXMetadataSource(file: file, overlay: overlay, fileByteCount: fileByteCount)
    let (regions, needsRegionTables) = try readRegions(source, header)
    guard let table = regions.region(VHDXRegionTable.blockTable),
      let metadata = regions.region(VHDXRegionTable.metadata)
    else { throw .fault(ImageFault("vhdx.region.missing", "VHDX BAT or metadata region is missing")) }
    let items = try readMetadata(source, metadata)
    let geometry = items.parameters.geometry
    if UInt64(table.byteCount) < geometry.entryCount * 8 {
      throw .fault(
        ImageFault(
          "vhdx.bat.small", "VHDX block table is too small for \(geometry.blockCount) blocks", at: table.offset))
    }
    return VHDXStructure(
      header: header, headerSlot: slot, overlay: overlay, regions: regions, needsRegionTables: needsRegionTables,
      tableRegion: table, metadataRegion: metadata, metadata: items.table, parameters: items.parameters,
      locator: items.locator, fileByteCount: fileByteCount)
  }

  /// The header that counts, and its place.
  static func currentHeader(_ file: ImageFile) throws(DiskImageError) -> (VHDXHeader, slot: Int) {
    var found: [VHDXHeader?] = []
    for offset in VHDX.headerOffsets {
      let bytes = try system("read its headers") { () throws(Errno) in
        try file.read(at: offset, count: VHDXHeader.byteCount)
      }
      found.append(VHDXHeader(parsing: bytes.rawSpan))
    }
    switch VHDXHeader.choose(found[0], found[1]) {
    case .none:
      throw .fault(ImageFault("vhdx.header.none", "both VHDX headers are damaged", at: VHDX.headerOffsets[0]))
    case .contradiction:
      throw .fault(
        ImageFault("vhdx.header.tie", "the two VHDX headers contradict each other", at: VHDX.headerOffsets[0] + 8))
    case .current(let header, let slot):
      let place = VHDX.headerOffsets[slot]
      if header.version != 1 {
        throw .fault(ImageFault("vhdx.version", "VHDX version \(header.version) is not supported", at: place + 66))
      }
      if header.logVersion != 0, header.logGUID != .zero {
        throw .fault(
          ImageFault("vhdx.version", "VHDX log version \(header.logVersion) is not supported", at: place + 64))
      }
      return (header, slot)
    }
  }

  private static func checkLogPlace(_ header: VHDXHeader, _ fileByteCount: UInt64) throws(DiskImageError) {
    let count = UInt64(header.logByteCount)
    guard count >= VHDX.alignment, count % VHDX.alignment == 0, count <= VHDX.maximumLogByteCount,
      header.logOffset % VHDX.alignment == 0, header.logOffset >= VHDX.headerSectionByteCount,
      header.logOffset <= fileByteCount, count <= fileByteCount - header.logOffset
    else {
      throw .fault(
        ImageFault(
          "vhdx.log.place", "VHDX log location is invalid (\(count) bytes at \(header.logOffset))",
          at: VHDX.headerOffsets[0] + 68))
    }
  }

  private static func readRegions(
    _ source: VHDXMetadataSource, _ header: VHDXHeader
  ) throws(DiskImageError) -> (VHDXRegionTable, needsTables: Bool) {
    var found: [VHDXRegionTable] = []
    var bytes: [[UInt8]] = []
    for offset in VHDX.regionTableOffsets {
      let table = try system("read its region tables") { () throws(Errno) in
        try source.read(at: offset, count: VHDXRegionTable.byteCount)
      }
      bytes.append(table)
      if let parsed = try faults({ () throws(ImageFault) in try VHDXRegionTable(parsing: table.rawSpan, at: offset) }) {
        found.append(parsed)
      }
    }
    guard let regions = found.first else {
      throw .fault(
        ImageFault("vhdx.region.table", "both VHDX region tables are damaged", at: VHDX.regionTableOffsets[0]))
    }
    let log = header.logOffset..<(header.logOffset + UInt64(header.logByteCount))
    for region in regions.entries {
      let isKnown = region.id == VHDXRegionTable.blockTable || region.id == VHDXRegionTable.metadata
      func bad(_ why: String) -> DiskImageError {
        .fault(ImageFault("vhdx.region.bad", "VHDX region \(region.id) is invalid (\(why))", at: region.offset))
      }
      if region.range.overlaps(log) { throw bad("overlaps the log") }
      if !isKnown, region.isRequired {
        throw .fault(
          ImageFault(
            "vhdx.region.unknown", "it needs a VHDX feature this program does not know (region \(region.id))"))
      }
      if isKnown, region.range.upperBound > source.byteCount { throw bad("ends behind the file") }
    }
    return (regions, found.count < 2 || bytes[0] != bytes[1])
  }

  private static func readMetadata(
    _ source: VHDXMetadataSource, _ region: VHDXRegionTable.Entry
  ) throws(DiskImageError) -> (table: VHDXMetadataTable, parameters: VHDXParameters, locator: VHDXParentLocator?) {
    func read(_ offset: UInt64, _ count: Int) throws(DiskImageError) -> [UInt8] {
      try system("read its metadata") { () throws(Errno) in try source.read(at: region.offset + offset, count: count) }
    }
    let bytes = try read(0, VHDXMetadataTable.byteCount)
    let table = try faults { () throws(ImageFault) in
      try VHDXMetadataTable(parsing: bytes.rawSpan, regionOffset: region.offset, regionByteCount: region.byteCount)
    }
    let known = Dictionary(uniqueKeysWithValues: VHDXMetadataItem.allCases.map { ($0.id, $0) })
    var items: [VHDXMetadataItem: [UInt8]] = [:]
    for entry in table.entries where !entry.isUser {
      if entry.id == VHDXMetadataItem.incompleteMarker {
        throw .fault(ImageFault("vhdx.meta.incomplete", "creation of this VHDX was never finished"))
      }
      if let item = known[entry.id] {
        items[item] = try read(UInt64(entry.offset), Int(entry.byteCount))
      } else if entry.isRequired {
        throw .fault(
          ImageFault("vhdx.meta.unknown", "it needs a VHDX feature this program does not know (item \(entry.id))"))
      }
    }
    let parameters = try faults { () throws(ImageFault) in try VHDXParameters(items) }
    var locator: VHDXParentLocator?
    if parameters.geometry.hasParent {
      let place = region.offset + UInt64(table.item(VHDXMetadataItem.parentLocator.id)?.offset ?? 0)
      guard let bytes = items[.parentLocator] else {
        throw .fault(ImageFault("vhdx.parent.locator", "VHDX parent information is damaged (there is none)"))
      }
      locator = try faults { () throws(ImageFault) in try VHDXParentLocator(parsing: bytes.rawSpan, at: place) }
    }
    return (table, parameters, locator)
  }
}
