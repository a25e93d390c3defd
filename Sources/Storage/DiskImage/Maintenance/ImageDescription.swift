public import ImageFormats
import LinuxIO
import Synchronization

/// What an image is, as far as its file tells.
public struct ImageDescription: Sendable {
  /// Path that it was opened by.
  public var path: String
  /// Its format.
  public var format: DiskImage.Format
  /// What kind of image of that format it is.
  public var kind: Kind
  /// Capacity in bytes.
  public var diskByteCount: UInt64
  /// Length of the file in bytes.
  public var fileByteCount: UInt64
  /// Storage that the file takes, in bytes.
  public var storedByteCount: UInt64
  /// Logical sector size in bytes.
  public var sectorByteCount: Int
  /// Physical sector size in bytes.
  public var physicalSectorByteCount: Int
  /// Block size in bytes; nil where there are no blocks.
  public var blockByteCount: UInt64?
  /// Blocks that have a place in the file; nil where there are none, or the table is too long to be read.
  public var allocatedBlockCount: UInt64?
  /// Blocks of the disk.
  public var blockCount: UInt64?
  /// Names the disk or the image, in hexadecimal digits; nil where the format has nothing of that kind.
  public var identity: String?
  /// What children must find in it to know it: VHD its unique id, VHDX its DataWriteGuid.
  public var linkage: String?
  /// The program that made the image; empty when it is not told.
  public var creator = ""
  /// Whether a log has to be replayed, or a footer repaired, with the next writable opening.
  public var needsRepair = false
  /// Paths of its parents as the file has them, with the names of the fields.
  public var parentPaths: [(field: String, path: String)] = []
  /// What the parent must bear.
  public var parentIdentity: String?
  /// What is not as it should be, but keeps nobody from using the image.
  public var warnings: [ImageFault] = []
  /// Everything that its headers say, in the order of the file's structures; none of a raw image.
  public var headers: [HeaderField] = []

  /// What the server of an NBD source can do, in words; nil for a file.
  public var features: [String]?

  /// Kinds of images.
  public enum Kind: String, Sendable {
    /// The bytes of the disk as they are.
    case raw
    /// All blocks are allocated from the start.
    case fixed
    /// Blocks are allocated when they are written.
    case dynamic
    /// What is not written comes from a parent.
    case differencing
    /// An export of an NBD server; length and storage of the file are those of the export.
    case nbd
  }
}

extension DiskImage {
  /// Describes the image at `path`, without its parents. It may be in use.
  ///
  /// - Throws: any `DiskImageError`.
  public static func describe(_ path: String, format: Format = .automatic) throws(DiskImageError) -> ImageDescription {
    if isRemote(path) { return try describeNBD(path) }
    let source = try ImageSource.find(path, isReadOnly: true)
    let stored: UInt64
    do throws(Errno) { stored = try source.file.storedByteCount() } catch { throw .system(what: "look at it", error) }
    let facts = source.facts
    let found = try actualFormat(source, format)
    if found == .raw {
      return ImageDescription(
        path: path, format: .raw, kind: .raw, diskByteCount: facts.byteCount, fileByteCount: facts.byteCount,
        storedByteCount: stored, sectorByteCount: facts.logicalSectorByteCount,
        physicalSectorByteCount: max(facts.logicalSectorByteCount, facts.physicalSectorByteCount))
    }
    guard facts.kind == .regular else { throw .fault(ImageFault("img.type", "an image of this format is a file")) }
    let file = ImageFile(path: path, file: source.releaseFile())
    var description =
      try found == .vhd ? describeVHD(file) : describeVHDX(file)
    description.storedByteCount = stored
    return description
  }

  /// The format of an image: that which is asked for, or that whose signature it bears.
  static func actualFormat(
    _ source: borrowing ImageSource, _ format: Format
  ) throws(DiskImageError) -> Format {
    if format != .automatic { return format }
    switch source.signature() {
    case .none: return .raw
    case .vhd: return .vhd
    case .vhdx: return .vhdx
    case .other(let name): throw .unsupportedFormat(name)
    }
  }

  private static func describeVHD(_ file: ImageFile) throws(DiskImageError) -> ImageDescription {
    let structure = try VHDStructure.read(file)
    let footer = structure.footer
    var description = ImageDescription(
      path: file.path, format: .vhd, kind: .fixed, diskByteCount: footer.diskByteCount,
      fileByteCount: structure.fileByteCount, storedByteCount: 0, sectorByteCount: 512, physicalSectorByteCount: 512)
    description.identity = "\(footer.uniqueID)"
    description.linkage = "\(footer.uniqueID)"
    description.creator = footer.creatorName
    description.warnings = structure.warnings
    description.headers = HeaderField.fields(of: footer)
    description.needsRepair = structure.needsFooter || structure.needsCopy
    if footer.isSavedState {
      description.warnings.append(ImageFault("vhd.saved", "it belongs to a saved machine", at: structure.dataEnd + 84))
    }
    guard let header = structure.header else { return description }
    description.kind = footer.kind == .differencing ? .differencing : .dynamic
    description.headers += HeaderField.fields(of: header)
    let map = try VHDMap(structure, header: header, file: file, isReadOnly: true, isSwept: false)
    description.blockByteCount = header.blockByteCount
    description.blockCount = map.blockCount
    if header.entryCount <= VHDMap.sweptEntryCount {
      description.allocatedBlockCount = try VHDSweep(map, findingLimit: 1000).allocatedCount
    }
    if footer.kind == .differencing {
      description.parentPaths = structure.parentPaths
      description.parentIdentity = "\(header.parentID)"
    }
    return description
  }

  private static func describeVHDX(_ file: ImageFile) throws(DiskImageError) -> ImageDescription {
    // A table that is very long is not read for a look.
    let inspection = try VHDXInspection(file, findingLimit: 1000, entryLimit: VHDXMap.sweptEntryCount)
    let parameters = inspection.parameters
    let geometry = parameters.geometry
    let kind: ImageDescription.Kind =
      geometry.hasParent ? .differencing : parameters.leavesBlocksAllocated ? .fixed : .dynamic
    var description = ImageDescription(
      path: file.path, format: .vhdx, kind: kind, diskByteCount: geometry.diskByteCount,
      fileByteCount: inspection.fileByteCount, storedByteCount: 0, sectorByteCount: Int(geometry.sectorByteCount),
      physicalSectorByteCount: Int(parameters.physicalSectorByteCount))
    description.identity = "\(parameters.diskID)"
    description.linkage = "\(inspection.header.dataWriteGUID)"
    description.headers = HeaderField.fields(of: inspection)
    description.creator = try creator(file)
    description.needsRepair = inspection.hasPendingLog
    if inspection.hasPendingLog {
      description.warnings.append(
        ImageFault("vhdx.log.needed", "it was not closed cleanly; its log is replayed when it is opened writable"))
    }
    description.blockByteCount = geometry.blockByteCount
    description.blockCount = geometry.blockCount
    if let counts = inspection.blockCounts {
      description.allocatedBlockCount = (counts[.fullyPresent] ?? 0) + (counts[.partiallyPresent] ?? 0)
    }
    if let locator = inspection.parent {
      let reference = VHDXImage.parentReference(locator, of: file.path)
      description.parentPaths = reference.candidates
      description.parentIdentity = reference.identities.joined(separator: " or ")
    }
    return description
  }

  /// The text behind the identifier: UTF-16, perhaps without an end.
  private static func creator(_ file: ImageFile) throws(DiskImageError) -> String {
    let bytes = try system("read it") { () throws(Errno) in try file.read(at: 8, count: 512) }
    let units = (0..<256).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }.prefix { $0 != 0 }
    return printableText(String(validating: Array(units), as: UTF16.self) ?? "")
  }
}
