import CFUSE
public import LinuxIO
public import SharedMemory

/// The duty to answer one request, which is fulfilled exactly once: by `fail`, by one of the `succeed`s, or by parking it
/// in the channel for the time that the answer takes. One that is dropped answers EIO and is counted.
@safe public struct FUSEReply: ~Copyable {
  // SAFETY: libfuse's request; valid until a fuse_reply function was called with it, which consumes this value.
  let handle: OpaquePointer

  init(handle: OpaquePointer) {
    unsafe self.handle = unsafe handle
  }

  deinit {
    // SAFETY: nobody has answered: every way to do so discards this value.
    unsafe context(of: handle).pointee.droppedReplyCount += 1
    _ = unsafe fuse_reply_err(handle, Errno.EIO.rawValue)
  }

  /// Gives up the value without an answer; the caller has answered or keeps the handle.
  consuming func release() -> OpaquePointer {
    let handle = unsafe handle
    discard self
    return unsafe handle
  }

  /// The request failed.
  public consuming func fail(_ errno: Errno) {
    // SAFETY: consumed here, answered once.
    _ = unsafe fuse_reply_err(release(), errno.rawValue)
  }

  /// The request is done; there is nothing to tell.
  public consuming func succeed() {
    // SAFETY: consumed here, answered once.
    _ = unsafe fuse_reply_err(release(), 0)
  }

  /// Bytes that were read; one writev(2) takes them out of `data` without a copy in between.
  public consuming func succeed(data: MemorySlice) {
    // SAFETY: consumed here, answered once; the slice is mapped, and the kernel has copied when the call returns.
    _ = unsafe fuse_reply_buf(release(), data.pointer.assumingMemoryBound(to: CChar.self), data.byteCount)
  }

  /// Bytes that were read.
  public consuming func succeed(bytes: ArraySlice<UInt8>) {
    let handle = unsafe release()
    // SAFETY: consumed here, answered once; the kernel has copied when the call returns.
    unsafe bytes.withUnsafeBytes {
      _ = unsafe fuse_reply_buf(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
  }

  /// How many bytes were written.
  public consuming func succeed(writtenByteCount: Int) {
    // SAFETY: consumed here, answered once.
    _ = unsafe fuse_reply_write(release(), writtenByteCount)
  }

  /// The file that a name means. The kernel may believe it until it is told otherwise.
  public consuming func succeed(entry: FUSEAttributes) {
    // SAFETY: consumed here, answered once; a plain C struct, zeroed by its initializer.
    var parameters = fuse_entry_param()
    parameters.ino = entry.node
    parameters.attr = entry.stat
    parameters.attr_timeout = validitySeconds
    parameters.entry_timeout = validitySeconds
    _ = unsafe fuse_reply_entry(release(), &parameters)
  }

  /// The attributes of a file. The kernel may believe them until it is told otherwise.
  public consuming func succeed(attributes: FUSEAttributes) {
    var value = attributes.stat
    // SAFETY: consumed here, answered once.
    _ = unsafe fuse_reply_attr(release(), &value, validitySeconds)
  }

  /// The file is open.
  public consuming func succeed(opening flags: OpenReplyFlags) {
    var out = synthgate_fuse_open_out(file_handle: 0, open_flags: flags.rawValue, padding: 0)
    let handle = unsafe release()
    // SAFETY: consumed here, answered once with the struct that the kernel expects (size checked in CFUSE.c).
    unsafe withUnsafeBytes(of: &out) {
      _ = unsafe fuse_reply_buf(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
  }

  /// Where lseek(2) has arrived.
  public consuming func succeed(position: UInt64) {
    // SAFETY: consumed here, answered once.
    _ = unsafe fuse_reply_lseek(release(), Int(clamping: position))
  }

  /// The size of the filesystem.
  public consuming func succeed(statistics: FUSEStatistics) {
    // SAFETY: consumed here, answered once; a plain C struct, zeroed by its initializer.
    var value = statvfs()
    value.f_bsize = UInt(statistics.blockByteCount)
    value.f_frsize = UInt(statistics.blockByteCount)
    value.f_blocks = UInt(statistics.blockCount)
    value.f_files = UInt(statistics.fileCount)
    value.f_namemax = 255
    _ = unsafe fuse_reply_statfs(release(), &value)
  }

  /// As many of `entries` from index `cookie` on as fit in `byteCount` bytes.
  public consuming func succeed(entries: [FUSEDirectoryEntry], cookie: UInt64, byteCount: Int) {
    let handle = unsafe release()
    var buffer = [CChar](repeating: 0, count: min(max(0, byteCount), 1 << 16))
    var used = 0
    for index in Int(clamping: cookie)..<max(entries.count, Int(clamping: cookie)) {
      let entry = entries[index]
      var value = FUSEAttributes(
        node: entry.node, isDirectory: entry.isDirectory, permissions: 0, byteCount: 0
      ).stat
      let room = buffer.count - used
      // SAFETY: libfuse writes only where the entry fits in `room`, and tells what it needs in any case.
      let needed = unsafe buffer.withUnsafeMutableBufferPointer {
        unsafe fuse_add_direntry(handle, $0.baseAddress! + used, room, entry.name, &value, index + 1)
      }
      if needed > room { break }
      used += needed
    }
    // SAFETY: consumed here, answered once; `used` never exceeds the buffer.
    _ = unsafe fuse_reply_buf(handle, buffer, used)
  }
}

/// How the kernel shall treat an open file (FOPEN_ in linux/fuse.h).
public struct OpenReplyFlags: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// No page cache for read(2) and write(2) (FOPEN_DIRECT_IO).
  public static let directIO = OpenReplyFlags(rawValue: 1 << 0)
  /// Several writes at a time (FOPEN_PARALLEL_DIRECT_WRITES, Linux 6.2; older kernels ignore it).
  public static let parallelDirectWrites = OpenReplyFlags(rawValue: 1 << 6)
}

/// How long the kernel believes names and attributes, in seconds: "until told otherwise".
private let validitySeconds = 86_400.0
