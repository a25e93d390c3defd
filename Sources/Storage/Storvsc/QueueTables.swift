import Block
import SCSI

/// A first-in first-out queue of small numbers in memory of fixed size.
struct FixedQueue {
  private var storage: [Int32]
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) {
    storage = Array(repeating: 0, count: max(1, capacity))
  }

  var isEmpty: Bool { count == 0 }
  var first: Int? { count == 0 ? nil : Int(storage[head]) }

  mutating func append(_ value: Int) {
    precondition(count < storage.count)
    var tail = head + count
    if tail >= storage.count { tail -= storage.count }
    storage[tail] = Int32(value)
    count += 1
  }

  mutating func prepend(_ value: Int) {
    precondition(count < storage.count)
    head = head == 0 ? storage.count - 1 : head - 1
    storage[head] = Int32(value)
    count += 1
  }

  mutating func removeFirst() -> Int {
    precondition(count > 0)
    let value = Int(storage[head])
    head = head + 1 == storage.count ? 0 : head + 1
    count -= 1
    return value
  }

  mutating func removeAll() {
    head = 0
    count = 0
  }
}

/// A SCSI command of the queue. Its index and generation are the transaction id; a plain value.
struct CommandSlot: BitwiseCopyable {
  enum State: UInt8, BitwiseCopyable {
    case free
    /// Has to be sent.
    case waiting
    /// The host has it.
    case sent
    /// Has to be sent at `retryAt`.
    case delayed
    /// Was sent on a channel that was lost.
    case unknown
    /// Was sent, and its request has ended without it. The slot's memory is the host's until it answers.
    case retired
  }

  enum Kind: UInt8, BitwiseCopyable {
    case read, write
    /// The two halves of changing sectors that a write covers partly.
    case modifyRead, modifyWrite
    case flush, unmap, writeSame, lbaStatus
    /// Commands without a request: the queue's own, and the control thread's.
    case readCapacity, control
  }

  enum Buffer: Equatable, BitwiseCopyable {
    /// Memory of the request, of the queue's zeros, or none.
    case direct
    /// The slot's own page.
    case page
    /// A bounce buffer.
    case bounce(Int)
  }

  var state = State.free
  var kind = Kind.flush
  var generation: UInt32 = 0
  /// Index of the request; below zero for commands without one.
  var entry = -1
  var lba: UInt64 = 0
  var blocks: UInt32 = 0
  var guestAddress: UInt64 = 0
  /// Bytes that the host moves.
  var byteCount = 0
  var buffer = Buffer.direct
  /// Where the wanted bytes start in the buffer, how many they are, and where they start in the request's memory.
  var skip = 0
  var wanted = 0
  var memoryOffset = 0
  /// The data are zeros instead of memory.
  var isZero = false
  var isForced = false
  var attempts: UInt8 = 0
  var attentions: UInt8 = 0
  var hardwareErrors: UInt8 = 0
  var wrongLengths: UInt8 = 0
  /// When the disk first said that it can't take the command now; zero if it never did.
  var blockedSince: UInt64 = 0
  var backoff: UInt64 = 0
  var retryAt: UInt64 = 0
  /// Blocks that are sent at a time, zero for all at once; and how many are done.
  var step: UInt32 = 0
  var stepsDone: UInt32 = 0
  /// The order in which commands were made.
  var sequence: UInt64 = 0
  /// The command is one of those that go first on a new channel.
  var isReplay = false

  var isWrite: Bool {
    switch kind {
    case .write, .modifyWrite, .unmap, .writeSame: true
    default: false
    }
  }

  /// Whether the host may touch memory of the request itself.
  var usesRequestMemory: Bool { buffer == .direct && byteCount > 0 && !isZero && entry >= 0 }

  func overlaps(_ other: CommandSlot) -> Bool {
    lba < other.lba &+ UInt64(other.blocks) && other.lba < lba &+ UInt64(blocks)
  }
}

/// A request between `submit` and the end of its last command; a plain value.
struct RequestEntry {
  enum Stage: UInt8 { case free, ready, deferred, gated, active }

  var request = BlockRequest(.flush, tag: 0)
  var stage = Stage.free
  /// Bytes of the range for which commands were made.
  var cursor: UInt64 = 0
  var isCut = false
  var outstanding = 0
  var error: BlockError?
  var extent: BlockCompletion.Extent?
  /// The owner has been told; nothing of the request's memory may be touched any more.
  var isReported = false
  var countsAsWrite = false
  var ownsGate = false
  /// A flush has to follow, since the disk has no FUA.
  var needsFlush = false
  /// When the request counts as stalled, in nanoseconds; zero until the first look at the clock.
  var deadline: UInt64 = 0
  var isStalled = false
}
