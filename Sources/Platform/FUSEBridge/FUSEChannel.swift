import CFUSE
public import LinuxIO
public import SharedMemory

/// One thread's end of a mounted filesystem: a descriptor of its own, from which it takes requests and through which it
/// answers them.
///
/// A request that can't be answered at once is parked under a number of the caller's (its slot) and taken out again when
/// the answer is there. Whatever is still parked when the channel ends is answered with EIO.
@safe public final class FUSEChannel {
  /// Bytes in front of the payload of a write: fuse_in_header and fuse_write_in.
  public static let headerByteCount = 80

  private let session: FUSESession
  // SAFETY: `slotCount` initialized entries, owned; a handle is libfuse's request that nobody has answered.
  private let parked: UnsafeMutablePointer<OpaquePointer?>
  private let slotCount: Int

  /// The descriptor to wait on: readable while there are requests; failed once the filesystem is unmounted.
  public var descriptor: Int32 { session.descriptor }

  /// The longest read or write in bytes.
  public let transferByteCount: Int

  /// Replies that were dropped and so became EIO; above zero only by a mistake of the filesystem.
  public var droppedReplyCount: UInt64 {
    // SAFETY: the context lives as long as the session.
    unsafe session.context.pointee.droppedReplyCount
  }

  /// A channel over a descriptor that carries one message of the FUSE protocol per read and write, but belongs to no mount
  /// of ours: a socket, or /dev/fuse with a mount that somebody else made. Waits for FUSE_INIT and answers it.
  ///
  /// - Parameter descriptor: made non-blocking, and closed when the channel ends.
  /// - Throws: `.handshake` when no FUSE_INIT comes within ten seconds.
  public convenience init(
    serving descriptor: consuming OwnedDescriptor, slotCount: Int, transferByteCount: Int
  ) throws(FUSEError) {
    do throws(Errno) { try descriptor.setNonBlocking() } catch { throw .device(error) }
    let (request, byteCount) = try InitLayout.receive(from: descriptor.number)
    let session = try FUSESession(descriptor, transferByteCount: transferByteCount)
    session.handshake(request.slice.slice(at: 0, count: byteCount), answers: true)
    self.init(session: session, slotCount: slotCount, transferByteCount: transferByteCount)
  }

  init(session: FUSESession, slotCount: Int, transferByteCount: Int) {
    self.session = session
    self.slotCount = slotCount
    self.transferByteCount = transferByteCount
    unsafe parked = .allocate(capacity: slotCount)
    unsafe parked.initialize(repeating: nil, count: slotCount)
  }

  deinit {
    // SAFETY: the entries are initialized, and the session is destroyed after this.
    for slot in 0..<slotCount {
      if let handle = unsafe parked[slot] { unsafe FUSEReply(handle: handle).fail(.EIO) }
    }
    unsafe parked.deallocate()
  }

  /// What `receive` has found.
  public enum Arrival: ~Copyable {
    /// A request, and the duty to answer it.
    case request(FUSEOperation, FUSEReply)
    /// A message that needs no work; there may be more.
    case handled
    /// Nothing is there now.
    case empty
    /// The filesystem is unmounted; nothing will come any more.
    case ended
  }

  /// Takes the next request without waiting.
  ///
  /// - Parameter area: at least `headerByteCount + transferByteCount` bytes at an address that is a multiple of 8. The
  ///   payload of a write begins at byte `headerByteCount` of it and is not copied.
  public func receive(into area: MemorySlice) -> Arrival {
    precondition(area.byteCount >= Self.headerByteCount + transferByteCount && area.address % 8 == 0)
    // SAFETY: the kernel writes at most the length of the mapped area.
    let count = unsafe synthgate_fuse_read(session.descriptor, area.pointer, area.byteCount)
    if count < InitLayout.requestHeaderByteCount {
      switch -count {
      case 11: return .empty  // EAGAIN
      case 2, 4: return .handled  // ENOENT: given up before it was read. EINTR
      default: return .ended  // ENODEV, ECONNABORTED
      }
    }
    // A request in work is never given up: the kernel may be told so by silence (FUSE_INTERRUPT).
    if area.word32(at: 4).loadRelaxed() == FUSEOpcode.interrupt { return .handled }
    session.process(area.slice(at: 0, count: count))
    // SAFETY: the context belongs to this thread; the callback has left what there is to take.
    let state = unsafe session.context
    guard let operation = unsafe state.pointee.operation, let handle = unsafe state.pointee.handle else {
      return .handled
    }
    unsafe state.pointee.operation = nil
    unsafe state.pointee.handle = nil
    return unsafe .request(operation, FUSEReply(handle: handle))
  }

  /// Keeps a reply for later. The slot must be empty.
  public func park(_ reply: consuming FUSEReply, in slot: Int) {
    precondition(slot >= 0 && slot < slotCount)
    // SAFETY: inside the table (checked above).
    precondition(unsafe parked[slot] == nil)
    unsafe parked[slot] = unsafe reply.release()
  }

  /// Takes a parked reply out, to be answered now. The slot must hold one.
  public func take(from slot: Int) -> FUSEReply {
    precondition(slot >= 0 && slot < slotCount)
    // SAFETY: inside the table (checked above); the handle leaves the table, so that it is answered once.
    guard let handle = unsafe parked[slot] else { preconditionFailure("no reply is parked in this slot") }
    unsafe parked[slot] = nil
    return unsafe FUSEReply(handle: handle)
  }
}

/// Opcodes that are looked at before libfuse sees a request (linux/fuse.h).
enum FUSEOpcode {
  static let `init`: UInt32 = 26
  static let interrupt: UInt32 = 36
}
