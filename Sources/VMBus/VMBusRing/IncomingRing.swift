public import SharedMemory
import WireBytes

/// The reading end of a ring.
///
/// Each packet is copied out whole, and only the copy is looked at: the writer may change the ring at any time. The read
/// index is kept privately and only stored.
public struct IncomingRing: ~Copyable {
  private let control: MemorySlice
  private let data: MemorySlice
  private let size: Int
  private var readIndex: Int
  private var publishedIndex: Int
  private var knownWriteIndex: Int

  /// The reading end over `memory`: the control page and the data area.
  ///
  /// - Throws: `invalidMemory`; `corruptIndex` when the indices found are not possible.
  public init(_ memory: MemorySlice) throws(RingError) {
    let (control, data) = try splitRing(memory)
    let read = try validIndex(control.word32(at: RingLayout.readIndex).loadAcquiring(), size: data.byteCount)
    self.control = control
    self.data = data
    size = data.byteCount
    readIndex = read
    publishedIndex = read
    knownWriteIndex = read
  }

  /// Length of the data area in bytes.
  public var capacity: Int { size }

  /// Whether `read` would find nothing.
  ///
  /// - Throws: `corruptIndex`.
  public mutating func isEmpty() throws(RingError) -> Bool {
    if knownWriteIndex != readIndex { return false }
    knownWriteIndex = try validIndex(control.word32(at: RingLayout.writeIndex).loadAcquiring(), size: size)
    return knownWriteIndex == readIndex
  }

  /// Copies the next packet, without its trailer, to the start of `buffer`; answers its length, 0 when the ring is empty.
  ///
  /// Only the length is checked here, against the ring and the buffer; the rest of the descriptor is the caller's.
  ///
  /// - Throws: any `RingError`; the ring is of no use then.
  public mutating func read(into buffer: inout MutableRawSpan) throws(RingError) -> Int {
    if try isEmpty() { return 0 }
    let used = knownWriteIndex - readIndex
    let available = used < 0 ? used + size : used
    guard available >= RingLayout.descriptorByteCount + RingLayout.trailerByteCount else {
      throw .corruptLength(length8: 0, available: available)
    }
    let descriptor = data.loadLE64(at: readIndex)
    let length8 = UInt16(truncatingIfNeeded: descriptor >> 32)
    let byteCount = Int(length8) * 8
    guard byteCount >= RingLayout.descriptorByteCount, byteCount <= available - RingLayout.trailerByteCount else {
      throw .corruptLength(length8: length8, available: available)
    }
    guard byteCount <= buffer.byteCount else { throw .oversized(byteCount: byteCount, maximum: buffer.byteCount) }
    let first = min(byteCount, size - readIndex)
    var head = buffer._mutatingExtracting(0..<first)
    data.copyOut(from: readIndex, into: &head)
    if first < byteCount {
      var tail = buffer._mutatingExtracting(first..<byteCount)
      data.copyOut(from: 0, into: &tail)
    }
    // The writer may have changed the descriptor since; the length that was checked is the one that counts.
    buffer.storeLE(descriptor, at: 0)
    let next = readIndex + byteCount + RingLayout.trailerByteCount
    readIndex = next >= size ? next - size : next
    return byteCount
  }

  /// Gives the space of all packets read so far back. Answers whether a blocked writer must be signalled.
  ///
  /// - Throws: `corruptIndex`.
  public mutating func release() throws(RingError) -> Bool {
    guard readIndex != publishedIndex else { return false }
    let difference = readIndex - publishedIndex
    let consumed = difference < 0 ? difference + size : difference
    control.word32(at: RingLayout.readIndex).storeReleasing(UInt32(readIndex))
    publishedIndex = readIndex
    // The store above must be visible before the loads below, or a writer that goes to sleep is missed.
    fullMemoryFence()
    // Some writers ask for "ring size - 1" to learn that the ring is empty, hence the mask.
    let pending = Int(control.word32(at: RingLayout.pendingSendSize).loadAcquiring() & ~7)
    if pending == 0 { return false }
    let write = try validIndex(control.word32(at: RingLayout.writeIndex).loadAcquiring(), size: size)
    let used = write - readIndex
    let usableAfter = size - (used < 0 ? used + size : used) - 8
    return usableAfter >= pending && usableAfter - consumed < pending
  }

  /// Asks the writer for no signals, while this end looks by itself.
  public mutating func maskInterrupts() {
    control.word32(at: RingLayout.interruptMask).storeReleasing(1)
  }

  /// Asks the writer for a signal when it next finds the ring empty. Answers whether something has come meanwhile: then
  /// the caller must read on instead of sleeping.
  ///
  /// - Throws: `corruptIndex`.
  public mutating func unmaskInterrupts() throws(RingError) -> Bool {
    control.word32(at: RingLayout.interruptMask).storeReleasing(0)
    fullMemoryFence()
    return try !isEmpty()
  }
}
