import Block
import ImageFormats
import LinuxIO

/// Opens VHD images.
enum VHDImage {
  /// Opens an image as a disk, with its parents.
  static func open(
    _ source: consuming ImageSource, options: DiskImage.Options
  ) throws(DiskImageError) -> any OpenedImage {
    let path = source.path
    let (structure, file) = try look(source, options)
    if structure.footer.kind == .fixed {
      var options = options
      options.identity = options.identity ?? identity(structure.footer)
      let image = try RawImage(source, options: options, window: structure.footer.diskByteCount)
      // The image is locked only now.
      guard try VHDStructure.read(file).footerBytes == structure.footerBytes else { throw .inUse(holder: nil) }
      return image
    }
    let (leaf, reference) = try openMapped(file, options)
    let parents = try reference.map { (reference) throws(DiskImageError) in
      try options.resolver(for: path).openParents(reference, depth: 1)
    }
    return try MappedImage([leaf] + (parents ?? []), options: options)
  }

  /// Opens one image of a chain that is only read, and tells where its parent is.
  static func openLayer(
    _ source: consuming ImageSource, options: DiskImage.Options
  ) throws(DiskImageError) -> (layer: ImageLayer, id: VHDUniqueID, parent: ParentReference?) {
    let (structure, file) = try look(source, options)
    if structure.footer.kind == .fixed {
      if options.isLocked { try file.lock(exclusive: !options.isReadOnly) }
      let map = FixedMap(byteCount: structure.footer.diskByteCount, identity: identity(structure.footer))
      return (ImageLayer(map: map, file: file), structure.footer.uniqueID, nil)
    }
    let (layer, reference) = try openMapped(file, options)
    return (layer, structure.footer.uniqueID, reference)
  }

  /// Reads the structure without a lock, as far as that tells what kind of image it is.
  private static func look(
    _ source: borrowing ImageSource, _ options: DiskImage.Options
  ) throws(DiskImageError) -> (VHDStructure, ImageFile) {
    if source.facts.kind != .regular { throw .fault(ImageFault("img.type", "a VHD image has to be a file")) }
    let descriptor = try duplicate(source)
    let file = ImageFile(path: source.path, file: descriptor, observer: options.observer)
    return (try VHDStructure.read(file), file)
  }

  private static func duplicate(_ source: borrowing ImageSource) throws(DiskImageError) -> OwnedDescriptor {
    do throws(Errno) { return try source.file.duplicate() } catch { throw .system(what: "open it", error) }
  }

  private static func openMapped(
    _ file: ImageFile, _ options: DiskImage.Options
  ) throws(DiskImageError) -> (ImageLayer, ParentReference?) {
    if options.isLocked { try file.lock(exclusive: !options.isReadOnly) }
    let structure = try VHDStructure.read(file)
    guard let header = structure.header else { throw .inUse(holder: nil) }
    let map = try VHDMap(structure, header: header, file: file, isReadOnly: options.isReadOnly)
    return (ImageLayer(map: map, file: file), structure.parentReference(of: file.path))
  }

  private static func identity(_ footer: VHDFooter) -> DiskIdentity {
    DiskIdentity(high: footer.uniqueID.high, low: footer.uniqueID.low)
  }
}
