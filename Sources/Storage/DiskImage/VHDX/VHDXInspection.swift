public import ImageFormats
import LinuxIO
import Synchronization

/// What a VHDX file says of itself, and what is wrong with it. Nothing is written.
public struct VHDXInspection: Sendable {
  /// The current header.
  public let header: VHDXHeader
  /// The regions.
  public let regions: VHDXRegionTable
  /// The items of the metadata.
  public let metadata: VHDXMetadataTable
  /// What the mandatory items say.
  public let parameters: VHDXParameters
  /// Where the parent is; nil without one.
  public let parent: VHDXParentLocator?
  /// Length of the file in bytes.
  public let fileByteCount: UInt64
  /// Whether a log was left behind; all else is told as it is after its replay.
  public let hasPendingLog: Bool
  /// Whether one copy of the region table is damaged; the first change of the image repairs it.
  public let needsRegionTables: Bool
  /// Blocks in each state; nil unless the table was looked at.
  public let blockCounts: [VHDXBlockEntry.State: UInt64]?
  /// Behind the last place that is used, in bytes; nil unless the table was looked at.
  public let usedByteCount: UInt64?
  /// What is wrong with the block table, in its order.
  public let findings: [ImageFault]

  /// Looks at the file at `path`, which is locked against writers meanwhile.
  ///
  /// - Throws: what keeps it from being opened at all.
  public init(_ path: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: true)
    if source.facts.kind != .regular { throw .fault(ImageFault("img.type", "a VHDX image has to be a file")) }
    let file = ImageFile(path: path, file: source.releaseFile())
    try file.lock(exclusive: false)
    try self.init(file, findingLimit: 100)
  }

  /// Looks at a file, which may be locked or not: while somebody writes it everything may be wrong.
  ///
  /// - Parameters:
  ///   - findingLimit: how many findings are looked for in the block table.
  ///   - entryLimit: a block table with more entries is not looked at.
  init(_ file: ImageFile, findingLimit: Int, entryLimit: UInt64 = .max) throws(DiskImageError) {
    let structure = try VHDXStructure.read(file, pendingLog: .overlay)
    header = structure.header
    regions = structure.regions
    metadata = structure.metadata
    parameters = structure.parameters
    parent = structure.locator
    fileByteCount = structure.fileByteCount
    hasPendingLog = structure.header.logGUID != .zero
    needsRegionTables = structure.needsRegionTables
    guard structure.parameters.geometry.entryCount <= entryLimit else {
      (blockCounts, usedByteCount, findings) = (nil, nil, [])
      return
    }
    let map = try VHDXMap(structure, file: file, isReadOnly: true, isSwept: false)
    let sweep = try VHDXSweep(map, findingLimit: findingLimit)
    (blockCounts, usedByteCount, findings) = (sweep.counts, max(sweep.end, map.structuresEnd), sweep.findings)
  }
}

/// Repairs that lose nothing that could still be read.
public enum VHDXRepair {
  /// Replays the log of an image and closes it; rewrites the region tables if one of them is damaged.
  ///
  /// - Throws: what keeps it from being opened.
  public static func replayLog(_ path: String) throws(DiskImageError) {
    var options = DiskImage.Options()
    options.format = .vhdx
    // Nothing that a child can see is changed.
    options.keepsIdentity = true
    let (layer, _) = try VHDXImage.openLayer(ImageSource.find(path, isReadOnly: false), options: options)
    guard let map = layer.map as? VHDXMap else { return }
    let needsTables = map.state.withLock { $0.regionTables != nil }
    if needsTables, let error = map.refusalToWrite() { throw .fault(ImageFault("vhdx.region.table", "\(error)")) }
    try map.close()
  }

  /// Marks the log of an image as empty that names a log without a valid entry: what a writer leaves that dies after it has
  /// named its log and before it has written the first entry. Nothing was changed by then.
  ///
  /// - Throws: `vhdx.log.corrupt` when everything else is not in order; what keeps the file from being opened.
  public static func clearEmptyLog(_ path: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: false)
    let file = ImageFile(path: path, file: source.releaseFile())
    try file.lock(exclusive: true)
    let (header, slot) = try VHDXStructure.currentHeader(file)
    if header.logGUID == .zero { return }
    var reader = VHDXLogReader(file: file, header: header)
    let byteCount = try system("look at it") { () throws(Errno) in try file.byteCount() }
    do throws(DiskImageError) {
      _ = try reader.activeSequence(fileByteCount: byteCount)
      throw .fault(ImageFault("vhdx.log.needed", "the log has entries: replay it", at: header.logOffset))
    } catch {
      guard case .fault(let fault) = error, fault.code == "vhdx.log.corrupt" else { throw error }
    }
    // All the rest has to be in order as it is.
    let structure = try VHDXStructure.read(file, pendingLog: .ignore)
    _ = try VHDXSweep.run(try VHDXMap(structure, file: file, isReadOnly: true, isSwept: false))
    var writer = VHDXHeaderWriter(header: header, slot: slot)
    writer.header.logGUID = .zero
    writer.header.fileWriteGUID = .random()
    try system("write its header") { () throws(Errno) in try writer.write(to: file) }
  }
}
