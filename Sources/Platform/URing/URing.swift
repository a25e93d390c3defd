import CURing
public import LinuxIO
public import SharedMemory

/// An io_uring: file operations that are submitted in batches and complete in any order. It belongs to one thread at a
/// time.
///
/// Prepare any number of operations, submit them with one system call, take completions without one. As many operations
/// as the ring is deep may be in flight; one more is refused with EBUSY, so that no completion is ever lost.
@safe public final class URing {
  // SAFETY: owned; valid until deinit.
  private let ring: OpaquePointer

  /// Readable while completions wait.
  public let descriptor: Int32

  /// A ring for at least `depth` operations in flight.
  ///
  /// - Throws: ENOSYS or EPERM where io_uring is switched off, ENOMEM.
  public init(depth: Int) throws(Errno) {
    guard depth > 0, depth <= 32768 else { throw .EINVAL }
    var made: OpaquePointer?
    // SAFETY: the call fills a local value; a ring that was made is owned by this object.
    _ = try unsafe check(synthgate_uring_create(UInt32(depth), &made))
    guard let made = unsafe made else { throw .ENOMEM }
    unsafe ring = unsafe made
    descriptor = unsafe synthgate_uring_descriptor(made)
  }

  deinit {
    // SAFETY: waits until the kernel has ended what is in flight, so that it writes into nobody's memory afterwards.
    unsafe synthgate_uring_destroy(ring)
  }

  /// How many operations were prepared and not taken yet.
  public var inFlightCount: Int {
    // SAFETY: the ring is valid.
    unsafe Int(synthgate_uring_in_flight(ring))
  }

  /// Hands descriptors to the ring, which keeps their files until it ends; `File.registered` then names them by index,
  /// which saves the kernel a look-up per operation. Call it at most once.
  ///
  /// - Throws: the errno of io_uring_register(2); EBUSY the second time.
  public func registerFiles(_ descriptors: [Int32]) throws(Errno) {
    // SAFETY: the array is read during the call.
    _ = try unsafe check(synthgate_uring_register_files(ring, descriptors, UInt32(descriptors.count)))
  }

  /// Adds a transfer to the batch. The memory and its list must stay as they are until the completion, whose result is the
  /// number of bytes moved or -errno.
  ///
  /// - Throws: EBUSY when too many operations are in flight or unsent.
  public func prepare(
    _ direction: Direction, file: File, memory: ScatterList, offset: UInt64, flags: TransferFlags = [],
    userData: UInt64
  ) throws(Errno) {
    // SAFETY: the list's entries are valid as long as the request is in flight (ScatterList's rule).
    _ = try unsafe check(
      synthgate_uring_prepare_transfer(
        ring, direction.rawValue, file.number, file.isRegistered ? 1 : 0, memory.vector, UInt32(memory.count), offset,
        flags.rawValue, userData))
  }

  /// Adds an fsync(2) to the batch, or with `dataOnly` an fdatasync(2). It covers the writes that completed before.
  ///
  /// - Throws: EBUSY when too many operations are in flight or unsent.
  public func prepareSync(file: File, dataOnly: Bool = true, userData: UInt64) throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(
      synthgate_uring_prepare_sync(ring, file.number, file.isRegistered ? 1 : 0, dataOnly ? 1 : 0, userData))
  }

  /// Adds a fallocate(2) to the batch.
  ///
  /// - Throws: EBUSY when too many operations are in flight or unsent.
  public func prepareAllocate(
    _ mode: AllocationMode, file: File, offset: UInt64, byteCount: UInt64, userData: UInt64
  ) throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(
      synthgate_uring_prepare_fallocate(
        ring, file.number, file.isRegistered ? 1 : 0, mode.rawValue, offset, byteCount, userData))
  }

  /// Adds an operation that does nothing: its completion makes `descriptor` readable.
  ///
  /// - Throws: EBUSY when too many operations are in flight or unsent.
  public func prepareNoOperation(userData: UInt64) throws(Errno) {
    // SAFETY: the ring is valid.
    _ = try unsafe check(synthgate_uring_prepare_nop(ring, userData))
  }

  /// Sends the batch to the kernel; no system call when it is empty.
  ///
  /// - Throws: the errno of io_uring_enter(2), EAGAIN when the kernel has had no memory for some ten milliseconds; what was
  ///   not sent stays in the batch.
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

extension URing {
  /// The file that an operation works on.
  public struct File: Sendable, Equatable {
    let number: Int32
    let isRegistered: Bool

    /// An open descriptor.
    public static func descriptor(_ number: Int32) -> File { File(number: number, isRegistered: false) }

    /// The file at `index` of `registerFiles`.
    public static func registered(_ index: Int32) -> File { File(number: index, isRegistered: true) }
  }

  /// What a transfer does.
  public enum Direction: Int32, Sendable {
    /// From the file into the memory.
    case read = 0
    /// From the memory into the file.
    case write = 1
  }

  /// Flags of preadv2(2) and pwritev2(2).
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
}

/// Transfers at once, on this thread; answers how many bytes were moved, which may be fewer.
///
/// - Throws: EAGAIN with `noWait` when it would have to wait, or the errno of preadv2(2) or pwritev2(2).
public func transfer(
  _ direction: URing.Direction, file: Int32, memory: ScatterList, offset: UInt64, flags: URing.TransferFlags = []
) throws(Errno) -> Int {
  // SAFETY: the list's entries are valid during the call.
  try unsafe Int(
    checkLong(
      synthgate_transfer(
        direction.rawValue, file, memory.vector, Int32(memory.count), Int64(offset), flags.rawValue)))
}

/// Transfers all that is left of the list from byte `skip` on, at once, on this thread.
///
/// - Parameter offset: where byte 0 of the list belongs in the file.
/// - Throws: ENODATA when the file ends before, or the errno of preadv2(2) or pwritev2(2).
public func transferRest(
  _ direction: URing.Direction, file: Int32, memory: ScatterList, skip: Int, offset: UInt64,
  flags: URing.TransferFlags = []
) throws(Errno) {
  precondition(skip >= 0 && skip <= memory.byteCount)
  // SAFETY: the list's entries are valid during the call.
  _ = try unsafe checkLong(
    synthgate_transfer_all(
      direction.rawValue, file, memory.vector, Int32(memory.count), UInt64(skip), Int64(offset), flags.rawValue))
}

private func checkLong(_ result: Int64) throws(Errno) -> Int64 {
  if result < 0 { throw Errno(rawValue: Int32(-result)) }
  return result
}
