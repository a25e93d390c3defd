import ImageFormats
import LinuxIO
import WireBytes

/// Everything about a VHD but its block table and bitmaps: read and checked, nothing changed.
struct VHDStructure: Sendable {
  /// The footer that counts.
  var footer: VHDFooter
  /// Its 512 bytes, with whatever stands in fields that are not known here.
  var footerBytes: [UInt8]
  /// The dynamic header; nil for a fixed image.
  var header: VHDDynamicHeader?
  /// Where the footer at the end stands, or the end of the file when it is damaged: blocks end before.
  var dataEnd: UInt64
  /// Length of the file in bytes.
  var fileByteCount: UInt64
  /// Whether the footer at the end, or its copy at the start, has to be written again before anything is changed.
  var needsFooter = false
  var needsCopy = false
  /// What is not as it should be, but keeps nobody from using the image.
  var warnings: [ImageFault] = []
  /// What no block may overlap.
  var structures: [Range<UInt64>] = []
  /// Paths of the parent as they stand in the file, best first, each with the name of its field.
  var parentPaths: [(field: String, path: String)] = []

  /// Reads the file.
  ///
  /// - Throws: what is wrong, with the name and place of the field.
  static func read(_ file: ImageFile) throws(DiskImageError) -> VHDStructure {
    let fileByteCount = try system("look at it") { () throws(Errno) in try file.byteCount() }
    var structure = try readFooters(file, fileByteCount)
    try faults { () throws(ImageFault) in try structure.footer.check(at: structure.dataEnd) }
    structure.noteSizes()
    if structure.footer.kind == .fixed {
      if structure.footer.diskByteCount > structure.dataEnd {
        throw .fault(
          ImageFault(
            "vhd.size", "VHD size \(structure.footer.diskByteCount) does not fit the file", at: structure.dataEnd + 48))
      }
      return structure
    }
    try structure.readHeader(file)
    return structure
  }

  private static func readFooters(_ file: ImageFile, _ fileByteCount: UInt64) throws(DiskImageError) -> VHDStructure {
    func read(_ offset: UInt64, _ count: Int) throws(DiskImageError) -> [UInt8] {
      try system("read its footer") { () throws(Errno) in try file.read(at: offset, count: count) }
    }
    guard fileByteCount >= 512 else { throw .fault(ImageFault("vhd.nofooter", "no VHD footer found")) }
    let copy = try read(0, VHDFooter.byteCount)
    var damaged: UInt64?
    for length: UInt64 in [512, 511] {
      let tail = try read(fileByteCount - length, Int(length))
      switch VHDFooter.read(tail.rawSpan) {
      case .absent: continue
      case .damaged: damaged = fileByteCount - length
      case .footer(let footer):
        var structure = VHDStructure(
          footer: footer, footerBytes: tail + [UInt8](repeating: 0, count: 512 - tail.count),
          dataEnd: fileByteCount - length, fileByteCount: fileByteCount)
        structure.needsFooter = length == 511
        if footer.kind != .fixed, copy.prefix(511) != structure.footerBytes.prefix(511) {
          structure.needsCopy = true
          structure.warnings.append(
            ImageFault("vhd.copy", "VHD footer copy at the start is damaged or differs from the footer", at: 0))
        }
        return structure
      }
    }
    switch VHDFooter.read(copy.rawSpan) {
    case .footer(let footer) where footer.kind != .fixed:
      var structure = VHDStructure(
        footer: footer, footerBytes: copy, dataEnd: fileByteCount, fileByteCount: fileByteCount)
      structure.needsFooter = true
      structure.warnings.append(
        ImageFault(
          "vhd.tailfooter", "VHD footer at the end is damaged; using the copy", at: damaged ?? fileByteCount - 512))
      return structure
    case .damaged: damaged = damaged ?? 0
    default: break
    }
    if let damaged {
      throw .fault(ImageFault("vhd.checksum", "VHD footer checksum is wrong", at: damaged + 64))
    }
    throw .fault(ImageFault("vhd.nofooter", "no VHD footer found", at: fileByteCount - 512))
  }

  private mutating func noteSizes() {
    let told = footer.geometry.byteCount
    // Some programs take the size from the geometry when they do not know the creator.
    let trusted = ["win", "qem2", "d2v", "CTXS", "tap"].contains(footer.creatorName)
    if !trusted, footer.geometry != .maximum, told != footer.diskByteCount {
      warnings.append(
        ImageFault(
          "vhd.geometry",
          "VHD geometry amounts to \(told) bytes, current size \(footer.diskByteCount) is used", at: dataEnd + 56))
    }
  }

  private mutating func readHeader(_ file: ImageFile) throws(DiskImageError) {
    let place = footer.dataOffset
    guard place % 512 == 0, place >= 512, place <= dataEnd, dataEnd - place >= UInt64(VHDDynamicHeader.byteCount)
    else {
      throw .fault(ImageFault("vhd.header", "VHD data offset \(place) lies outside the file", at: dataEnd + 16))
    }
    let bytes = try system("read its header") { () throws(Errno) in
      try file.read(at: place, count: VHDDynamicHeader.byteCount)
    }
    let header = try faults { () throws(ImageFault) in try VHDDynamicHeader(parsing: bytes.rawSpan, at: place) }
    let table = header.tableByteCount
    guard header.tableOffset <= dataEnd, table <= dataEnd - header.tableOffset else {
      throw .fault(
        ImageFault("vhd.bat", "VHD block table at \(header.tableOffset) lies outside the file", at: place + 16))
    }
    guard UInt64(header.entryCount) * header.blockByteCount >= footer.diskByteCount else {
      throw .fault(
        ImageFault("vhd.bat", "VHD block table is too small: \(header.entryCount) entries", at: place + 28))
    }
    let copy = UInt64(0)..<512
    let headerRange = place..<(place + UInt64(VHDDynamicHeader.byteCount))
    let tableRange = header.tableOffset..<(header.tableOffset + table)
    if tableRange.overlaps(copy) || tableRange.overlaps(headerRange) {
      throw .fault(
        ImageFault("vhd.bat", "VHD block table at \(header.tableOffset) overlaps the header", at: place + 16))
    }
    structures = [copy, headerRange, tableRange]
    if footer.kind == .differencing { try readLocators(file, header) }
    self.header = header
  }

  private mutating func readLocators(_ file: ImageFile, _ header: VHDDynamicHeader) throws(DiskImageError) {
    for platform in [VHDParentLocator.Platform.windowsRelative, .windowsAbsolute, .macURL] {
      for locator in header.locators where locator.platform == platform {
        guard let range = locator.range, range.lowerBound + UInt64(locator.byteCount) <= dataEnd else { continue }
        structures.append(range.lowerBound..<min(range.upperBound, dataEnd))
        let bytes = try system("read its parent locators") { () throws(Errno) in
          try file.read(at: range.lowerBound, count: Int(locator.byteCount))
        }
        guard let path = locator.path(bytes.rawSpan) else { continue }
        parentPaths.append((Self.fieldName(platform), path))
      }
    }
    let name = header.parentName.split { $0 == "\\" || $0 == "/" }.last.map(String.init)
    if let name { parentPaths.append(("parent name", name)) }
  }

  private static func fieldName(_ platform: VHDParentLocator.Platform) -> String {
    switch platform {
    case .windowsRelative: "W2ru"
    case .windowsAbsolute: "W2ku"
    default: "MacX"
    }
  }

  /// What the image says of its parent; nil when it has none.
  func parentReference(of path: String) -> ParentReference? {
    guard footer.kind == .differencing, let header else { return nil }
    return ParentReference(
      format: .vhd, childPath: path, candidates: parentPaths, identities: ["\(header.parentID)"])
  }
}
