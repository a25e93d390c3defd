import CLinux

/// What is known of an open file or block device.
public struct FileInfo: Sendable, Equatable {
  /// What the file is.
  public enum Kind: Sendable, Equatable {
    /// A regular file.
    case regular
    /// A block device.
    case blockDevice
    /// A directory.
    case directory
    /// A pipe, socket, or character device.
    case other
  }

  /// What the file is.
  public var kind: Kind
  /// Length in bytes.
  public var byteCount: UInt64
  /// Logical sector size of a block device in bytes; 512 for a file.
  public var logicalSectorByteCount: Int
  /// Physical sector size of a block device in bytes; 4096 for a file.
  public var physicalSectorByteCount: Int
  /// Alignment of memory for direct I/O in bytes; 0 when there is no direct I/O.
  public var directMemoryAlignment: Int
  /// Alignment of offset and length for direct I/O in bytes; 0 when there is no direct I/O.
  public var directOffsetAlignment: Int
  /// Whether the medium turns.
  public var isRotational: Bool

  /// Asks the kernel.
  ///
  /// - Throws: the errno of fstat(2) or of the ioctls.
  public init(descriptor: Int32) throws(Errno) {
    // SAFETY: a local value is filled during the call.
    var info = synthgate_file_info()
    _ = try unsafe check(synthgate_describe_file(descriptor, &info))
    kind =
      switch info.kind {
      case synthgate_file_regular: .regular
      case synthgate_file_block_device: .blockDevice
      case synthgate_file_directory: .directory
      default: .other
      }
    byteCount = info.size
    logicalSectorByteCount = Int(info.logical_sector)
    physicalSectorByteCount = Int(info.physical_sector)
    directMemoryAlignment = Int(info.direct_memory_alignment)
    directOffsetAlignment = Int(info.direct_offset_alignment)
    isRotational = info.is_rotational != 0
  }
}

extension OwnedDescriptor {
  /// Locks the whole file for this open file (F_OFD_SETLK). The lock goes when the last descriptor and the last I/O of the
  /// open file are gone, so that a process that is killed frees it only after its I/O has ended.
  ///
  /// - Throws: EAGAIN when somebody else holds it.
  public borrowing func lock(exclusive: Bool) throws(Errno) {
    _ = try check(synthgate_lock_file(number, exclusive ? 1 : 0))
  }
}

/// Where the first byte at or behind `offset` stands that is stored (`data`) or not stored (a hole).
///
/// - Throws: ENXIO when there is no data behind `offset`, EINVAL where the file can't tell.
public func seek(_ descriptor: Int32, from offset: Int64, toData data: Bool) throws(Errno) -> Int64 {
  let found = synthgate_seek(descriptor, offset, data ? 1 : 0)
  if found < 0 { throw Errno(rawValue: Int32(-found)) }
  return found
}

/// The canonical absolute path of `path`: no symbolic links, no `..`.
///
/// - Throws: the errno of realpath(3).
public func canonicalPath(_ path: String) throws(Errno) -> String {
  var buffer = [CChar](repeating: 0, count: 4097)
  // SAFETY: the text is null-terminated during the call; the buffer is as long as is said.
  _ = try unsafe check(synthgate_real_path(path, &buffer, Int32(buffer.count)))
  let end = buffer.firstIndex(of: 0) ?? buffer.count
  return String(decoding: buffer[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Processes other than this one that have the file at the canonical path `path` open, as far as /proc shows them.
public func processesWithOpenFile(_ path: String) -> [(id: Int32, name: String)] {
  let own = getpid()
  return directoryEntries("/proc").compactMap { Int32($0) }.filter { $0 != own }.compactMap { id in
    let isHolder = directoryEntries("/proc/\(id)/fd").contains { (try? linkTarget("/proc/\(id)/fd/\($0)")) == path }
    guard isHolder else { return nil }
    return (id, processName(id) ?? "a program")
  }
}

/// The names in a directory, without `.` and `..`; none where it can't be read.
public func directoryEntries(_ path: String) -> [String] {
  // SAFETY: the directory stream is used here only; each name is copied before the next one is read.
  guard let stream = unsafe opendir(path) else { return [] }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// Where a symbolic link points.
///
/// - Throws: the errno of readlink(2).
public func linkTarget(_ path: String) throws(Errno) -> String {
  var buffer = [CChar](repeating: 0, count: 4096)
  // SAFETY: the kernel writes at most as many bytes as the array has.
  let count = unsafe readlink(path, &buffer, buffer.count)
  if count < 0 { throw Errno(rawValue: synthgate_errno()) }
  return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// `count` bytes from `offset` on.
///
/// - Throws: the errno of pread(2), EIO when the file ends before.
public func readBytes(_ descriptor: Int32, at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  var done = 0
  while done < count {
    // SAFETY: the kernel writes at most the bytes that are left in the array.
    let moved = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe pread(descriptor, buffer.baseAddress! + done, count - done, Int(offset) + done)
    }
    if moved < 0 { throw Errno(rawValue: synthgate_errno()) }
    if moved == 0 { throw .EIO }
    done += moved
  }
  return bytes
}

/// Puts `bytes` into the file from `offset` on.
///
/// - Throws: the errno of pwrite(2), EIO when it writes nothing.
public func writeBytes(_ bytes: [UInt8], to descriptor: Int32, at offset: UInt64) throws(Errno) {
  var done = 0
  while done < bytes.count {
    // SAFETY: the kernel reads at most the bytes that are left in the array.
    let moved = unsafe bytes.withUnsafeBytes { buffer in
      unsafe pwrite(descriptor, buffer.baseAddress! + done, bytes.count - done, Int(offset) + done)
    }
    if moved < 0 {
      let error = Errno(rawValue: synthgate_errno())
      if error == .EINTR { continue }
      throw error
    }
    if moved == 0 { throw .EIO }
    done += moved
  }
}
