import Foundation

/// Where a filesystem stands in an image.
struct Extent {
  var image: String
  var offset: Int
  var size: Int
}

/// Images made by the tools of the system, to be compared with what Synthgate sees and writes.
enum Image {
  static let mebibyte = 1 << 20

  static func sparse(_ path: String, mebibytes: Int) throws {
    try must("truncate", "--size", "\(mebibytes)M", path)
  }

  /// A filesystem without a partition table.
  static func plain(_ path: String, type: String, mebibytes: Int) throws -> Extent {
    try sparse(path, mebibytes: mebibytes)
    let extent = Extent(image: path, offset: 0, size: mebibytes * mebibyte)
    try format(extent, type: type)
    return extent
  }

  /// A GPT with partitions of the given types and sizes in MiB, from 1 MiB on.
  static func partitioned(_ path: String, _ partitions: [(type: String, mebibytes: Int)]) throws -> [Extent] {
    try sparse(path, mebibytes: partitions.reduce(2) { $0 + $1.mebibytes })
    var arguments = ["sgdisk", "--clear"]
    var extents: [Extent] = []
    var start = 1
    for (index, partition) in partitions.enumerated() {
      let last = (start + partition.mebibytes) * mebibyte / 512 - 1
      arguments.append("--new=\(index + 1):\(start)M:\(last)")
      arguments.append("--change-name=\(index + 1):part\(index + 1)")
      extents.append(Extent(image: path, offset: start * mebibyte, size: partition.mebibytes * mebibyte))
      start += partition.mebibytes
    }
    let result = try run(arguments + [path])
    guard result.code == 0 else { throw CommandFailure(description: "sgdisk: \(result.output)\(result.error)") }
    for (partition, extent) in zip(partitions, extents) where !partition.type.isEmpty {
      try format(extent, type: partition.type)
    }
    return extents
  }

  static func format(_ extent: Extent, type: String) throws {
    try withLoop(extent, readOnly: false) { device in
      switch type {
      case "ext4": try must("mkfs.ext4", "-q", "-F", device)
      case "xfs": try must("mkfs.xfs", "-q", "-f", device)
      case "ntfs": try must("mkfs.ntfs", "--quick", "--force", "--quiet", device)
      case "vfat": try must("mkfs.fat", "-F", "32", device)
      default: throw CommandFailure(description: "no mkfs for \(type)")
      }
    }
  }

  /// Runs `body` with a loop device of the kernel over the extent.
  @discardableResult
  static func withLoop<T>(_ extent: Extent, readOnly: Bool, _ body: (String) throws -> T) throws -> T {
    let device = try must(
      "losetup", "--find", "--show", readOnly ? "--read-only" : "--direct-io=off", "--offset", "\(extent.offset)",
      "--sizelimit", "\(extent.size)", extent.image
    ).trimmingCharacters(in: .newlines)
    defer {
      _ = try? must("losetup", "--detach", device)
      // The device is let go in the background.
      try? waitUntil("\(device) is free", seconds: 5) { try run(["losetup", device]).code != 0 }
    }
    return try body(device)
  }

  /// Runs `body` while the system itself, without Synthgate, has the filesystem mounted at `point`.
  static func withNativeMount(
    _ extent: Extent, type: String, at point: String, readOnly: Bool = false, _ body: () throws -> Void
  ) throws {
    try withLoop(extent, readOnly: readOnly) { device in
      if type == "ntfs" {
        try must("ntfs-3g", "-o", readOnly ? "ro" : "rw", device, point)
      } else {
        try must("mount", "-t", type, "-o", readOnly ? "ro" : "rw", device, point)
      }
      defer {
        _ = try? must("umount", point)
        try? waitUntil("\(point) is unmounted") { try run(["mountpoint", "-q", point]).code != 0 }
      }
      try body()
    }
  }

  /// Lets the filesystem's own checker look at it, without repairing: any finding is an error.
  static func check(_ extent: Extent, type: String) throws {
    try withLoop(extent, readOnly: true) { device in
      switch type {
      case "ext4": try must("e2fsck", "-fn", device)
      case "xfs": try must("xfs_repair", "-n", device)
      case "ntfs": try must("ntfsfix", "--no-action", device)
      case "vfat": try must("fsck.fat", "-n", device)
      default: throw CommandFailure(description: "no checker for \(type)")
      }
    }
  }
}
