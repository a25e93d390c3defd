import CURing
public import LinuxIO
public import SharedMemory

/// An io_uring: file operations that are submitted in batches and complete in any order. It belongs to one thread at a
/// time.
@safe public final class URing {
  // SAFETY: owned; valid until deinit.
  private let ring: OpaquePointer

  /// Readable while completions wait.
  public let descriptor: Int32

  /// A ring for `depth` operations in flight.
  ///
  /// - Throws: ENOSYS or EPERM where io_uring is switched off, ENOMEM.
  public init(depth: Int) throws(Errno) {
    var made: OpaquePointer?
    // SAFETY: the call fills a local value; a ring that was made is owned by this object.
    _ = try unsafe check(synthgate_uring_create(UInt32(max(1, depth)), &made))
    guard let made = unsafe made else { throw .ENOMEM }
    unsafe ring = unsafe made
    descriptor = unsafe synthgate_uring_descriptor(made)
  }

  deinit {
    // SAFETY: the kernel cancels or ends what is in flight before the ring is gone; memory of requests belongs to devices,
    // which outlive their queues.
    unsafe synthgate_uring_destroy(ring)
  }

  /// A flag of preadv2(2) and pwritev2(2).
  public struct TransferFlags: OptionSet, Sendable {
    /// The RWF_ bits.
    public let rawValue: Int32
    /// Flags of these bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }
    /// RWF_DSYNC: the write is durable when it completes.
    public static let dataSync = TransferFlags(rawValue: 2)
    /// RWF_NOWAIT: fail with EAGAIN instead of waiting for the medium.
    public static let noWait = TransferFlags(rawValue: 8)
  }

  /// What a transfer does.
  public enum Direction: Int32, Sendable {
    /// From the file into the memory.
    case read = 0
    /// From the memory into the file.
    case write = 1
  }

  /// Adds a transfer to the batch. The memory and its list must stay as they are until the completion.
  ///
  /// - Throws: EBUSY when the batch is full: submit, then try again.
  public func prepare(
    _ direction: Direction, file: Int32, memory: ScatterList, offset: UInt64, flags: TransferFlags = [],
    userData: UInt64
  ) throws(Errno) {
    // SAFETY: the list's entries are valid as long as the request is in flight (ScatterList's rule).
    _ = try unsafe check(
      synthgate_uring_prepare_transfer(
        ring, direction.rawValue, file, memory.vector, UInt32(memory.count), offset, flags.rawValue, userData))
  }

  /// Adds an fdatasync(2) to the batch.
  ///
  /// - Throws: EBUSY when the batch is full.
  public func prepareDataSync(file: Int32, userData: UInt64) throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(synthgate_uring_prepare_datasync(ring, file, userData))
  }

  /// Adds a fallocate(2) to the batch.
  ///
  /// - Throws: EBUSY when the batch is full.
  public func prepareAllocate(
    _ mode: AllocationMode, file: Int32, offset: UInt64, byteCount: UInt64, userData: UInt64
  ) throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(
      synthgate_uring_prepare_fallocate(ring, file, mode.rawValue, offset, byteCount, userData))
  }

  /// What a fallocate does; neither changes the length of the file.
  public enum AllocationMode: Int32, Sendable {
    /// FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.
    case punchHole = 3
    /// FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE.
    case zeroRange = 17
  }

  /// Sends the batch to the kernel.
  public func submit() throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(synthgate_uring_submit(ring))
  }

  /// Takes a completion; nil when there is none. No system call.
  public func takeCompletion() -> (userData: UInt64, result: Int32)? {
    var userData: UInt64 = 0
    var result: Int32 = 0
    // SAFETY: local values are filled during the call.
    guard unsafe synthgate_uring_take(ring, &userData, &result) == 1 else { return nil }
    return (userData, result)
  }
}

/// Transfers at once, on this thread; answers how many bytes were moved, which may be fewer.
///
/// - Throws: EAGAIN with `noWait` when it would have to wait, or the errno of preadv2(2) or pwritev2(2).
public func transfer(
  _ direction: URing.Direction, file: Int32, memory: ScatterList, offset: UInt64, flags: URing.TransferFlags = []
) throws(Errno) -> Int {
  // SAFETY: the list's entries are valid during the call.
  try unsafe check(
    synthgate_transfer(direction.rawValue, file, memory.vector, Int32(memory.count), Int64(offset), flags.rawValue))
}

/// Transfers all that is left of the list from byte `skip` on, at once, on this thread.
///
/// - Parameter offset: where byte 0 of the list belongs in the file.
/// - Throws: EIO when the file ends before, or the errno of preadv2(2) or pwritev2(2).
public func transferRest(
  _ direction: URing.Direction, file: Int32, memory: ScatterList, skip: Int, offset: UInt64
) throws(Errno) {
  // SAFETY: the list's entries are valid during the call.
  _ = try unsafe check(
    synthgate_transfer_all(
      direction.rawValue, file, memory.vector, Int32(memory.count), UInt64(skip), Int64(offset)))
}
