import Foundation
import Testing

/// What the bytes of a disk are stored in.
enum DiskFormat: String, CustomTestStringConvertible, Sendable {
  case raw
  /// Dynamic: room is taken with the first write of a block.
  case vhdx

  var testDescription: String { rawValue }
}

extension Scratch {
  /// A disk of zeros.
  func emptyDisk(_ format: DiskFormat, mebibytes: Int) throws -> String {
    let path = file("disk.\(format.rawValue)")
    if format == .raw {
      try Image.sparse(path, mebibytes: mebibytes)
    } else {
      try must(Program.path, "image", "create", path, "--size", "\(mebibytes)M", "--block-size", "1M")
    }
    return path
  }

  /// A disk with a filesystem that the system's own tool has made.
  func disk(_ format: DiskFormat, type: String, mebibytes: Int) throws -> String {
    let extent = try Image.plain(file("disk.raw"), type: type, mebibytes: mebibytes)
    if format == .raw { return extent.image }
    let path = file("disk.\(format.rawValue)")
    try must(Program.path, "image", "convert", extent.image, path, "--block-size", "1M")
    try must("rm", extent.image)
    return path
  }

  /// Lets the filesystem's own checker look at a disk that nobody uses, and QEMU's at what it is stored in.
  func check(_ disk: String, type: String) throws {
    var raw = disk
    if !disk.hasSuffix(".raw") {
      raw = file("checked.raw")
      try must("qemu-img", "check", "-q", disk)
      try must("qemu-img", "convert", "-O", "raw", disk, raw)
    }
    let size = try FileManager.default.attributesOfItem(atPath: raw)[.size] as? Int ?? 0
    try Image.check(Extent(image: raw, offset: 0, size: size), type: type)
  }
}
