/// RNDIS messages that wait for the guest, and the sub-allocations that are kept for them.
struct ControlReplies {
  /// The most bytes that wait; a guest that lets more come is not served any more.
  static let maximumByteCount = 100 << 10

  private var waiting: [[UInt8]] = []
  private var byteCount = 0
  private var pool = ReceivePool(0..<ChannelPlan.controlCount)

  /// Adds a message; false when too many wait.
  mutating func append(_ message: [UInt8]) -> Bool {
    guard byteCount + message.count <= Self.maximumByteCount else { return false }
    waiting.append(message)
    byteCount += message.count
    return true
  }

  /// The message that is next, and the sub-allocation for it; nil when there is none of either.
  var next: (message: [UInt8], subAllocation: Int)? {
    guard let message = waiting.first, pool.freeCount > 0 else { return nil }
    return (message, pool.candidate(0))
  }

  /// The next message has gone to the guest.
  mutating func sent() {
    byteCount -= waiting.removeFirst().count
    _ = pool.take()
    pool.lend()
  }

  /// The guest has read a message; false when it did not have it.
  mutating func complete(_ transactionID: UInt64) -> Bool { pool.complete(transactionID) }
}
