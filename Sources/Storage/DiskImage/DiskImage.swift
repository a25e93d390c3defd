/// Opens disk images of all formats that are served.
public enum DiskImage {
  /// Opens the image at `path` as a disk.
  ///
  /// The format is that whose signature the file bears, raw when there is none, unless `options.format` says which it is.
  ///
  /// - Throws: any `DiskImageError`.
  public static func open(_ path: String, options: Options = Options()) throws(DiskImageError) -> any OpenedImage {
    for scheme in ["nbd:", "nbd+unix:", "nbds:", "nbds+unix:"] where path.hasPrefix(scheme) {
      throw .unsupportedFormat("NBD")
    }
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
