/// Which sub-allocations of the receive buffer are free, gathered for a packet, or lent to the guest.
///
/// A packet is named by its first sub-allocation, which is its transaction id; the guest gives all of them back at once.
struct ReceivePool {
  private enum Mark {
    static let end: Int32 = -1
  }

  /// The sub-allocations that belong to the pool.
  let range: Range<Int>
  private var free: [Int32]
  /// By sub-allocation: the next one of its packet.
  private var next: [Int32]
  /// By sub-allocation: whether it names a packet that the guest has.
  private var isLent: [Bool]
  private var head = Mark.end
  private var tail = Mark.end

  /// A pool in which all of `range` are free.
  init(_ range: Range<Int>) {
    self.range = range
    free = range.reversed().map { Int32($0) }
    next = Array(repeating: Mark.end, count: range.count)
    isLent = Array(repeating: false, count: range.count)
  }

  /// How many are free.
  var freeCount: Int { free.count }

  /// How many packets the guest has.
  private(set) var lentPacketCount = 0

  /// The free one that `take` answers after `depth` others.
  @inline(__always)
  func candidate(_ depth: Int) -> Int { Int(free[free.count - 1 - depth]) }

  /// Takes a free one for the packet that is being gathered; there must be one.
  @inline(__always)
  mutating func take() -> Int {
    let index = free.removeLast()
    next[Int(index) - range.lowerBound] = Mark.end
    if head == Mark.end { head = index } else { next[Int(tail) - range.lowerBound] = index }
    tail = index
    return Int(index)
  }

  /// The transaction id of the packet that is being gathered; nil when it is empty.
  var gatheredID: UInt64? { head == Mark.end ? nil : UInt64(head) }

  /// The packet has gone to the guest.
  mutating func lend() {
    isLent[Int(head) - range.lowerBound] = true
    lentPacketCount += 1
    head = Mark.end
    tail = Mark.end
  }

  /// The packet goes nowhere: its sub-allocations are free again.
  mutating func abandon() {
    if head != Mark.end { release(head) }
    head = Mark.end
    tail = Mark.end
  }

  /// The guest gives a packet back; false when it does not have it.
  mutating func complete(_ transactionID: UInt64) -> Bool {
    guard let index = Int(exactly: transactionID), range.contains(index), isLent[index - range.lowerBound] else {
      return false
    }
    isLent[index - range.lowerBound] = false
    lentPacketCount -= 1
    release(Int32(index))
    return true
  }

  private mutating func release(_ first: Int32) {
    var index = first
    while index != Mark.end {
      free.append(index)
      index = next[Int(index) - range.lowerBound]
    }
  }
}
