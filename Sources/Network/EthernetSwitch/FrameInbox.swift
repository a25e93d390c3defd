public import Ethernet
public import LinuxIO
import SharedMemory
import Synchronization

/// A bounded queue of frames from many threads to one: a ring of preallocated cells that frames are copied into.
///
/// No locks, no allocation. Each cell has a sequence word, twice the number of the lap plus one while it holds a frame:
/// a producer takes the position at the tail by compare-and-exchange, fills the cell and publishes it by its word; the
/// consumer gives it back by the same word. A producer that stops between the two holds up the frames behind it, never
/// the other producers.
///
/// A cell has room for the longest frame. Memory is used only for pages that a frame has reached once.
public final class FrameInbox: Sendable {
  /// How many frames it holds; a power of two.
  public let capacity: Int

  let signal: InboxSignal
  private let region: MemoryRegion
  private let memory: MemorySlice
  private let shift: UInt64
  private let tail = Atomic<UInt64>(0)
  private let dropped = Atomic<UInt64>(0)
  private let hasReader = Atomic<Bool>(false)

  static let cellHeaderByteCount = 64
  static let cellByteCount = (FrameRoom.maximumFrameByteCount + pageByteCount - 1) / pageByteCount * pageByteCount

  /// An empty inbox with a signal of its own.
  ///
  /// - Parameter capacity: frames; rounded up to a power of two, at least 2.
  /// - Throws: the errno of mmap(2) or eventfd(2).
  public convenience init(capacity: Int) throws(Errno) {
    try self.init(capacity: capacity, signal: InboxSignal())
  }

  init(capacity: Int, signal: InboxSignal) throws(Errno) {
    var shift: UInt64 = 1
    while 1 << shift < capacity { shift += 1 }
    self.shift = shift
    self.capacity = 1 << shift
    self.signal = signal
    region = try MemoryRegion(
      anonymous: self.capacity * (FrameInbox.cellHeaderByteCount + FrameInbox.cellByteCount) + pageByteCount)
    memory = region.slice
  }

  /// How many frames were dropped because the inbox was full or the frame too long.
  public var droppedCount: UInt64 { dropped.load(ordering: .relaxed) }

  /// The consumer's end; there is only one.
  public func makeReader() -> InboxReader {
    precondition(!hasReader.exchange(true, ordering: .relaxed), "an inbox has one reader")
    return InboxReader(self)
  }

  /// Copies a frame in and wakes the consumer if it sleeps; false when the frame was dropped.
  @discardableResult
  public func push(_ frame: LentFrame) -> Bool {
    let list = frame.bytes
    return push(byteCount: list.byteCount, offload: frame.offload) { cell in
      FrameInbox.copy(list, from: 0, count: list.byteCount, to: cell, at: 0)
    }
  }

  /// Copies in the frame of `byteCount` bytes that starts `start` bytes into `room`, whose first bytes are those of
  /// `header`, whatever the room says by now.
  @discardableResult
  func push(header: RawSpan, room: ScatterList, start: Int, byteCount: Int, offload: FrameOffload) -> Bool {
    let count = header.byteCount
    return push(byteCount: byteCount, offload: offload) { cell in
      cell.copyIn(header)
      FrameInbox.copy(room, from: start + count, count: byteCount - count, to: cell, at: count)
    }
  }

  /// Copies in a frame that lies in private memory.
  @discardableResult
  func push(_ bytes: RawSpan, offload: FrameOffload) -> Bool {
    push(byteCount: bytes.byteCount, offload: offload) { $0.copyIn(bytes) }
  }

  @inline(__always)
  private func push(byteCount: Int, offload: FrameOffload, fill: (MemorySlice) -> Void) -> Bool {
    guard byteCount >= 14, byteCount <= FrameRoom.maximumFrameByteCount, let position = takePosition() else {
      dropped.add(1, ordering: .relaxed)
      return false
    }
    let index = index(position)
    fill(frameMemory(index).slice(at: 0, count: byteCount))
    InboxCell(byteCount: byteCount, offload: offload).store(into: header(index))
    sequence(index).storeReleasing(lap(position) &+ 1)
    signal.wake()
    return true
  }

  private func takePosition() -> UInt64? {
    var position = tail.load(ordering: .relaxed)
    while true {
      let distance = Int32(bitPattern: sequence(index(position)).loadAcquiring() &- lap(position))
      if distance < 0 { return nil }
      if distance > 0 {
        position = tail.load(ordering: .relaxed)
        continue
      }
      let result = tail.weakCompareExchange(expected: position, desired: position &+ 1, ordering: .relaxed)
      if result.exchanged { return position }
      position = result.original
    }
  }

  // MARK: Cells

  func index(_ position: UInt64) -> Int { Int(position & UInt64(capacity - 1)) }

  /// The sequence of a cell that is free for `position`; one more says that the frame of `position` is there.
  func lap(_ position: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: position >> shift) &* 2 }

  func header(_ index: Int) -> MemorySlice {
    memory.slice(at: index * FrameInbox.cellHeaderByteCount, count: FrameInbox.cellHeaderByteCount)
  }

  func sequence(_ index: Int) -> SharedWord32 {
    memory.word32(at: index * FrameInbox.cellHeaderByteCount)
  }

  func frameMemory(_ index: Int) -> MemorySlice {
    // Frames start at pages, so that a short one reaches only one.
    let headers = (capacity * FrameInbox.cellHeaderByteCount + pageByteCount - 1) & ~(pageByteCount - 1)
    return memory.slice(at: headers + index * FrameInbox.cellByteCount, count: FrameInbox.cellByteCount)
  }

  private static func copy(_ list: ScatterList, from start: Int, count: Int, to cell: MemorySlice, at offset: Int) {
    var skip = start
    var done = 0
    var piece = 0
    while done < count {
      let bytes = list[piece]
      piece += 1
      if skip >= bytes.byteCount {
        skip -= bytes.byteCount
        continue
      }
      let part = min(bytes.byteCount - skip, count - done)
      cell.copyIn(bytes.slice(at: skip, count: part), at: offset + done)
      done += part
      skip = 0
    }
  }
}
