import ImageFormats
import LinuxIO

extension VHDCreation.Parent {
  /// The image at `path` as the parent of a new one at `child`: with its identity and its path as seen from there.
  ///
  /// - Throws: any `DiskImageError`; `chain.linkage` when it is no VHD.
  public init(path: String, child: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: true)
    guard source.signature() == .vhd else {
      throw .fault(ImageFault("chain.linkage", "the parent \(path) of a VHD has to be a VHD"))
    }
    let modified: Int64
    do throws(Errno) { modified = try modificationTime(source.file.number) } catch {
      throw .system(what: "look at its parent", error)
    }
    let file = ImageFile(path: path, file: source.releaseFile())
    let footer = try VHDStructure.read(file).footer
    self.init(
      identity: footer.uniqueID, modified: modified, relativePath: try windowsPath(of: path, from: child))
  }
}

extension VHDXCreation.Parent {
  /// The image at `path` as the parent of a new one at `child`: with its identity and its path as seen from there.
  ///
  /// - Throws: any `DiskImageError`; `chain.linkage` when it is no VHDX.
  public init(path: String, child: String) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: true)
    guard source.signature() == .vhdx else {
      throw .fault(ImageFault("chain.linkage", "the parent \(path) of a VHDX has to be a VHDX"))
    }
    let file = ImageFile(path: path, file: source.releaseFile())
    self.init(
      identity: try VHDXImage.dataWriteGUID(file), relativePath: try windowsPath(of: path, from: child))
  }
}

private func windowsPath(of parent: String, from child: String) throws(DiskImageError) -> String {
  do throws(Errno) {
    return ParentPath.relativeWindowsPath(
      from: try canonicalPath(parentDirectory(child)), to: try canonicalPath(parent))
  } catch {
    throw .system(what: "tell where its parent is", error)
  }
}
