public import DiskImage
import ImageFormats
import LinuxIO

/// What `image info` tells of one image of a chain; keys are only ever added.
public struct ImageReport: Encodable, Sendable {
  /// Path of the file, or URI.
  public var path: String
  /// `raw`, `vhd`, `vhdx` or `nbd`.
  public var format: String
  /// `raw`, `fixed`, `dynamic`, `differencing` or `nbd`.
  public var kind: String
  /// Capacity in bytes.
  public var size: UInt64
  /// Length of the file in bytes.
  public var fileSize: UInt64
  /// Storage that the file takes, in bytes.
  public var stored: UInt64
  /// Logical sector size in bytes.
  public var sectorSize: Int
  /// Physical sector size in bytes.
  public var physicalSectorSize: Int
  /// Block size in bytes.
  public var blockSize: UInt64?
  /// Blocks that have a place in the file.
  public var allocatedBlocks: UInt64?
  /// Blocks of the disk.
  public var blocks: UInt64?
  /// Names the disk.
  public var identity: String?
  /// By which children know the image.
  public var linkage: String?
  /// The program that made the image.
  public var creator: String
  /// Whether a log is to be replayed or a footer to be repaired.
  public var needsRepair: Bool
  /// What the image says of its parent.
  public var parent: Parent?
  /// What an NBD server can do, in words.
  public var features: [String]?
  /// What is not as it should be.
  public var warnings: [FindingReport]
  /// Everything that the headers say.
  public var headers: [Header]

  /// A field of the headers.
  public struct Header: Encodable, Sendable {
    /// Its stable name.
    public var name: String
    /// What it holds.
    public var value: String
  }

  /// What an image says of its parent.
  public struct Parent: Encodable, Sendable {
    /// What the parent must bear.
    public var identity: String
    /// Where it may stand, by the name of the field.
    public var paths: [Path]

    /// A path in an image.
    public struct Path: Encodable, Sendable {
      /// The field.
      public var field: String
      /// What it holds.
      public var path: String
    }
  }

  init(_ description: ImageDescription) {
    path = description.path
    format = description.kind == .nbd ? "nbd" : description.format.rawValue
    kind = description.kind.rawValue
    size = description.diskByteCount
    fileSize = description.fileByteCount
    stored = description.storedByteCount
    sectorSize = description.sectorByteCount
    physicalSectorSize = description.physicalSectorByteCount
    blockSize = description.blockByteCount
    allocatedBlocks = description.allocatedBlockCount
    blocks = description.blockCount
    identity = description.identity
    linkage = description.linkage
    creator = description.creator
    needsRepair = description.needsRepair
    parent = description.parentIdentity.map { identity in
      Parent(identity: identity, paths: description.parentPaths.map { .init(field: $0.field, path: $0.path) })
    }
    features = description.features
    warnings = description.warnings.map { FindingReport($0, path: description.path) }
    headers = description.headers.map { Header(name: $0.name, value: $0.value) }
  }
}

/// A finding; keys are only ever added.
public struct FindingReport: Encodable, Sendable {
  /// Path of the image.
  public var path: String
  /// The stable name of the finding.
  public var code: String
  /// Where it stands in the file, in bytes.
  public var offset: UInt64?
  /// What is wrong.
  public var text: String
  /// Whether it was repaired.
  public var isRepaired: Bool

  init(_ fault: ImageFault, path: String, isRepaired: Bool = false) {
    self.path = path
    code = fault.code
    offset = fault.offset
    text = fault.text
    self.isRepaired = isRepaired
  }
}

/// Tells about the image at `path`, and about its parents as far as they are found.
///
/// - Parameter chain: whether parents are looked for; one that is not found is an error then.
public func inspectImage(
  _ path: String, options: DiskImage.Options, chain: Bool
) throws(ImageToolError) -> [ImageReport] {
  let what = "info \(path)"
  let leaf = try explaining(what) { () throws(DiskImageError) in
    try DiskImage.describe(path, format: options.format)
  }
  guard chain, leaf.kind == .differencing else { return [ImageReport(leaf)] }
  let paths = try explaining(what) { () throws(DiskImageError) in
    var options = options
    options.isReadOnly = true
    options.isLocked = false
    let image = try DiskImage.open(path, options: options)
    let paths = (image as? MappedImage)?.chainPaths ?? []
    try image.close()
    return paths
  }
  var reports = [ImageReport(leaf)]
  for parent in paths.dropFirst() {
    reports.append(
      ImageReport(
        try explaining(what, path: parent) { () throws(DiskImageError) in try DiskImage.describe(parent) }))
  }
  return reports
}

/// Looks at the whole image, and repairs what can be repaired safely.
public func checkImage(
  _ path: String, options: DiskImage.Options, isRepairing: Bool
) throws(ImageToolError) -> [FindingReport] {
  try explaining("check \(path)") { () throws(DiskImageError) in
    if isRepairing {
      let report = try DiskImage.repair(path, options: options)
      return report.repaired.map { FindingReport($0, path: path, isRepaired: true) }
        + report.findings.map { FindingReport($0, path: path) }
    }
    return try DiskImage.check(path, options: options).map { FindingReport($0, path: path) }
  }
}
