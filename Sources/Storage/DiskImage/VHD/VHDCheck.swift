import ImageFormats
import LinuxIO

/// Looks at a whole VHD for what is wrong with it.
enum VHDCheck {
  /// What is wrong, at most `limit` findings; what keeps the image from being opened at all comes alone.
  static func findings(_ path: String, limit: Int = 1000) throws(DiskImageError) -> [ImageFault] {
    let source = try ImageSource.find(path, isReadOnly: true)
    return try findings(ImageFile(path: path, file: source.releaseFile()), limit: limit)
  }

  /// See above.
  static func findings(_ file: ImageFile, limit: Int) throws(DiskImageError) -> [ImageFault] {
    let structure: VHDStructure
    do throws(DiskImageError) { structure = try VHDStructure.read(file) } catch {
      if case .fault(let fault) = error { return [fault] }
      throw error
    }
    guard let header = structure.header else { return structure.warnings }
    let map: VHDMap
    do throws(DiskImageError) {
      map = try VHDMap(structure, header: header, file: file, isReadOnly: true, isSwept: false)
    } catch {
      if case .fault(let fault) = error { return structure.warnings + [fault] }
      throw error
    }
    let sweep = try VHDSweep(map, findingLimit: limit)
    var found = structure.warnings + sweep.findings
    let used = max(sweep.end, structure.structures.map(\.upperBound).max() ?? 0)
    if sweep.findings.isEmpty, !structure.needsFooter, (used + 511) / 512 * 512 < structure.dataEnd {
      found.append(
        ImageFault("vhd.leak", "\(structure.dataEnd - used) bytes behind the last block belong to no block", at: used))
    }
    return found
  }
}
