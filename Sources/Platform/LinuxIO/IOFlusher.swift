import CLinux

/// Tells the kernel that the calling thread serves the I/O of a filesystem (PR_SET_IO_FLUSHER): when it needs memory, the
/// kernel does not wait for that very filesystem to write its dirty pages, which would be a deadlock.
///
/// - Throws: EPERM without CAP_SYS_RESOURCE.
public func declareIOFlusher() throws(Errno) {
  _ = try check(synthgate_set_io_flusher())
}

/// Keeps every page of this process in memory from its first use on (mlockall with MCL_ONFAULT): serving a disk must not
/// wait for memory that would have to be read from, or written to, that disk.
///
/// - Throws: EPERM or ENOMEM without CAP_IPC_LOCK, or above the limit of locked memory.
public func lockProcessMemory() throws(Errno) {
  _ = try check(synthgate_lock_memory())
}
