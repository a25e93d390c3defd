import LinuxIO

/// The file under an image, as metadata is read and written: at once, on the calling thread. Queues move the bytes of the
/// disk themselves, and tell `observer` of it.
final class ImageFile: Sendable {
  /// Path that it was opened by, for messages.
  let path: String
  private let owned: OwnedDescriptor
  /// Told of every change before it is made; nil except in tests.
  let observer: (any FileObserver)?

  init(path: String, file: consuming OwnedDescriptor, observer: (any FileObserver)? = nil) {
    self.path = path
    owned = file
    self.observer = observer
  }

  var descriptor: Int32 { owned.number }

  /// Its length in bytes now.
  func byteCount() throws(Errno) -> UInt64 { try FileInfo(descriptor: owned.number).byteCount }

  /// - Throws: EIO when the file ends before.
  func read(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    guard offset <= UInt64(Int64.max) - UInt64(count) else { throw .EIO }
    let bytes = try readBytes(owned.number, at: offset, count: count)
    guard bytes.count == count else { throw .EIO }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
    if let observer, let error = observer.willChange(.write(offset: offset, bytes: bytes)) { throw error }
    try writeBytes(bytes, to: owned.number, at: offset)
  }

  /// Makes everything durable that was written before.
  func synchronize() throws(Errno) {
    if let observer, let error = observer.willChange(.synchronizeBegin) { throw error }
    try owned.synchronizeData()
    if let observer, let error = observer.willChange(.synchronizeEnd) { throw error }
  }

  /// Sets the length in bytes; what is new reads as zeros.
  func truncate(to byteCount: UInt64) throws(Errno) {
    if let observer, let error = observer.willChange(.truncate(byteCount: byteCount)) { throw error }
    try owned.truncate(to: byteCount)
  }

  /// Writes zeros, which stay stored.
  func writeZeros(_ range: Range<UInt64>) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      let count = min(1 << 20, range.upperBound - position)
      try write([UInt8](repeating: 0, count: Int(count)), at: position)
      position += count
    }
  }

  /// Gives storage back; it reads as zeros.
  func punchHole(at offset: UInt64, byteCount: UInt64) throws(Errno) {
    if let observer, let error = observer.willChange(.zero(offset: offset, byteCount: byteCount)) { throw error }
    try owned.allocate(.punchHole, offset: offset, byteCount: byteCount)
  }

  /// Takes storage for a range, which keeps its contents.
  func reserve(at offset: UInt64, byteCount: UInt64) throws(Errno) {
    try owned.allocate(.reserve, offset: offset, byteCount: byteCount)
  }

  /// Locks it as `lockImage` does.
  func lock(exclusive: Bool) throws(DiskImageError) { try lockImage(owned, path: path, exclusive: exclusive) }

  /// Gives the lock back, if it has one.
  func unlock() { try? owned.unlock() }

  func withDescriptor<R, E: Error>(_ body: (borrowing OwnedDescriptor) throws(E) -> R) throws(E) -> R {
    try body(owned)
  }
}

/// A change of the file under an image.
enum FileChange: Sendable, Equatable {
  /// If `isDurable`, the bytes are on the medium when it ends.
  case write(offset: UInt64, bytes: [UInt8], isDurable: Bool = false)
  case zero(offset: UInt64, byteCount: UInt64)
  case truncate(byteCount: UInt64)
  /// All changes that have ended before are durable at the next `synchronizeEnd`.
  case synchronizeBegin
  case synchronizeEnd
}

/// Sees all changes of the file under an image, in order, and may let them fail: for tests of crashes.
protocol FileObserver: AnyObject, Sendable {
  /// - Returns: the error that the change fails with; nil to have it made.
  func willChange(_ change: FileChange) -> Errno?
}
