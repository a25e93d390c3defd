/// A frame on its way to the host, or room for one: its index and generation are the transaction id; a plain value.
///
/// Each slot has a section of the send buffer; a frame that exceeds it goes on in one of the overflow buffers.
struct SendSlot: BitwiseCopyable {
  var generation: UInt32 = 0
  /// Whether the host has it.
  var isSent = false
  /// The overflow buffer; -1 without one.
  var overflow: Int32 = -1
  /// Bytes of the RNDIS message in the section, and in the overflow buffer.
  var sectionByteCount = 0
  var overflowByteCount = 0
}

/// A stack of small numbers in memory of fixed size: what was free last is used first, while it is in the cache.
struct FreeList {
  private var storage: [Int32] = []

  init() {}

  init(_ range: Range<Int>) {
    storage = range.reversed().map { Int32($0) }
  }

  var isEmpty: Bool { storage.isEmpty }
  var count: Int { storage.count }

  mutating func push(_ value: Int) { storage.append(Int32(value)) }
  mutating func pop() -> Int { Int(storage.removeLast()) }
}

/// A first-in first-out queue of small numbers in memory of fixed size.
struct FixedQueue {
  private var storage: [Int32]
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) {
    storage = Array(repeating: 0, count: max(1, capacity))
  }

  var isEmpty: Bool { count == 0 }
  var first: Int { Int(storage[head]) }

  mutating func append(_ value: Int) {
    precondition(count < storage.count)
    var tail = head + count
    if tail >= storage.count { tail -= storage.count }
    storage[tail] = Int32(value)
    count += 1
  }

  mutating func removeFirst() {
    precondition(count > 0)
    head = head + 1 == storage.count ? 0 : head + 1
    count -= 1
  }
}
