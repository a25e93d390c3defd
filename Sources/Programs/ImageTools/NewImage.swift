public import DiskImage
import ImageFormats
import LinuxIO

/// What a new image is to be: for `create` and `convert`.
public struct NewImage: Sendable {
  /// Where it is to stand.
  public var path: String
  /// Its format; automatic: told by the end of the name.
  public var format = DiskImage.Format.automatic
  /// Whether all its storage is taken at once; nil: as the format, or the purpose, has it.
  public var isFixed: Bool?
  /// Block size in bytes.
  public var blockByteCount: UInt64?
  /// Logical sector size in bytes.
  public var sectorByteCount: UInt64?
  /// What it is for.
  public var purpose: Purpose?
  /// The image on top of which it stands.
  public var parent: String?
  /// Whether an existing file is replaced.
  public var isReplacing = false

  /// Uses with rules of their own.
  public enum Purpose: String, Sendable, CaseIterable {
    /// Azure takes fixed VHDs of whole MiB.
    case azure
    /// Hyper-V: a dynamic VHDX.
    case hyperv
  }

  /// An image at `path`.
  public init(path: String) { self.path = path }

  /// The format that is meant.
  public var actualFormat: DiskImage.Format {
    if purpose == .azure { return .vhd }
    if format != .automatic { return format }
    if path.hasSuffix(".vhd") || path.hasSuffix(".avhd") { return .vhd }
    if path.hasSuffix(".vhdx") || path.hasSuffix(".avhdx") || purpose == .hyperv { return .vhdx }
    return path.hasSuffix(".raw") || path.hasSuffix(".img") ? .raw : .vhdx
  }

  /// Makes it.
  ///
  /// - Parameters:
  ///   - byteCount: its capacity; it is rounded up where the format or the purpose wants whole units.
  ///   - what: what is being done, for the error.
  ///   - isReserved: whether a fixed image takes its storage now; false when it is about to be filled sparsely.
  /// - Returns: the capacity that it has, in bytes.
  public func make(_ byteCount: UInt64, what: String, isReserved: Bool = true) throws(ImageToolError) -> UInt64 {
    let format = actualFormat
    try check(format, what)
    try checkPlace(what)
    let unit: UInt64 = purpose == .azure ? 1 << 20 : sectorByteCount ?? 512
    let size = byteCount + (unit - byteCount % unit) % unit
    guard size > 0 else { throw ImageToolError(.usage, what: what, why: "the size is zero") }
    switch format {
    case .vhd: try makeVHD(size, what, isReserved: isReserved)
    case .vhdx: try makeVHDX(size, what)
    default: try makeRaw(size, what, isReserved: isReserved)
    }
    return size
  }

  private func check(_ format: DiskImage.Format, _ what: String) throws(ImageToolError) {
    func usage(_ why: String, _ advice: String = "") -> ImageToolError {
      ImageToolError(.usage, what: what, why: why, advice: advice)
    }
    if purpose == .azure, self.format != .automatic, self.format != .vhd {
      throw usage("Azure takes only VHD", "leave --format away")
    }
    if purpose == .azure, isFixed == false || parent != nil { throw usage("Azure takes only fixed images") }
    if parent != nil, format == .raw { throw usage("a raw image has no parent", "use --format vhdx") }
    if parent != nil, isFixed == true { throw usage("an image with a parent can't be fixed") }
    if let sectorByteCount, sectorByteCount != 512 {
      if sectorByteCount != 4096 { throw usage("sectors have 512 or 4096 bytes") }
      if format != .vhdx { throw usage("\(format.rawValue) has sectors of 512 bytes", "use --format vhdx") }
    }
    if format == .raw, blockByteCount != nil { throw usage("a raw image has no blocks") }
  }

  /// Throws what is wrong with the place where it is to stand.
  func checkPlace(_ what: String) throws(ImageToolError) {
    if DiskImage.isRemote(path) {
      throw ImageToolError(.usage, what: what, why: "an NBD export can't be made from here", advice: "name a file")
    }
    if !isReplacing, (try? OwnedDescriptor.openForIdentity(path)) != nil {
      throw ImageToolError(.system(what: "create it", .EEXIST), what: what, path: path)
    }
  }

  private func makeVHD(_ byteCount: UInt64, _ what: String, isReserved: Bool) throws(ImageToolError) {
    var creation = VHDCreation(diskByteCount: byteCount)
    creation.isFixed = isFixed ?? (purpose == .azure)
    creation.isReserved = isReserved
    creation.isReplacing = isReplacing
    if let blockByteCount { creation.blockByteCount = blockByteCount }
    let path = path
    if let parent {
      creation.parent = try explaining(what, path: parent) { () throws(DiskImageError) in
        try VHDCreation.Parent(path: parent, child: path)
      }
    }
    try explaining(what, path: path) { () throws(DiskImageError) in try creation.write(to: path) }
  }

  private func makeVHDX(_ byteCount: UInt64, _ what: String) throws(ImageToolError) {
    var creation = VHDXCreation(diskByteCount: byteCount)
    creation.isFixed = isFixed ?? false
    creation.isReplacing = isReplacing
    creation.blockByteCount = blockByteCount
    if let sectorByteCount { creation.sectorByteCount = sectorByteCount }
    let path = path
    if let parent {
      let (made, above) = try explaining(what, path: parent) { () throws(DiskImageError) in
        (try VHDXCreation.Parent(path: parent, child: path), try DiskImage.describe(parent))
      }
      creation.parent = made
      // Other sectors than those of the parent are not possible.
      creation.sectorByteCount = UInt64(above.sectorByteCount)
      creation.physicalSectorByteCount = UInt64(above.physicalSectorByteCount)
      creation.diskID = above.identity.flatMap { GUID($0) }
    }
    try explaining(what, path: path) { () throws(DiskImageError) in try creation.write(to: path) }
  }

  private func makeRaw(_ byteCount: UInt64, _ what: String, isReserved: Bool) throws(ImageToolError) {
    do throws(Errno) {
      let partial = path + ".part\(ownProcess())"
      do throws(Errno) {
        let file = try OwnedDescriptor.create(partial)
        try file.truncate(to: byteCount)
        if isFixed == true, isReserved { try file.allocate(.reserve, offset: 0, byteCount: byteCount) }
        try renameFile(partial, to: path, replacing: isReplacing)
      } catch {
        try? removeFile(partial)
        throw error
      }
    } catch {
      throw ImageToolError(.system(what: "create it", error), what: what, path: path)
    }
  }
}
