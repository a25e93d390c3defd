public import SharedMemory
import WireBytes

/// The writing end of a ring.
///
/// Guarantees towards the reader: bytes of a packet are visible before the index that covers it; the ring is never
/// filled completely; the reader is signalled exactly if the ring was empty before the batch and it asked for signals.
/// The write index is kept privately and only stored; of the reader's words only the read index and the mask are read.
public struct OutgoingRing: ~Copyable {
  private let control: MemorySlice
  private let data: MemorySlice
  private let size: Int
  private var writeIndex: Int
  private var publishedIndex: Int
  private var knownReadIndex: Int
  private var isSpaceRequested = false

  /// The writing end over `memory`: the control page and the data area.
  ///
  /// - Throws: `invalidMemory`; `corruptIndex` when the indices found are not possible.
  public init(_ memory: MemorySlice) throws(RingError) {
    let (control, data) = try splitRing(memory)
    let write = try validIndex(control.word32(at: RingLayout.writeIndex).loadAcquiring(), size: data.byteCount)
    let read = try validIndex(control.word32(at: RingLayout.readIndex).loadAcquiring(), size: data.byteCount)
    self.control = control
    self.data = data
    size = data.byteCount
    writeIndex = write
    publishedIndex = write
    knownReadIndex = read
  }

  /// Makes `memory` an empty ring: zeros, and the feature bit.
  public static func initialize(_ memory: MemorySlice) {
    memory.fill(0)
    memory.word32(at: RingLayout.featureBits).storeReleasing(1)
  }

  /// Length of the data area in bytes.
  public var capacity: Int { size }

  /// The longest packet, trailer included, that this ring ever takes.
  public var maximumPacketByteCount: Int { size - 16 }

  /// Writes a packet that stays invisible to the reader until `publish`; false when there is no room for it now.
  ///
  /// - Parameter packet: descriptor, extra words and payload, padded to a multiple of 8.
  /// - Throws: `corruptIndex` when the reader's index is not possible.
  public mutating func write(_ packet: RawSpan) throws(RingError) -> Bool {
    precondition(packet.byteCount % 8 == 0 && packet.byteCount >= RingLayout.descriptorByteCount)
    let total = packet.byteCount + RingLayout.trailerByteCount
    guard try reserve(total) else { return false }
    if isSpaceRequested { cancelSpaceRequest() }
    let end = put(packet, at: writeIndex)
    // Both indices are multiples of 8, so that neither the descriptor's first word nor the trailer ever wraps.
    data.storeLE64(UInt64(writeIndex) << 32, at: end)
    writeIndex = advance(end, by: RingLayout.trailerByteCount)
    return true
  }

  /// Makes what was written visible. Answers whether the reader must be signalled.
  public mutating func publish() -> Bool {
    guard writeIndex != publishedIndex else { return false }
    let before = publishedIndex
    control.word32(at: RingLayout.writeIndex).storeReleasing(UInt32(writeIndex))
    publishedIndex = writeIndex
    // The store above must be visible before the two loads below, or a reader that goes to sleep is missed.
    fullMemoryFence()
    if control.word32(at: RingLayout.interruptMask).loadAcquiring() != 0 { return false }
    return control.word32(at: RingLayout.readIndex).loadAcquiring() == UInt32(before)
  }

  /// Asks the reader for a signal when a packet of `byteCount` bytes (without trailer) has room. Answers whether there is
  /// room already, so that nobody needs to sleep.
  ///
  /// - Throws: `corruptIndex`.
  public mutating func requestSpace(forPacketOf byteCount: Int) throws(RingError) -> Bool {
    let total = byteCount + RingLayout.trailerByteCount
    isSpaceRequested = true
    control.word32(at: RingLayout.pendingSendSize).storeReleasing(UInt32(total))
    fullMemoryFence()
    guard try reserve(total) else { return false }
    cancelSpaceRequest()
    return true
  }

  /// Takes a `requestSpace` back; the next packet that has room does so by itself.
  public mutating func cancelSpaceRequest() {
    isSpaceRequested = false
    control.word32(at: RingLayout.pendingSendSize).storeReleasing(0)
  }

  /// Whether the reader has taken everything.
  ///
  /// - Throws: `corruptIndex`.
  public mutating func isDrained() throws(RingError) -> Bool {
    knownReadIndex = try validIndex(control.word32(at: RingLayout.readIndex).loadAcquiring(), size: size)
    return knownReadIndex == writeIndex
  }

  private var rawFree: Int {
    let used = writeIndex - knownReadIndex
    return size - (used < 0 ? used + size : used)
  }

  /// Whether `total` bytes can be written. The reader's index is read only when the one known does not suffice.
  private mutating func reserve(_ total: Int) throws(RingError) -> Bool {
    if rawFree > total { return true }
    knownReadIndex = try validIndex(control.word32(at: RingLayout.readIndex).loadAcquiring(), size: size)
    return rawFree > total
  }

  private func put(_ bytes: RawSpan, at index: Int) -> Int {
    let first = min(bytes.byteCount, size - index)
    if first == bytes.byteCount {
      data.copyIn(bytes, at: index)
    } else {
      data.copyIn(bytes.extracting(first: first), at: index)
      data.copyIn(bytes.extracting(droppingFirst: first), at: 0)
    }
    return advance(index, by: bytes.byteCount)
  }

  private func advance(_ index: Int, by count: Int) -> Int {
    let end = index + count
    return end >= size ? end - size : end
  }
}

/// The control page and the data area of a ring.
func splitRing(_ memory: MemorySlice) throws(RingError) -> (MemorySlice, MemorySlice) {
  let page = RingLayout.controlByteCount
  guard memory.byteCount >= 2 * page, memory.byteCount % page == 0, memory.byteCount < 1 << 30,
    memory.address % UInt(page) == 0
  else {
    throw .invalidMemory(byteCount: memory.byteCount)
  }
  return (memory.slice(at: 0, count: page), memory.dropFirst(page))
}

/// An index of the peer, if it is possible.
@inline(__always)
func validIndex(_ index: UInt32, size: Int) throws(RingError) -> Int {
  guard Int(index) < size, index % 8 == 0 else { throw .corruptIndex(index) }
  return Int(index)
}
