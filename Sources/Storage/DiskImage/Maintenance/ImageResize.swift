import Block
import ImageFormats
import LinuxIO
import Synchronization
import WireBytes

extension DiskImage {
  /// Gives the image at `path`, which nobody uses, another capacity. Files that have children must not be resized.
  ///
  /// Each step leaves an image that opens, with the old capacity or the new one.
  ///
  /// - Parameters:
  ///   - byteCount: the new capacity; VHDX and VHD want whole sectors.
  ///   - mayShrink: whether the disk may become shorter, which loses what stands behind the new end.
  ///   - format: of the image.
  /// - Throws: `img.shrink` when it would be shorter; `vhd.size`, `vhd.saved`, `vhdx.param`; any other `DiskImageError`.
  public static func resize(
    _ path: String, to byteCount: UInt64, mayShrink: Bool = false, format: Format = .automatic
  ) throws(DiskImageError) {
    try resize(path, to: byteCount, mayShrink: mayShrink, format: format, keepsIdentity: false)
  }

  /// See above.
  static func resize(
    _ path: String, to byteCount: UInt64, mayShrink: Bool, format: Format, keepsIdentity: Bool
  ) throws(DiskImageError) {
    let source = try ImageSource.find(path, isReadOnly: false)
    let found = try actualFormat(source, format)
    guard source.facts.kind == .regular else {
      throw .fault(ImageFault("img.type", "a block device has the size that it has"))
    }
    if found == .vhdx {
      let file = ImageFile(path: path, file: source.releaseFile())
      let old = try VHDXStructure.read(file, pendingLog: .overlay).parameters.geometry.diskByteCount
      try checkShrinking(from: old, to: byteCount, mayShrink)
      return try VHDXResize.resize(
        path, to: byteCount, discardingData: mayShrink, observer: nil, keepsIdentity: keepsIdentity)
    }
    let file = ImageFile(path: path, file: source.releaseFile())
    try file.lock(exclusive: true)
    defer { file.unlock() }
    switch found {
    case .vhd: try VHDResize.run(file, to: byteCount, mayShrink: mayShrink)
    default:
      guard byteCount > 0, byteCount % 512 == 0 else {
        throw .oddLength(byteCount: byteCount, sectorByteCount: 512)
      }
      let old = try system("look at it") { () throws(Errno) in try file.byteCount() }
      try checkShrinking(from: old, to: byteCount, mayShrink)
      try system("resize it") { () throws(Errno) in
        try file.truncate(to: byteCount)
        try file.synchronize()
      }
    }
  }

  static func checkShrinking(from old: UInt64, to new: UInt64, _ mayShrink: Bool) throws(DiskImageError) {
    if new < old, !mayShrink {
      throw .fault(
        ImageFault("img.shrink", "it has \(old) bytes, and those behind the first \(new) would be lost"))
    }
  }
}

/// Another capacity for a VHD.
enum VHDResize {
  static func run(_ file: ImageFile, to byteCount: UInt64, mayShrink: Bool) throws(DiskImageError) {
    let structure = try VHDStructure.read(file)
    let old = structure.footer.diskByteCount
    var footer = structure.footer
    footer.diskByteCount = byteCount
    footer.geometry = VHDGeometry(diskByteCount: byteCount)
    try faults { () throws(ImageFault) in try footer.check(at: structure.dataEnd) }
    if footer.isSavedState {
      throw .fault(ImageFault("vhd.saved", "it belongs to a saved machine", at: structure.dataEnd + 84))
    }
    if byteCount == old { return }
    try DiskImage.checkShrinking(from: old, to: byteCount, mayShrink)
    guard let header = structure.header else {
      return try system("resize it") { () throws(Errno) in
        try resizeFixed(file, structure, footer.encoded(), to: byteCount)
      }
    }
    let map = try VHDMap(structure, header: header, file: file, isReadOnly: false)
    if let error = map.refusalToWrite() { throw .fault(ImageFault("vhd.resize", "it can't be changed: \(error)")) }
    let blocks = (byteCount + header.blockByteCount - 1) >> map.blockShift
    if byteCount < old {
      for block in blocks..<map.blockCount {
        let entry = try system("read its block table") { () throws(Errno) in try map.entry(block) }
        guard entry == VHDMap.unallocated else {
          throw .fault(
            ImageFault(
              "img.shrink", "block \(block) behind the new end is in use; convert it instead",
              at: header.tableOffset + block * 4))
        }
      }
    }
    try zeroRestOfLastBlock(map, from: min(old, byteCount))
    try system("resize it") { () throws(Errno) in
      var end = map.state.withLock { $0.lastUsed }
      if blocks > UInt64(header.entryCount) {
        end = try moveTable(file, map, structure, entryCount: UInt32(blocks), to: end)
      } else if blocks > map.blockCount {
        let bytes = [UInt8](repeating: 0xff, count: Int(blocks - map.blockCount) * 4)
        try file.write(bytes, at: header.tableOffset + map.blockCount * 4)
        try file.synchronize()
      }
      try file.write(footer.encoded(), at: end)
      try file.synchronize()
      try file.write(footer.encoded(), at: 0)
      try file.synchronize()
    }
  }

  /// The new footer comes first, so that there is always one at the end of the file.
  private static func resizeFixed(
    _ file: ImageFile, _ structure: VHDStructure, _ footer: [UInt8], to byteCount: UInt64
  ) throws(Errno) {
    if byteCount < structure.footer.diskByteCount {
      try file.write(footer, at: byteCount)
      try file.synchronize()
      try file.truncate(to: byteCount + 512)
      return try file.synchronize()
    }
    let place = max(byteCount, structure.dataEnd)
    if place > structure.dataEnd {
      // One write makes the file longer and ends it with a footer: without one it would be taken for raw.
      try file.write(footer, at: place)
      try file.synchronize()
      // What stood behind the disk before is of the disk now.
      let stale = structure.footer.diskByteCount
      try file.writeZeros(stale..<min(structure.fileByteCount, place))
    } else {
      try file.writeZeros(structure.footer.diskByteCount..<byteCount)
      try file.write(footer, at: place)
    }
    try file.synchronize()
  }

  /// What stands behind the end of the disk in its last block is nobody's, but is of the disk when that grows.
  private static func zeroRestOfLastBlock(_ map: VHDMap, from end: UInt64) throws(DiskImageError) {
    let inside = end & (map.header.blockByteCount - 1)
    let block = end >> map.blockShift
    guard inside > 0, block < map.blockCount else { return }
    do throws(BlockError) {
      guard let place = try map.place(block) else { return }
      do throws(Errno) {
        let start = place + map.bitmapByteCount
        try map.file.writeZeros((start + inside)..<(start + map.header.blockByteCount))
        try map.file.synchronize()
      } catch { throw blockError(error) }
    } catch {
      throw .fault(ImageFault("vhd.resize", "its last block can't be zeroed: \(error)"))
    }
  }

  /// Writes a longer table behind everything, and then the sector of the header that names it.
  ///
  /// - Returns: where the footer stands now.
  private static func moveTable(
    _ file: ImageFile, _ map: VHDMap, _ structure: VHDStructure, entryCount: UInt32, to place: UInt64
  ) throws(Errno) -> UInt64 {
    var header = map.header
    let oldOffset = header.tableOffset
    header.tableOffset = place
    header.entryCount = entryCount
    let length = (header.tableByteCount + 511) / 512 * 512
    let end = place + length
    try file.truncate(to: end + 512)
    // The footer with the old size at the new end: the image is whole whichever table the header names.
    try file.write(structure.footerBytes, at: end)
    let known = map.blockCount * 4
    var position: UInt64 = 0
    while position < length {
      let count = min(1 << 20, length - position)
      let old =
        position < known ? try file.read(at: oldOffset + position, count: Int(min(count, known - position))) : []
      try file.write(old + [UInt8](repeating: 0xff, count: Int(count) - old.count), at: place + position)
      position += count
    }
    try file.synchronize()
    // Everything that changes stands in the first sector, which is written as a whole or not at all.
    let sector = try file.read(at: structure.footer.dataOffset, count: VHDDynamicHeader.byteCount)
    let changed = sector.replacingTable(header)
    try file.write(Array(changed.prefix(512)), at: structure.footer.dataOffset)
    try file.synchronize()
    return end
  }
}

extension [UInt8] {
  /// The bytes of a dynamic header that names another table; everything else stays.
  fileprivate func replacingTable(_ header: VHDDynamicHeader) -> [UInt8] {
    var bytes = self
    bytes.withMutableBytes { bytes in
      bytes.storeBE(header.tableOffset, at: 16)
      bytes.storeBE(header.entryCount, at: 28)
    }
    let checksum = VHD.checksum(bytes.rawSpan, storedAt: 36)
    bytes.withMutableBytes { $0.storeBE(checksum, at: 36) }
    return bytes
  }
}
