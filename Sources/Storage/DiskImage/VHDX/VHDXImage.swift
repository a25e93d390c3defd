import Block
import ImageFormats
import LinuxIO

/// Opens VHDX images.
enum VHDXImage {
  /// Opens an image as a disk, with its parents.
  static func open(
    _ source: consuming ImageSource, options: DiskImage.Options
  ) throws(DiskImageError) -> MappedImage {
    let path = source.path
    let (leaf, locator) = try openLayer(source, options: options)
    var layers = [leaf]
    if let locator {
      let reference = parentReference(locator, of: path)
      layers += try options.resolver(for: path).openParents(reference, depth: 1)
    }
    return try MappedImage(layers, options: options)
  }

  /// Opens one image of a chain, and tells where its parent is.
  static func openLayer(
    _ source: consuming ImageSource, options: DiskImage.Options
  ) throws(DiskImageError) -> (ImageLayer, VHDXParentLocator?) {
    let path = source.path
    if source.facts.kind != .regular {
      throw .fault(ImageFault("img.type", "a VHDX image has to be a file"))
    }
    let file = ImageFile(path: path, file: source.releaseFile(), observer: options.observer)
    if options.isLocked { try file.lock(exclusive: !options.isReadOnly) }
    let structure = try VHDXStructure.read(file, pendingLog: options.isReadOnly ? .overlay : .replay)
    let map = try VHDXMap(
      structure, file: file, isReadOnly: options.isReadOnly, keepsIdentity: options.keepsIdentity)
    return (ImageLayer(map: map, file: file), structure.locator)
  }

  /// The identity by which children know an image: the DataWriteGuid of its current header.
  static func dataWriteGUID(_ file: ImageFile) throws(DiskImageError) -> GUID {
    try VHDXStructure.currentHeader(file).0.dataWriteGUID
  }

  /// What the locator of an image says.
  static func parentReference(_ locator: VHDXParentLocator, of path: String) -> ParentReference {
    ParentReference(
      format: .vhdx, childPath: path,
      candidates: VHDXParentLocator.pathKeys.compactMap { key in locator[key].map { (key, $0) } },
      identities: locator.identities.map { "{\($0)}" })
  }
}
