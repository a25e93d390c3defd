import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// A bounded queue of frames in one direction between two threads: one produces, the other consumes.
///
/// Either side keeps its own index, and publishes it after a batch.
final class FrameRing: Sendable {
  /// How many frames it holds.
  let capacity: Int
  /// Whether a frame lies in two pieces.
  let isSplit: Bool
  private let region: MemoryRegion
  private let produced = Atomic<UInt64>(0)
  private let consumed = Atomic<UInt64>(0)
  private let consumerWaits = Atomic<Bool>(false)
  private let producerWaits = Atomic<Bool>(false)
  private let consumerEvent: EventFD
  private let producerEvent: EventFD

  /// Description of the frame; then its first piece; then, after a gap, the rest.
  private static let firstOffset = 64
  static let firstByteCount = 512
  private static let restOffset = 1024
  /// Room for a frame that starts up to 64 bytes behind the start of the room.
  static let roomByteCount = FrameRoom.maximumFrameByteCount + 64
  private static let stride = (restOffset + roomByteCount + pageByteCount) / pageByteCount * pageByteCount

  init(capacity: Int, isSplit: Bool, producerEvent: EventFD, consumerEvent: EventFD) throws(Errno) {
    self.capacity = capacity
    self.isSplit = isSplit
    self.producerEvent = producerEvent
    self.consumerEvent = consumerEvent
    region = try MemoryRegion(anonymous: capacity * FrameRing.stride)
  }

  private func slot(_ index: UInt64) -> MemorySlice {
    let number = Int(truncatingIfNeeded: index % UInt64(capacity))
    return region.slice.slice(at: number * FrameRing.stride, count: FrameRing.stride)
  }

  /// Puts the pieces of `count` bytes from `start` of the room of slot `index` into `table`, and answers how long the
  /// first one is.
  func pieces(_ index: UInt64, start: Int, count: Int, into table: inout ScatterTable) -> Int {
    let slot = slot(index)
    table.removeAll()
    guard isSplit else {
      _ = table.append(slot.slice(at: FrameRing.firstOffset + start, count: count))
      return count
    }
    let first = min(count, FrameRing.firstByteCount - start)
    _ = table.append(slot.slice(at: FrameRing.firstOffset + start, count: first))
    _ = table.append(slot.slice(at: FrameRing.restOffset, count: count - first))
    return first
  }

  // MARK: The producer

  func hasRoom(at index: UInt64) -> Bool {
    index - consumed.load(ordering: .acquiring) < UInt64(capacity)
  }

  /// Describes the frame that was put into slot `index`.
  func describe(_ index: UInt64, _ frame: RingFrame) {
    let words = frame.words
    let slot = slot(index)
    for number in 0..<4 { slot.storeLE64(words[number], at: 8 * number) }
  }

  /// Shows all frames before `index`.
  func publish(produced index: UInt64) {
    guard index != produced.load(ordering: .relaxed) else { return }
    produced.store(index, ordering: .sequentiallyConsistent)
    if consumerWaits.exchange(false, ordering: .sequentiallyConsistent) { consumerEvent.signal() }
  }

  /// True when there is room already; otherwise the producer's event will be signalled.
  func waitForRoom(at index: UInt64) -> Bool {
    producerWaits.store(true, ordering: .sequentiallyConsistent)
    return index - consumed.load(ordering: .sequentiallyConsistent) < UInt64(capacity)
  }

  // MARK: The consumer

  /// The description of the frame in slot `index`; nil if there is none yet.
  func frame(at index: UInt64) -> RingFrame? {
    guard index != produced.load(ordering: .acquiring) else { return nil }
    let slot = slot(index)
    return RingFrame([slot.loadLE64(at: 0), slot.loadLE64(at: 8), slot.loadLE64(at: 16), slot.loadLE64(at: 24)])
  }

  /// Gives back all slots before `index`.
  func publish(consumed index: UInt64) {
    guard index != consumed.load(ordering: .relaxed) else { return }
    consumed.store(index, ordering: .sequentiallyConsistent)
    if producerWaits.exchange(false, ordering: .sequentiallyConsistent) { producerEvent.signal() }
  }

  /// True when there is a frame already; otherwise the consumer's event will be signalled.
  func waitForFrame(at index: UInt64) -> Bool {
    consumerWaits.store(true, ordering: .sequentiallyConsistent)
    return index != produced.load(ordering: .sequentiallyConsistent)
  }

  // MARK: A new owner of an end

  var producedIndex: UInt64 { produced.load(ordering: .acquiring) }
  var consumedIndex: UInt64 { consumed.load(ordering: .acquiring) }
}

/// What a slot says about its frame.
struct RingFrame: Equatable {
  var start: Int
  var byteCount: Int
  var offload: FrameOffload

  init(start: Int, byteCount: Int, offload: FrameOffload) {
    self.start = start
    self.byteCount = byteCount
    self.offload = offload
  }

  /// Four words: place; checksum; segmentation; tag and hash.
  var words: [4 of UInt64] {
    var words: [4 of UInt64] = [UInt64(start) << 32 | UInt64(byteCount), 0, 0, 0]
    switch offload.checksum {
    case .complete: words[1] = 0
    case .partial(let start, let offset): words[1] = 1 | UInt64(start) << 16 | UInt64(offset) << 32
    case .verified: words[1] = 2
    }
    switch offload.segmentation {
    case .none: words[2] = 0
    case .tcp4(let segment, let headers): words[2] = 1 | UInt64(segment) << 16 | UInt64(headers) << 32
    case .tcp6(let segment, let headers): words[2] = 2 | UInt64(segment) << 16 | UInt64(headers) << 32
    }
    if let vlan = offload.vlan { words[3] |= 1 | UInt64(vlan) << 16 }
    if let hash = offload.flowHash { words[3] |= 2 | UInt64(hash) << 32 }
    return words
  }

  init(_ words: [4 of UInt64]) {
    func half(_ word: Int, _ bit: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: words[word] >> bit) }
    start = Int(words[0] >> 32)
    byteCount = Int(words[0] & 0xffff_ffff)
    offload = .plain
    switch words[1] & 3 {
    case 1: offload.checksum = .partial(start: half(1, 16), offset: half(1, 32))
    case 2: offload.checksum = .verified
    default: break
    }
    switch words[2] & 3 {
    case 1: offload.segmentation = .tcp4(segmentByteCount: half(2, 16), headerByteCount: half(2, 32))
    case 2: offload.segmentation = .tcp6(segmentByteCount: half(2, 16), headerByteCount: half(2, 32))
    default: break
    }
    if words[3] & 1 != 0 { offload.vlan = half(3, 16) }
    if words[3] & 2 != 0 { offload.flowHash = UInt32(words[3] >> 32) }
  }
}
