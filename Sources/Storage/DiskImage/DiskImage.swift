/// Opens disk images of all formats that are served.
public enum DiskImage {
  /// Opens the image at `path`, or that of an NBD server whose URI it is, as a disk.
  ///
  /// The format is that whose signature the file bears, raw when there is none, unless `options.format` says which it is.
  ///
  /// - Throws: any `DiskImageError`.
  public static func open(_ path: String, options: Options = Options()) throws(DiskImageError) -> any OpenedImage {
    if isRemote(path) { return try NBDImage(nbdAddress(path), options: options) }
    let source = try ImageSource.find(path, isReadOnly: options.isReadOnly)
    switch options.format {
    case .raw: return try RawImage(source, options: options)
    case .vhdx: return try VHDXImage.open(source, options: options)
    case .vhd: return try VHDImage.open(source, options: options)
    case .automatic: break
    }
    switch source.signature() {
    case .none: return try RawImage(source, options: options)
    case .vhdx: return try VHDXImage.open(source, options: options)
    case .vhd: return try VHDImage.open(source, options: options)
    case .other(let name): throw .unsupportedFormat(name)
    }
  }
}
