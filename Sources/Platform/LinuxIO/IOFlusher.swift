import CLinux

/// Tells the kernel that the calling thread serves the I/O of a filesystem (PR_SET_IO_FLUSHER): when it needs memory, the
/// kernel does not wait for that very filesystem to write its dirty pages, which would be a deadlock.
///
/// - Throws: EPERM without CAP_SYS_RESOURCE.
public func declareIOFlusher() throws(Errno) {
  _ = try check(synthgate_set_io_flusher())
}
