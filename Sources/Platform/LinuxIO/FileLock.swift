import CLinux

/// Who keeps a file locked.
public enum LockHolder: Sendable, Equatable {
  /// A process that holds a lock of its own (F_SETLK).
  case process(Int32)
  /// An open file (F_OFD_SETLK); the kernel names no process for it.
  case openFile
}

extension OwnedDescriptor {
  /// Opens the file at `path` to be locked, and makes it, for its owner only, unless it is there.
  ///
  /// - Throws: the errno of open(2).
  public static func openLockFile(_ path: String) throws(Errno) -> OwnedDescriptor {
    try open(path, flags: O_RDWR | O_CREAT, mode: 0o600)
  }

  /// Who keeps this open file from locking the whole file; nil when nobody does.
  public borrowing func lockHolder(exclusive: Bool) throws(Errno) -> LockHolder? {
    var isOpenFile: Int32 = 0
    // SAFETY: a local number is filled during the call.
    let process = try unsafe check(synthgate_lock_holder(number, exclusive ? 1 : 0, &isOpenFile))
    if isOpenFile != 0 { return .openFile }
    return process > 0 ? .process(process) : nil
  }

  /// Gives the lock of `lock` back.
  public borrowing func unlock() throws(Errno) {
    _ = try check(synthgate_unlock(number, 1))
  }

  /// Takes a shared lock on the byte at `offset`, whether the file has it or not; it goes with the open file.
  ///
  /// - Throws: EAGAIN when somebody has an exclusive lock on it.
  public borrowing func lockByte(at offset: UInt64) throws(Errno) {
    _ = try check(synthgate_lock_byte(number, Int64(offset)))
  }

  /// Whether another open file or process has a lock on the byte at `offset`.
  public borrowing func isByteLocked(at offset: UInt64) throws(Errno) -> Bool {
    try check(synthgate_is_byte_locked(number, Int64(offset))) != 0
  }

  /// Takes the advisory lock of flock(2), which udev and mkfs respect on block devices; it goes with the open file.
  ///
  /// - Throws: EAGAIN when somebody else holds it.
  public borrowing func advisoryLock(exclusive: Bool) throws(Errno) {
    _ = try check(synthgate_flock(number, exclusive ? 1 : 0))
  }
}

/// Processes that hold a lock of an open file on the file at the canonical path `path`, as far as /proc shows them; this
/// one too.
public func processesWithLockedFile(_ path: String) -> [(id: Int32, name: String)] {
  directoryEntries("/proc").compactMap { Int32($0) }.compactMap { id in
    let isHolder = directoryEntries("/proc/\(id)/fd").contains { number in
      guard (try? linkTarget("/proc/\(id)/fd/\(number)")) == path else { return false }
      return (try? readTextFile("/proc/\(id)/fdinfo/\(number)"))?.contains("\nlock:") ?? false
    }
    guard isHolder else { return nil }
    return (id, processName(id) ?? "a program")
  }
}
