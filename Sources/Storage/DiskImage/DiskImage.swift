import Block
import LinuxIO
import SharedMemory
import URing

/// Opens disk images of all formats that are served.
public enum DiskImage {
  /// Opens the image at `path` as a disk.
  ///
  /// - Throws: any `DiskImageError`; a VHD or VHDX is refused, for its bytes are not those of the disk.
  public static func open(_ path: String, options: RawImage.Options = RawImage.Options()) throws(DiskImageError) -> RawImage {
    let image = try RawImage(path: path, options: options)
    if let format = foreignFormat(image) { throw .unsupportedFormat(format) }
    return image
  }

  /// The name of the format, if the image begins or ends with the signature of one that is not raw.
  private static func foreignFormat(_ image: RawImage) -> String? {
    let start = text(image, at: 0)
    if start.hasPrefix("vhdxfile") { return "VHDX" }
    if start.hasPrefix("QFI\u{fb}") { return "qcow2" }
    if start.hasPrefix("KDMV") { return "VMDK" }
    if start.hasPrefix("conectix") { return "VHD" }
    // A fixed VHD has only a footer, in the last 512 bytes.
    let byteCount = image.info.byteCount
    return byteCount > 512 && text(image, at: byteCount - 512).hasPrefix("conectix") ? "VHD" : nil
  }

  private static func text(_ image: RawImage, at offset: UInt64) -> String {
    guard let memory = try? MemoryRegion(anonymous: 4096) else { return "" }
    var table = ScatterTable(capacity: 1)
    guard table.append(memory.slice.slice(at: 0, count: 8)) else { return "" }
    _ = try? transfer(.read, file: image.buffered.number, memory: table.list, offset: offset)
    // Bytes, not UTF-8: a signature may hold any.
    return String(String.UnicodeScalarView(memory.slice.slice(at: 0, count: 8).bytes().map { Unicode.Scalar($0) }))
  }
}

/// The program that has the file open, as `name (process 123)`; nil when nobody visible has.
func imageHolder(_ path: String) -> String? {
  guard let wanted = try? canonicalPath(path) else { return nil }
  return processesWithOpenFile(wanted).first.map { "\($0.name) (process \($0.id))" }
}
