public import SharedMemory

/// A disk: an array of sectors with queues in front of it.
///
/// An image is one, Storvsc makes one of a channel, memory is one for tests; Storvsp serves one, DiskFS shows one as
/// files. The device itself is control plane and may be used from any thread; its queues belong to one thread each.
public protocol BlockDevice: AnyObject, Sendable {
  /// What the device is now. Capacity changes (resize) and the loss of the write permission show here.
  var info: BlockDeviceInfo { get }

  /// The most queues that work at the same time; at least 1.
  var maximumQueueCount: Int { get }

  /// Memory that requests of this device may name without a copy, zeroed and aligned to pages. It stays mapped as long as
  /// the device is referenced.
  ///
  /// - Throws: `.noMemory` when the device has none left.
  func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice

  /// A new queue, to be used by one thread at a time.
  ///
  /// - Parameter depth: the most requests that are in flight at the same time.
  /// - Throws: `.busy` when there are `maximumQueueCount` queues already.
  func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue
}

/// A queue of requests towards a `BlockDevice`, owned by one thread: submit, then reap.
///
/// Nothing here waits. Requests complete in any order; an order between two exists only where the second is submitted
/// after the first was reaped.
public protocol BlockQueue: AnyObject {
  /// The most requests in flight; tags are below it.
  var depth: Int { get }

  /// Readable when `reap` has something to do that was not there when `prepareToWait` answered false. Spurious readiness is
  /// allowed, a missing one is not.
  var readinessDescriptor: Int32 { get }

  /// To be called before the owner sleeps on `readinessDescriptor`, after a `reap` that found nothing: a queue that is
  /// looked at all the time needs no wake-up calls, and has them sent only from here on until the next `reap`.
  ///
  /// - Returns: true when there is something to reap already; do not sleep then.
  func prepareToWait() -> Bool

  /// Takes a request over. Its memory must stay as it is until the completion with its tag is reaped.
  ///
  /// A request that can't be carried out (range, alignment, read-only) completes with an error like any other.
  ///
  /// - Parameter request: its tag must be below `depth` and not be in flight.
  func submit(_ request: BlockRequest)

  /// Sends what `submit` has gathered: one doorbell or one system call for the batch.
  func flushSubmissions()

  /// Hands each finished request to `body`, and answers how many there were. `body` may call `submit`.
  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int

  /// Ends the queue after the last completion was reaped. Nothing may be submitted afterwards.
  func close()
}

extension BlockQueue {
  /// Nothing to prepare.
  public func prepareToWait() -> Bool { false }
}

/// What a request wants to be done.
public enum BlockOperation: UInt8, Sendable, CaseIterable {
  /// Fills the memory with the bytes at `offset`.
  case read
  /// Puts the bytes of the memory at `offset`.
  case write
  /// Makes every write that completed before this was submitted durable; range and memory are unused.
  case flush
  /// Tells that the range is not needed any more: it reads as zeros if `BlockDeviceInfo.discardReadsZero`.
  case discard
  /// Makes the range read as zeros, without memory; releases the storage where that is possible and `mayUnmap` is set.
  case writeZeroes
  /// Asks whether the bytes from `offset` on are stored or a hole; the completion tells the length of the run.
  case extent
}

/// One request. Byte offsets and lengths may have any alignment that `BlockDeviceInfo.requestAlignment` allows.
public struct BlockRequest: Sendable {
  /// Further wishes.
  public struct Flags: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// Flags of these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The write is durable before it completes (FUA).
    public static let forceUnitAccess = Flags(rawValue: 1)
    /// `writeZeroes` may release the storage.
    public static let mayUnmap = Flags(rawValue: 2)
  }

  /// What is to be done.
  public var operation: BlockOperation
  /// Further wishes.
  public var flags: Flags
  /// Names the request in its completion; the caller's slot number.
  public var tag: UInt32
  /// First byte on the disk.
  public var offset: UInt64
  /// Length in bytes; for read and write that of `memory`.
  public var byteCount: UInt64
  /// Memory to read into or write from; nil for the other operations.
  public var memory: ScatterList?

  /// A request with all its fields.
  public init(
    _ operation: BlockOperation, tag: UInt32, offset: UInt64 = 0, byteCount: UInt64 = 0, memory: ScatterList? = nil,
    flags: Flags = []
  ) {
    self.operation = operation
    self.flags = flags
    self.tag = tag
    self.offset = offset
    self.byteCount = byteCount
    self.memory = memory
  }
}

/// The end of a request.
public struct BlockCompletion: Sendable {
  /// The tag of the request.
  public var tag: UInt32
  /// Nil when all was done as asked.
  public var error: BlockError?
  /// For `extent`: the run from `offset` on that has one state, and that state.
  public var extent: Extent?

  /// A run of bytes that are all stored or all a hole.
  public struct Extent: Sendable, Equatable {
    /// Length in bytes from the offset that was asked for; above zero.
    public var byteCount: UInt64
    /// Whether the bytes take storage; a hole reads as zeros.
    public var isAllocated: Bool

    /// A run.
    public init(byteCount: UInt64, isAllocated: Bool) {
      self.byteCount = byteCount
      self.isAllocated = isAllocated
    }
  }

  /// A completion.
  public init(tag: UInt32, error: BlockError? = nil, extent: Extent? = nil) {
    self.tag = tag
    self.error = error
    self.extent = extent
  }
}
