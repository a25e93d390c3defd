import ImageFormats
import LinuxIO

/// What a log that may not be replayed changes in the metadata of a file: pages and zeros in memory, laid over every read.
struct VHDXOverlay: Sendable {
  private var pages: [UInt64: [UInt8]] = [:]
  private var zeros: [Range<UInt64>] = []
  /// Length that the file would have after a replay, in bytes.
  private(set) var byteCount: UInt64

  /// The most bytes of pages that are kept.
  static let maximumByteCount = 256 << 20

  init(fileByteCount: UInt64) { byteCount = fileByteCount }

  /// Lays one entry over all before.
  ///
  /// - Throws: `vhdx.log.needed` when this takes too much memory.
  mutating func apply(_ entry: VHDXLogEntry) throws(ImageFault) {
    for change in entry.changes {
      let range = change.range
      byteCount = max(byteCount, (range.upperBound + VHDX.alignment - 1) / VHDX.alignment * VHDX.alignment)
      switch change {
      case .page(let offset, let bytes): pages[offset] = bytes
      case .zero:
        if range.isEmpty { continue }
        zeros.append(range)
        pages = pages.filter { !range.contains($0.key) }
      }
    }
    byteCount = max(byteCount, entry.lastFileOffset)
    guard pages.count * VHDX.pageByteCount <= Self.maximumByteCount, zeros.count <= 1 << 16 else {
      throw ImageFault(
        "vhdx.log.needed", "the log is too long to be read over; open the image writable once to replay it")
    }
  }

  /// Lays the changes over bytes of the file.
  func lay(over bytes: inout [UInt8], at offset: UInt64) {
    let window = offset..<(offset + UInt64(bytes.count))
    for range in zeros where range.overlaps(window) {
      let part = range.clamped(to: window)
      let start = Int(part.lowerBound - offset)
      bytes.replaceSubrange(start..<(start + part.count), with: repeatElement(0, count: part.count))
    }
    let size = UInt64(VHDX.pageByteCount)
    var page = offset / size * size
    while page < window.upperBound {
      if let source = pages[page] {
        let part = (page..<(page + size)).clamped(to: window)
        let start = Int(part.lowerBound - offset)
        let from = Int(part.lowerBound - page)
        bytes.replaceSubrange(start..<(start + part.count), with: source[from..<(from + part.count)])
      }
      page += size
    }
  }
}

/// The metadata of a file, as it is once its log has been replayed.
struct VHDXMetadataSource: Sendable {
  let file: ImageFile
  let overlay: VHDXOverlay?
  /// Length of the file in bytes.
  let fileByteCount: UInt64

  /// Length of the file after a replay, in bytes.
  var byteCount: UInt64 { overlay?.byteCount ?? fileByteCount }

  /// - Throws: EIO beyond the end.
  func read(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    guard let overlay else { return try file.read(at: offset, count: count) }
    guard offset <= byteCount, UInt64(count) <= byteCount - offset else { throw .EIO }
    let present = offset >= fileByteCount ? 0 : min(UInt64(count), fileByteCount - offset)
    var bytes = try file.read(at: offset, count: Int(present))
    bytes += [UInt8](repeating: 0, count: count - Int(present))
    overlay.lay(over: &bytes, at: offset)
    return bytes
  }
}

/// Runs `body`, and says in words what an error of the system kept from being done.
func system<R>(_ what: String, _ body: () throws(Errno) -> R) throws(DiskImageError) -> R {
  do throws(Errno) { return try body() } catch { throw .system(what: what, error) }
}

/// Runs `body`, and passes on what it finds wrong with the image.
func faults<R>(_ body: () throws(ImageFault) -> R) throws(DiskImageError) -> R {
  do throws(ImageFault) { return try body() } catch { throw .fault(error) }
}
