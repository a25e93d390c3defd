import CFUSE
import LinuxIO
import SharedMemory

/// What the callbacks of one session share with its owner. It lives at one address from before the session is made until
/// after it is destroyed, and is touched only by the thread that owns the session.
@unsafe struct SessionContext {
  /// What happens to what libfuse writes.
  enum Output {
    /// It goes to the kernel.
    case kernel
    /// It goes to the kernel as the reply to FUSE_INIT, with flags that libfuse 3.14 can't ask for.
    case handshake
    /// It is dropped: this FUSE_INIT was answered by another session.
    case nowhere
  }

  let transferByteCount: UInt32
  var output = Output.kernel
  /// flags2 of the kernel's FUSE_INIT.
  var offeredFlags2: UInt32 = 0
  /// The area that the request in work was received into, as long as the request is.
  var received: MemorySlice?
  /// What the callback has found, to be taken by `receive`.
  var operation: FUSEOperation?
  var handle: OpaquePointer?
  var droppedReplyCount: UInt64 = 0

  init(transferByteCount: Int) {
    // SAFETY: a plain number.
    unsafe self.transferByteCount = UInt32(transferByteCount)
  }
}

/// The context of the session that a request belongs to.
func context(of request: OpaquePointer) -> UnsafeMutablePointer<SessionContext> {
  // SAFETY: every session is made with the address of its context as user data.
  unsafe fuse_req_userdata(request)!.assumingMemoryBound(to: SessionContext.self)
}

/// Leaves the operation for `receive`, which runs up the stack.
private func leave(_ operation: FUSEOperation, _ request: OpaquePointer?) {
  // SAFETY: libfuse calls with a valid request, on the thread that owns the session.
  let state = unsafe context(of: request!)
  unsafe state.pointee.operation = operation
  unsafe state.pointee.handle = unsafe request
}

@c(synthgate_fuse_on_init)
nonisolated func onInit(_ user: UnsafeMutableRawPointer?, _ connection: UnsafeMutablePointer<fuse_conn_info>?) {
  // SAFETY: both are valid during the call; the user data is the context.
  let state = unsafe user!.assumingMemoryBound(to: SessionContext.self)
  let limit = unsafe state.pointee.transferByteCount
  unsafe connection!.pointee.max_write = limit
  unsafe connection!.pointee.max_read = limit
  unsafe connection!.pointee.max_readahead = limit
  unsafe connection!.pointee.max_background = 512
  unsafe connection!.pointee.congestion_threshold = 512
  // Splicing would put pipes between the kernel and our buffers; an atomic O_TRUNC would let the kernel believe that the
  // disk has become empty.
  let wanted = UInt32(FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS)
  unsafe connection!.pointee.want = unsafe wanted & connection!.pointee.capable
}

@c(synthgate_fuse_on_lookup)
nonisolated func onLookup(_ request: OpaquePointer?, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?) {
  // SAFETY: a null-terminated name; bytes that are no UTF-8 are replaced, and then name no file of ours.
  unsafe leave(.lookUp(parent: parent, name: String(cString: name!)), request)
}

@c(synthgate_fuse_on_getattr)
nonisolated func onAttributes(_ request: OpaquePointer?, _ node: fuse_ino_t, _: UnsafeMutablePointer<fuse_file_info>?) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.attributes(node: node), request)
}

@c(synthgate_fuse_on_setattr)
nonisolated func onSetAttributes(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _: UnsafeMutablePointer<stat>?, _ changes: Int32,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  let changes = AttributeChanges(rawValue: UInt32(bitPattern: changes))
  unsafe leave(.changeAttributes(node: node, changes: changes), request)
}

@c(synthgate_fuse_on_open)
nonisolated func onOpen(_ request: OpaquePointer?, _ node: fuse_ino_t, _ file: UnsafeMutablePointer<fuse_file_info>?) {
  // SAFETY: libfuse gives a valid file description.
  unsafe leave(.open(node: node, flags: file!.pointee.flags), request)
}

@c(synthgate_fuse_on_read)
nonisolated func onRead(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _ byteCount: Int, _ offset: Int,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.read(node: node, offset: UInt64(clamping: offset), byteCount: byteCount), request)
}

@c(synthgate_fuse_on_write)
nonisolated func onWrite(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _ bytes: UnsafePointer<CChar>?, _ byteCount: Int, _ offset: Int,
  _ file: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: addresses are only compared; the payload is named as a part of the area that the request was read into.
  let state = unsafe context(of: request!)
  let address = UInt(bitPattern: bytes)
  guard let area = unsafe state.pointee.received, address >= area.address, byteCount >= 0,
    address - area.address <= UInt(area.byteCount),
    UInt(byteCount) <= UInt(area.byteCount) - (address - area.address)
  else {
    _ = unsafe fuse_reply_err(request, Errno.EIO.rawValue)
    return
  }
  let payload = area.slice(at: Int(address - area.address), count: byteCount)
  let flags = unsafe file!.pointee.flags
  unsafe leave(
    .write(node: node, offset: UInt64(clamping: offset), payload: payload, flags: flags), request)
}

@c(synthgate_fuse_on_fsync)
nonisolated func onSynchronize(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _: Int32, _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.synchronize(node: node), request)
}

@c(synthgate_fuse_on_readdir)
nonisolated func onReadDirectory(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _ byteCount: Int, _ cookie: Int,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(
    .readDirectory(node: node, cookie: UInt64(clamping: cookie), byteCount: byteCount), request)
}

@c(synthgate_fuse_on_statfs)
nonisolated func onStatistics(_ request: OpaquePointer?, _: fuse_ino_t) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.statistics, request)
}

@c(synthgate_fuse_on_fallocate)
nonisolated func onAllocate(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _ mode: Int32, _ offset: Int, _ byteCount: Int,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(
    .allocate(
      node: node, mode: FUSEAllocationMode(rawValue: UInt32(bitPattern: mode)), offset: UInt64(clamping: offset),
      byteCount: UInt64(clamping: byteCount)), request)
}

@c(synthgate_fuse_on_lseek)
nonisolated func onSeek(
  _ request: OpaquePointer?, _ node: fuse_ino_t, _ offset: Int, _ whence: Int32,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(
    .seek(node: node, offset: UInt64(clamping: offset), whence: SeekTarget(rawValue: whence)), request)
}

@c(synthgate_fuse_on_mknod)
nonisolated func onMakeNode(_ request: OpaquePointer?, _: fuse_ino_t, _: UnsafePointer<CChar>?, _: UInt32, _: dev_t) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_mkdir)
nonisolated func onMakeDirectory(_ request: OpaquePointer?, _: fuse_ino_t, _: UnsafePointer<CChar>?, _: UInt32) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_remove)
nonisolated func onRemove(_ request: OpaquePointer?, _: fuse_ino_t, _: UnsafePointer<CChar>?) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_symlink)
nonisolated func onSymbolicLink(
  _ request: OpaquePointer?, _: UnsafePointer<CChar>?, _: fuse_ino_t, _: UnsafePointer<CChar>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_link)
nonisolated func onLink(_ request: OpaquePointer?, _: fuse_ino_t, _: fuse_ino_t, _: UnsafePointer<CChar>?) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_rename)
nonisolated func onRename(
  _ request: OpaquePointer?, _: fuse_ino_t, _: UnsafePointer<CChar>?, _: fuse_ino_t, _: UnsafePointer<CChar>?, _: UInt32
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}

@c(synthgate_fuse_on_create)
nonisolated func onCreate(
  _ request: OpaquePointer?, _: fuse_ino_t, _: UnsafePointer<CChar>?, _: UInt32,
  _: UnsafeMutablePointer<fuse_file_info>?
) {
  // SAFETY: libfuse calls with a valid request.
  unsafe leave(.changeNames, request)
}
