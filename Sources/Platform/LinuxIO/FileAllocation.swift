import CLinux

/// What a fallocate(2) does; none of them changes the length of the file.
public enum AllocationMode: Int32, Sendable {
  /// Gives the storage of the range back; it reads as zeros (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE).
  case punchHole = 3
  /// Makes the range read as zeros and keeps its storage (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE).
  case zeroRange = 17
  /// Takes storage for the range (FALLOC_FL_KEEP_SIZE).
  case reserve = 1
}

extension OwnedDescriptor {
  /// Opens `path` with the O_ flags of open(2) for I/O past the page cache (O_DIRECT).
  ///
  /// - Throws: the errno of open(2); EINVAL where the filesystem has no direct I/O.
  public static func openDirect(_ path: String, flags: Int32) throws(Errno) -> OwnedDescriptor {
    // SAFETY: the string is null-terminated for the duration of the call.
    try unsafe OwnedDescriptor(adopting: check(synthgate_open_direct(path, flags)))
  }

  /// Makes reads and writes of this open file wait again: the reverse of `setNonBlocking`.
  public borrowing func setBlocking() throws(Errno) {
    let flags = try check(synthgate_fcntl(number, F_GETFL, 0))
    _ = try check(synthgate_fcntl(number, F_SETFL, flags & ~O_NONBLOCK))
  }

  /// Changes the storage behind a range of bytes.
  ///
  /// - Throws: EOPNOTSUPP where the filesystem or device can't, ENOSPC, or another errno of fallocate(2).
  public borrowing func allocate(_ mode: AllocationMode, offset: UInt64, byteCount: UInt64) throws(Errno) {
    guard let start = Int64(exactly: offset), let length = Int64(exactly: byteCount) else { throw .EFBIG }
    _ = try check(synthgate_fallocate(number, mode.rawValue, start, length))
  }

  /// Sets the length of the file in bytes.
  public borrowing func truncate(to byteCount: UInt64) throws(Errno) {
    guard let length = Int64(exactly: byteCount) else { throw .EFBIG }
    _ = try check(synthgate_truncate(number, length))
  }

  /// Waits until all data written to the file is on its medium (fdatasync(2)).
  public borrowing func synchronizeData() throws(Errno) {
    _ = try check(synthgate_datasync(number))
  }

  /// How much storage the file takes, in bytes (st_blocks); less than its length where it has holes.
  public borrowing func storedByteCount() throws(Errno) -> UInt64 {
    let count = synthgate_stored_bytes(number)
    if count < 0 { throw Errno(rawValue: Int32(-count)) }
    return UInt64(count)
  }

  /// Tells a block device that the range is not needed any more (BLKDISCARD); what it reads as is up to the device.
  ///
  /// - Throws: EOPNOTSUPP where the device can't, EINVAL unless both are multiples of its sector size.
  public borrowing func discardBlocks(offset: UInt64, byteCount: UInt64) throws(Errno) {
    _ = try check(synthgate_discard(number, 0, offset, byteCount))
  }

  /// Makes a range of a block device read as zeros (BLKZEROOUT), by writing them where nothing faster is possible.
  ///
  /// - Throws: EINVAL unless both are multiples of its sector size.
  public borrowing func zeroBlocks(offset: UInt64, byteCount: UInt64) throws(Errno) {
    _ = try check(synthgate_discard(number, 1, offset, byteCount))
  }
}

/// What the queue of a block device can do, as sysfs tells.
public struct BlockQueueLimits: Sendable, Equatable {
  /// The longest discard in bytes; 0 when there is none.
  public var maximumDiscardByteCount: UInt64
  /// The unit in bytes in which storage is released; 0 when unknown.
  public var discardGranularity: UInt64
  /// The longest request that zeroes without data, in bytes; 0 when there is none.
  public var maximumWriteZeroesByteCount: UInt64

  /// The limits of the open block device.
  ///
  /// - Throws: ENODEV when it is none.
  public init(descriptor: Int32) throws(Errno) {
    var major: UInt32 = 0
    var minor: UInt32 = 0
    // SAFETY: two local numbers are filled during the call.
    _ = try unsafe check(synthgate_device_number(descriptor, &major, &minor))
    let device = "/sys/dev/block/\(major):\(minor)"
    func limit(_ name: String) -> UInt64 {
      // A partition has no queue of its own: its disk stands one directory above.
      for directory in ["\(device)/queue", "\(device)/../queue"] {
        if let line = readFirstLine("\(directory)/\(name)") { return UInt64(line) ?? 0 }
      }
      return 0
    }
    maximumDiscardByteCount = limit("discard_max_bytes")
    discardGranularity = limit("discard_granularity")
    maximumWriteZeroesByteCount = limit("write_zeroes_max_bytes")
  }
}
