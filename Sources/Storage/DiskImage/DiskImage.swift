/// Opens disk images of all formats that are served.
public enum DiskImage {
  /// Opens the image at `path` as a disk.
  ///
  /// A file that bears the signature of another format is refused, for its bytes are not those of the disk, unless
  /// `options.format` says that it is raw.
  ///
  /// - Throws: any `DiskImageError`.
  public static func open(
    _ path: String, options: DiskImage.Options = DiskImage.Options()
  ) throws(DiskImageError) -> RawImage {
    for scheme in ["nbd:", "nbd+unix:", "nbds:", "nbds+unix:"] where path.hasPrefix(scheme) {
      throw .unsupportedFormat("NBD")
    }
    let source = try ImageSource.find(path, isReadOnly: options.isReadOnly)
    if options.format == .automatic, let format = source.foreignFormat() { throw .unsupportedFormat(format) }
    return try RawImage(source, options: options)
  }
}
