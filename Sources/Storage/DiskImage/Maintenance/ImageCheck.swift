public import ImageFormats
import LinuxIO
import Synchronization
import WireBytes

/// What a check of an image has found.
public struct ImageCheckReport: Sendable {
  /// What is wrong now.
  public var findings: [ImageFault] = []
  /// What was wrong and is not any more.
  public var repaired: [ImageFault] = []
}

extension DiskImage {
  /// Looks at the whole image at `path`, and at whether its parents can be found.
  ///
  /// - Parameters:
  ///   - options: which directories parents may stand in; whether it may be read while it is written.
  ///   - limit: the most findings.
  /// - Throws: what keeps it from being read at all; damage is a finding.
  public static func check(
    _ path: String, options: Options = Options(), limit: Int = 1000
  ) throws(DiskImageError) -> [ImageFault] {
    let source = try ImageSource.find(path, isReadOnly: true)
    let format = try actualFormat(source, options.format)
    if format == .raw { return checkRaw(source) }
    guard source.facts.kind == .regular else {
      throw .fault(ImageFault("img.type", "an image of this format is a file"))
    }
    let file = ImageFile(path: path, file: source.releaseFile())
    if options.isLocked {
      try file.withDescriptor { file throws(DiskImageError) in try lockImage(file, path: path, exclusive: false) }
    }
    var findings =
      try format == .vhd ? VHDCheck.findings(file, limit: limit) : VHDXCheck.findings(file, limit: limit)
    file.unlock()
    // Whoever can't be opened at all has said so already.
    let isOpenable = findings.allSatisfy { Self.harmless.contains($0.code) }
    if isOpenable {
      var options = options
      options.isReadOnly = true
      do throws(DiskImageError) { try open(path, options: options).close() } catch {
        guard case .fault(let fault) = error else { throw error }
        findings.append(fault)
      }
    }
    return findings
  }

  /// Findings that keep nobody from opening the image.
  static let harmless: Set<String> = [
    "vhd.copy", "vhd.tailfooter", "vhd.geometry", "vhd.leak", "vhdx.header.one", "vhdx.region.copy",
    "vhdx.log.needed",
  ]

  private static func checkRaw(_ source: borrowing ImageSource) -> [ImageFault] {
    if source.facts.byteCount % 512 == 0 { return [] }
    return [
      ImageFault(
        "raw.length", "its length of \(source.facts.byteCount) bytes is not a multiple of 512",
        at: source.facts.byteCount)
    ]
  }

  /// Repairs what can be repaired without a guess: footers that have a copy, a log that waits to be replayed, a log that
  /// has no valid entry while everything else is right, room that belongs to nobody.
  ///
  /// - Throws: any `DiskImageError`.
  public static func repair(_ path: String, options: Options = Options()) throws(DiskImageError) -> ImageCheckReport {
    let before = try check(path, options: options)
    if before.isEmpty { return ImageCheckReport() }
    let codes = Set(before.map(\.code))
    if codes == ["vhdx.log.corrupt"] {
      try VHDXCheck.dropLog(path)
    } else if codes.isSubset(of: harmless.union(["chain.missing", "chain.denied", "chain.linkage"])) {
      let source = try ImageSource.find(path, isReadOnly: false)
      let format = try actualFormat(source, options.format)
      var options = Options()
      options.isReadOnly = false
      let layer: ImageLayer
      switch format {
      case .vhd where codes != ["vhd.geometry"]:
        layer = try VHDImage.openLayer(source, options: options).layer
        if let map = layer.map as? VHDMap, codes.contains("vhd.leak"), let error = map.refusalToWrite() {
          throw .fault(ImageFault("img.repair", "it can't be repaired: \(error)"))
        }
        try layer.map.close()
      case .vhdx:
        layer = try VHDXImage.openLayer(source, options: options).0
        try layer.map.close()
      default: return ImageCheckReport(findings: before)
      }
      layer.file.unlock()
    }
    let after = try check(path, options: options)
    return ImageCheckReport(findings: after, repaired: before.filter { !after.contains($0) })
  }
}

/// Looks at a whole VHDX for what is wrong with it.
enum VHDXCheck {
  /// What is wrong, at most `limit` findings; what keeps the image from being opened at all comes alone.
  static func findings(_ file: ImageFile, limit: Int) throws(DiskImageError) -> [ImageFault] {
    do throws(DiskImageError) {
      let structure = try VHDXStructure.read(file, pendingLog: .overlay)
      var found = try tables(file, structure, limit: limit)
      if structure.overlay != nil {
        found.append(ImageFault("vhdx.log.needed", "it was not closed cleanly; its log waits to be replayed"))
      }
      if structure.needsRegionTables {
        found.append(
          ImageFault(
            "vhdx.region.copy", "one VHDX region table is damaged or differs; it is written again with the next change",
            at: VHDX.regionTableOffsets[1]))
      }
      for (slot, offset) in VHDX.headerOffsets.enumerated() where slot != structure.headerSlot {
        let bytes = try system("read its headers") { () throws(Errno) in
          try file.read(at: offset, count: VHDXHeader.byteCount)
        }
        if VHDXHeader(parsing: bytes.rawSpan) == nil {
          found.append(
            ImageFault(
              "vhdx.header.one", "one VHDX header is damaged; it is written again with the next change", at: offset))
        }
      }
      return found
    } catch {
      if case .fault(let fault) = error { return [fault] }
      throw error
    }
  }

  private static func tables(
    _ file: ImageFile, _ structure: VHDXStructure, limit: Int
  ) throws(DiskImageError) -> [ImageFault] {
    let map = try VHDXMap(structure, file: file, isReadOnly: true, isSwept: false)
    return try VHDXSweep(map, findingLimit: limit).findings
  }

  /// Takes the log away from an image whose header names one that has no valid entry, if all else is right.
  static func dropLog(_ path: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: false)
    let file = ImageFile(path: path, file: source.releaseFile())
    try file.withDescriptor { file throws(DiskImageError) in try lockImage(file, path: path, exclusive: true) }
    defer { file.unlock() }
    let structure = try VHDXStructure.read(file, pendingLog: .none)
    if let first = try tables(file, structure, limit: 1).first { throw .fault(first) }
    var writer = VHDXHeaderWriter(header: structure.header, slot: structure.headerSlot)
    writer.header.logGUID = .zero
    writer.header.fileWriteGUID = .random()
    do throws(Errno) { try writer.write(to: file) } catch { throw .system(what: "write its header", error) }
  }
}
