import CFUSE
import LinuxIO
import SharedMemory

/// One libfuse session over one descriptor of the connection. Each thread has its own, so that libfuse's locks are never
/// contended; libfuse keeps nothing else per connection.
@safe final class FUSESession {
  // SAFETY: made by init, destroyed by deinit; used by one thread at a time (its owner's).
  private let session: OpaquePointer
  let context: UnsafeMutablePointer<SessionContext>
  /// The descriptor, which the session owns.
  let descriptor: Int32

  /// A session that owns `descriptor`.
  init(_ descriptor: consuming OwnedDescriptor, transferByteCount: Int) throws(FUSEError) {
    // SAFETY: the context lives until after the session was destroyed; libfuse copies the tables.
    let context = UnsafeMutablePointer<SessionContext>.allocate(capacity: 1)
    unsafe context.initialize(to: SessionContext(transferByteCount: transferByteCount))
    var operations = Self.operations
    guard
      let session = unsafe synthgate_fuse_session(&operations, "max_read=\(transferByteCount)", context)
    else {
      unsafe context.deinitialize(count: 1)
      unsafe context.deallocate()
      throw .session
    }
    unsafe self.session = unsafe session
    unsafe self.context = unsafe context
    self.descriptor = descriptor.release()
    var channel = unsafe fuse_custom_io(
      writev: writeReply, read: refuseRead, splice_receive: nil, splice_send: nil)
    guard unsafe fuse_session_custom_io(session, &channel, self.descriptor) == 0 else { throw .session }
  }

  deinit {
    // SAFETY: nobody uses the session or a request of it any more. Destroying it closes the descriptor.
    unsafe fuse_session_destroy(session)
    unsafe context.deinitialize(count: 1)
    unsafe context.deallocate()
  }

  /// Decodes the request in the first bytes of `area`, calling back once at most.
  @inline(__always)
  func process(_ area: MemorySlice) {
    // SAFETY: the area is mapped, and libfuse keeps no pointer into it.
    var buffer = unsafe fuse_buf()
    unsafe buffer.size = area.byteCount
    unsafe buffer.mem = unsafe area.pointer
    unsafe context.pointee.received = area
    unsafe fuse_session_process_buf(session, &buffer)
  }

  /// Tells the session of the connection's FUSE_INIT.
  func handshake(_ request: MemorySlice, answers: Bool) {
    // SAFETY: the context belongs to this session, which one thread uses.
    unsafe context.pointee.offeredFlags2 = InitLayout.offeredFlags2(request)
    unsafe context.pointee.output = answers ? .handshake : .nowhere
    process(request)
    unsafe context.pointee.output = .kernel
  }

  /// Makes the kernel forget the attributes and cached pages of a file.
  func forgetContents(of node: UInt64) {
    // SAFETY: the session is valid; libfuse writes one message.
    _ = unsafe fuse_lowlevel_notify_inval_inode(session, node, 0, 0)
  }

  /// Makes the kernel forget a name.
  func forgetName(_ name: String, in parent: UInt64) {
    // SAFETY: the session is valid; libfuse writes one message, and the name is read during the call.
    _ = unsafe fuse_lowlevel_notify_inval_entry(session, parent, name, name.utf8.count)
  }

  /// Everything else stays nil: libfuse answers ENOSYS (the kernel does not ask again) or, where nothing is to be done,
  /// success.
  private static var operations: fuse_lowlevel_ops {
    // SAFETY: a table of functions that live as long as the program.
    var table = fuse_lowlevel_ops()
    unsafe table.`init` = onInit
    unsafe table.lookup = onLookup
    unsafe table.getattr = onAttributes
    unsafe table.setattr = onSetAttributes
    unsafe table.open = onOpen
    unsafe table.read = onRead
    unsafe table.write = onWrite
    unsafe table.fsync = onSynchronize
    unsafe table.readdir = onReadDirectory
    unsafe table.statfs = onStatistics
    unsafe table.fallocate = onAllocate
    unsafe table.lseek = onSeek
    unsafe table.mknod = onMakeNode
    unsafe table.mkdir = onMakeDirectory
    unsafe table.unlink = onRemove
    unsafe table.rmdir = onRemove
    unsafe table.symlink = onSymbolicLink
    unsafe table.link = onLink
    unsafe table.rename = onRename
    unsafe table.create = onCreate
    return table
  }
}

/// Sends what libfuse has put together, in one system call.
///
/// The kernel refuses replies to requests that it has given up, and all of them once the filesystem is unmounted. That is
/// no failure of ours, and libfuse would print it: it is told that the reply was sent.
@c(synthgate_fuse_write_reply)
nonisolated func writeReply(
  _ descriptor: Int32, _ pieces: UnsafeMutablePointer<iovec>?, _ count: Int32, _ user: UnsafeMutableRawPointer?
) -> Int {
  // SAFETY: libfuse gives `count` valid pieces and the session's user data, which is its context.
  let state = unsafe user!.assumingMemoryBound(to: SessionContext.self)
  var total = 0
  for index in 0..<Int(count) { total += unsafe pieces![index].iov_len }
  switch unsafe state.pointee.output {
  case .nowhere: return total
  case .handshake: unsafe InitLayout.extendReply(pieces!, count, offeredFlags2: state.pointee.offeredFlags2)
  case .kernel: break
  }
  _ = unsafe synthgate_fuse_writev(descriptor, pieces, count)
  return total
}

/// libfuse asks for a reader, but never uses it: requests are read by `FUSEChannel.receive`.
@c(synthgate_fuse_refuse_read)
nonisolated func refuseRead(_: Int32, _: UnsafeMutableRawPointer?, _: Int, _: UnsafeMutableRawPointer?) -> Int { -1 }
