/// The ranges of transfer-pages packets that were taken from the ring and not yet looked at: copies, in order.
///
/// It holds as much as a host with a receive buffer of so many sub-allocations can have on its way, so that completions
/// behind frames which nobody takes now are always reached.
struct ArrivalQueue {
  private var words: [UInt64]
  private var head = 0
  private(set) var count = 0

  /// Room for one packet of the greatest length.
  private static let packetWordCount = 1024 + 2

  init(subAllocationCount: Int) {
    let needed = 4 * subAllocationCount + 2 * Self.packetWordCount
    words = Array(repeating: 0, count: 1 << (Int.bitWidth - (needed - 1).leadingZeroBitCount))
  }

  var isEmpty: Bool { count == 0 }
  /// Whether any packet fits.
  var hasRoom: Bool { count <= words.count - Self.packetWordCount }

  mutating func append(_ word: UInt64) {
    precondition(count < words.count)
    words[(head + count) & (words.count - 1)] = word
    count += 1
  }

  mutating func removeFirst() -> UInt64 {
    precondition(count > 0)
    let word = words[head]
    head = (head + 1) & (words.count - 1)
    count -= 1
    return word
  }
}

/// Completions that are owed to the host, in order. None is ever dropped: while it is full, nothing is read.
struct ReplyQueue {
  /// What a completion says.
  enum Answer: UInt8, BitwiseCopyable {
    /// The packet has been taken.
    case success
    /// Some of it was wrong.
    case failure
    /// Nothing: the packet has no answer of its own.
    case empty
  }

  private var ids: [UInt64]
  private var answers: [Answer]
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) {
    let size = 1 << (Int.bitWidth - (max(2, capacity) - 1).leadingZeroBitCount)
    ids = Array(repeating: 0, count: size)
    answers = Array(repeating: .empty, count: size)
  }

  var isEmpty: Bool { count == 0 }
  var freeCount: Int { ids.count - count }
  var first: (id: UInt64, answer: Answer) { (ids[head], answers[head]) }

  mutating func append(_ id: UInt64, _ answer: Answer) {
    precondition(count < ids.count)
    let tail = (head + count) & (ids.count - 1)
    ids[tail] = id
    answers[tail] = answer
    count += 1
  }

  mutating func removeFirst() {
    precondition(count > 0)
    head = (head + 1) & (ids.count - 1)
    count -= 1
  }
}
