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
    var findings: [ImageFault]
    do throws(DiskImageError) {
      if options.isLocked { try file.lock(exclusive: false) }
      defer { file.unlock() }
      findings =
        try format == .vhd
        ? VHDCheck.findings(file, limit: limit) : checkVHDX(file, VHDXInspection(file, findingLimit: limit))
    } catch {
      guard case .fault(let fault) = error else { throw error }
      findings = [fault]
    }
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
      try VHDXRepair.clearEmptyLog(path)
    } else if codes.isSubset(of: harmless.union(["chain.missing", "chain.denied", "chain.linkage"])) {
      let source = try ImageSource.find(path, isReadOnly: false)
      let format = try actualFormat(source, options.format)
      var options = Options()
      options.isReadOnly = false
      switch format {
      case .vhd where codes != ["vhd.geometry"]:
        let layer = try VHDImage.openLayer(source, options: options).layer
        if let map = layer.map as? VHDMap, codes.contains("vhd.leak"), let error = map.refusalToWrite() {
          throw .fault(ImageFault("img.repair", "it can't be repaired: \(error)"))
        }
        try layer.map.close()
        layer.file.unlock()
      case .vhdx: try VHDXRepair.replayLog(path)
      default: return ImageCheckReport(findings: before)
      }
    }
    let after = try check(path, options: options)
    return ImageCheckReport(findings: after, repaired: before.filter { !after.contains($0) })
  }

  private static func checkVHDX(
    _ file: ImageFile, _ inspection: VHDXInspection
  ) throws(DiskImageError) -> [ImageFault] {
    var found = inspection.findings
    if inspection.hasPendingLog {
      found.append(ImageFault("vhdx.log.needed", "it was not closed cleanly; its log waits to be replayed"))
    }
    if inspection.needsRegionTables {
      found.append(
        ImageFault("vhdx.region.copy", "one VHDX region table is damaged or differs", at: VHDX.regionTableOffsets[1]))
    }
    for offset in VHDX.headerOffsets {
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
  }
}
