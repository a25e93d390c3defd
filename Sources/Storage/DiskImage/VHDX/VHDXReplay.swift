import ImageFormats
import LinuxIO

/// What is done with the entries of a log that was left behind.
enum VHDXReplay {
  /// Replays the log into the file and marks it as empty. Interrupted anywhere, it can be done again.
  ///
  /// - Returns: the header that is current then.
  static func run(
    _ file: ImageFile, header: VHDXHeader, slot: Int
  ) throws(DiskImageError) -> (VHDXHeader, slot: Int) {
    let fileByteCount = try system("look at it") { () throws(Errno) in try file.byteCount() }
    var reader = VHDXLogReader(file: file, header: header)
    let found = try reader.activeSequence(fileByteCount: fileByteCount)
    // Everything is looked at before anything is written.
    for entry in found { _ = try reader.read(entry, byteLimit: fileByteCount) }
    var writer = VHDXHeaderWriter(header: header, slot: slot)
    writer.header.fileWriteGUID = .random()
    try system("write its header") { () throws(Errno) in try writer.write(to: file) }
    var end = fileByteCount
    for place in found {
      let entry = try reader.read(place, byteLimit: end)
      try system("replay its log") { () throws(Errno) in end = try apply(entry, to: file, end: end) }
    }
    writer.header.logGUID = .zero
    try system("replay its log") { () throws(Errno) in
      try file.synchronize()
      try writer.write(to: file)
    }
    return (writer.header, writer.slot)
  }

  /// Carries one entry out; answers how long the file is then.
  private static func apply(_ entry: VHDXLogEntry, to file: ImageFile, end: UInt64) throws(Errno) -> UInt64 {
    var end = end
    func grow(to byteCount: UInt64) throws(Errno) {
      guard byteCount > end else { return }
      end = (byteCount + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment
      try file.truncate(to: end)
    }
    for change in entry.changes {
      let range = change.range
      switch change {
      case .page(let offset, let bytes):
        try grow(to: range.upperBound)
        try file.write(bytes, at: offset)
      case .zero:
        if range.isEmpty { continue }
        let present = range.clamped(to: 0..<max(end, range.lowerBound))
        var position = range.lowerBound
        while position < min(present.upperBound, end) {
          let count = min(1 << 20, min(present.upperBound, end) - position)
          try file.write([UInt8](repeating: 0, count: Int(count)), at: position)
          position += count
        }
        try grow(to: range.upperBound)
      }
    }
    try grow(to: entry.lastFileOffset)
    return end
  }

  /// The changes of the log, to be laid over what is read.
  static func overlay(
    _ file: ImageFile, header: VHDXHeader, fileByteCount: UInt64
  ) throws(DiskImageError) -> VHDXOverlay {
    var reader = VHDXLogReader(file: file, header: header)
    var overlay = VHDXOverlay(fileByteCount: fileByteCount)
    for found in try reader.activeSequence(fileByteCount: fileByteCount) {
      let entry = try reader.read(found, byteLimit: overlay.byteCount)
      try faults { () throws(ImageFault) in try overlay.apply(entry) }
    }
    return overlay
  }
}

/// Updates the header: always the copy that is not current, made durable before it counts.
struct VHDXHeaderWriter: Sendable {
  /// The header as it is to be.
  var header: VHDXHeader
  /// Where the current one stands: 0 or 1.
  var slot: Int

  /// Writes `header` with the next sequence number, and makes it durable with everything that was written before.
  ///
  /// - Throws: EOVERFLOW when there is no greater number.
  mutating func write(to file: ImageFile) throws(Errno) {
    try place(in: file)
    try file.synchronize()
  }

  /// Writes it without making it durable: only where both copies then say the same but for their number.
  mutating func place(in file: ImageFile) throws(Errno) {
    guard header.sequenceNumber < UInt64.max else { throw Errno(rawValue: 75) }
    header.sequenceNumber += 1
    slot = 1 - slot
    try file.write(header.encoded(), at: VHDX.headerOffsets[slot])
  }
}
