import ImageFormats
import LinuxIO

/// Puts entries into the log of an image, around its end.
///
/// An entry may be overwritten only after what it says has been applied and made durable.
struct VHDXLogWriter: Sendable {
  /// Place of the log in the file, and its length.
  let offset: UInt64
  let byteCount: UInt32
  private var guid = GUID.zero
  private var sequenceNumber: UInt64 = 0
  private var head: UInt32 = 0
  /// Entries that are still needed, oldest first.
  private var needed: [(offset: UInt32, byteCount: UInt32)] = []
  /// How many of them have been applied to the file, durable or not.
  private var appliedCount = 0
  /// How many of these had been applied when the synchronization began that is under way.
  private var synchronizingCount = 0
  /// Length of the file that is durable.
  private var flushedByteCount: UInt64 = 0

  init(offset: UInt64, byteCount: UInt32) {
    self.offset = offset
    self.byteCount = byteCount
  }

  /// Starts a new log with an entry that changes nothing, so that there is a valid one as soon as the header names the log.
  ///
  /// - Parameters:
  ///   - fileByteCount: length of the file, which is durable.
  mutating func start(_ file: ImageFile, fileByteCount: UInt64, lastUsed: UInt64) throws(Errno) -> GUID {
    guid = .random()
    sequenceNumber = 0
    head = 0
    needed = []
    appliedCount = 0
    flushedByteCount = fileByteCount / VHDX.alignment * VHDX.alignment
    try write([], to: file, lastUsed: lastUsed)
    appliedCount = 1
    return guid
  }

  /// Whether an entry of so many pages fits now.
  func hasRoom(forPages count: Int) -> Bool {
    let size = UInt64(VHDXLogEntry.descriptorByteCount(count) + 4096 * count)
    let used = needed.reduce(UInt64(0)) { $0 + UInt64($1.byteCount) }
    // One sector stays free, so that a full log is not an empty one.
    return used + size + 4096 <= UInt64(byteCount)
  }

  /// Writes an entry; it counts when it is durable.
  mutating func write(_ pages: [(offset: UInt64, bytes: [UInt8])], to file: ImageFile, lastUsed: UInt64) throws(Errno) {
    sequenceNumber += 1
    let entry = VHDXLogEntry(
      sequenceNumber: sequenceNumber, logGUID: guid, tail: needed.first?.offset ?? head,
      flushedFileOffset: flushedByteCount, lastFileOffset: lastUsed,
      changes: pages.map { .page(offset: $0.offset, bytes: $0.bytes) })
    let bytes = entry.encoded()
    let first = min(bytes.count, Int(byteCount - head))
    try file.write(Array(bytes[..<first]), at: offset + UInt64(head))
    if first < bytes.count { try file.write(Array(bytes[first...]), at: offset) }
    needed.append((head, UInt32(bytes.count)))
    head = UInt32((UInt64(head) + UInt64(bytes.count)) % UInt64(byteCount))
  }

  /// The last entry has been applied.
  mutating func didApply() { appliedCount = needed.count }

  /// A synchronization begins.
  mutating func willSynchronize() { synchronizingCount = appliedCount }

  /// The synchronization has ended well: what had been applied before is needed no more.
  ///
  /// - Parameter fileByteCount: length of the file when it began.
  mutating func didSynchronize(fileByteCount: UInt64) {
    // The newest entry stays in any case: a log that is named must have one.
    let count = min(synchronizingCount, needed.count - 1)
    if count > 0 {
      needed.removeFirst(count)
      appliedCount -= count
    }
    synchronizingCount = 0
    flushedByteCount = max(flushedByteCount, fileByteCount / VHDX.alignment * VHDX.alignment)
  }
}
