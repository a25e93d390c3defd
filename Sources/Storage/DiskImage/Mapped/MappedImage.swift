public import Block
import ImageFormats
import LinuxIO
public import SharedMemory
import Synchronization

/// An image with a block table, or a chain of them: the engine under all such formats.
///
/// Each queue cuts its requests at blocks, asks the maps where they stand, and moves the bytes itself. Reads go down the
/// chain until an image has the bytes; writes go to the leaf.
public final class MappedImage: OpenedImage {
  /// The images of the chain, the leaf first, the base last.
  let layers: [ImageLayer]
  /// Zeros to be written where storage can't be zeroed otherwise; never written to.
  let zeros: MemoryRegion
  /// Whether the file can have holes; false once the system has said that it can't.
  let canPunch = Atomic<Bool>(true)
  let canZeroRange = Atomic<Bool>(true)
  /// Whether a write ends only when the tables that name its place are durable.
  let keepsUnflushedWrites: Bool
  private let state: Mutex<State>
  private let isClosed = Atomic<Bool>(false)
  /// Counts the events after which a parked request may go on.
  private let wakeCount = Atomic<UInt64>(0)
  private let parkedCount = Atomic<Int>(0)

  private struct State {
    var info: BlockDeviceInfo
    var memory: [MemoryRegion] = []
    var wakes: [Wake] = []
  }

  /// How other threads wake a queue that has parked requests.
  final class Wake: Sendable {
    let event: EventFD
    let isParked = Atomic<Bool>(false)
    init(_ event: EventFD) { self.event = event }
  }

  /// - Parameter layers: the leaf first; all but the leaf are read-only.
  init(_ layers: [ImageLayer], options: DiskImage.Options) throws(DiskImageError) {
    precondition(!layers.isEmpty)
    self.layers = layers
    keepsUnflushedWrites = options.keepsUnflushedWrites
    let layout = layers[0].map.layout
    for layer in layers where layer.map.layout.sectorByteCount != layout.sectorByteCount {
      throw .fault(.init("chain.sector", "\(layers[0].file.path) and \(layer.file.path) have different sector sizes"))
    }
    if let wanted = options.sectorByteCount, wanted != layout.sectorByteCount {
      throw .sectorSize(wanted, needed: layout.sectorByteCount)
    }
    zeros = try system("take memory") { () throws(Errno) in try MemoryRegion(anonymous: Self.zeroByteCount) }
    var info = BlockDeviceInfo(byteCount: layout.byteCount, sectorByteCount: layout.sectorByteCount)
    info.physicalSectorByteCount = max(layout.sectorByteCount, layout.physicalSectorByteCount)
    info.requestAlignment = layout.sectorByteCount
    info.maximumTransferByteCount = Self.maximumTransferByteCount
    info.isReadOnly = layout.isReadOnly
    info.isRotational = (try? FileInfo(descriptor: layers[0].file.descriptor).isRotational) ?? false
    info.supportsDiscard = !layout.isReadOnly
    info.discardReadsZero = !layout.isReadOnly
    // Less than a block becomes a hole in the file.
    info.discardGranularity = Int(min(layout.blockByteCount, 1 << 20))
    info.supportsWriteZeroes = !layout.isReadOnly
    let hasIdentity = layout.identity != DiskIdentity()
    info.identity = options.identity ?? (hasIdentity ? layout.identity : derivedIdentity(layers[0].file.path))
    info.serial = options.serial ?? hexadecimal(info.identity.high)
    state = Mutex(State(info: info))
  }

  deinit {
    try? close()
  }

  /// The most bytes and pieces of memory of a transfer.
  static let maximumTransferByteCount = 4 << 20
  static let maximumPieceCount = 1024
  /// Length of `zeros`.
  static let zeroByteCount = 1 << 20

  /// What the disk is.
  public var info: BlockDeviceInfo { state.withLock { $0.info } }

  /// Through the page cache.
  public var cache: DiskImage.Cache { .buffered }

  /// Any number.
  public var maximumQueueCount: Int { 1024 }

  /// Paths of the images of the chain, the leaf first.
  public var chainPaths: [String] { layers.map(\.file.path) }

  /// Never changes while the image is open.
  public func refreshSize() -> Bool { false }

  /// Not possible while the image is open.
  public func resize(to byteCount: UInt64) throws(DiskImageError) {
    if byteCount != info.byteCount { throw .length("an image of this format can't be resized while it is open") }
  }

  /// Anonymous memory.
  public func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    guard byteCount > 0, let region = try? MemoryRegion(anonymous: byteCount) else { throw .noMemory }
    state.withLock { $0.memory.append(region) }
    return region.slice
  }

  /// A queue with an io_uring of its own, or where the system allows none, one that does each request at once.
  public func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    do throws(Errno) { return try MappedQueue(image: self, depth: depth) } catch { throw BlockError(error) }
  }

  /// Makes everything durable and marks the image as closed. Queues that are about to end are waited for, some seconds at
  /// most.
  public func close() throws(DiskImageError) {
    for _ in 0..<500 where state.withLock({ !$0.wakes.isEmpty }) { sleepThread(nanoseconds: 10_000_000) }
    guard state.withLock({ $0.wakes.isEmpty }) else { throw .system(what: "close it", .EBUSY) }
    if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    // The lock goes even if somebody still holds a reference.
    defer { for layer in layers { layer.file.unlock() } }
    try layers[0].map.close()
  }
}

/// Requests that wait for what another thread does.
extension MappedImage {
  /// To be read before a request is tried that may have to be parked.
  var wakeEvents: UInt64 { wakeCount.load(ordering: .acquiring) }

  /// A queue makes itself known by `wake` as long as it is open.
  func join(_ wake: Wake) { state.withLock { $0.wakes.append(wake) } }

  /// See `join`.
  func leave(_ wake: Wake) {
    unpark(wake)
    state.withLock { $0.wakes.removeAll { $0 === wake } }
  }

  /// A queue has parked requests, which were last tried after `events`.
  ///
  /// - Returns: false when something has happened since: they are to be tried again at once.
  func park(_ wake: Wake, after events: UInt64) -> Bool {
    if !wake.isParked.exchange(true, ordering: .sequentiallyConsistent) {
      parkedCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
    fullMemoryFence()
    return wakeCount.load(ordering: .sequentiallyConsistent) == events
  }

  /// A queue has no parked requests any more.
  func unpark(_ wake: Wake) {
    if wake.isParked.exchange(false, ordering: .sequentiallyConsistent) {
      parkedCount.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }
  }

  /// Something has happened after which parked requests may go on.
  func wakeParked() {
    wakeCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    guard parkedCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
    let wakes = state.withLock { $0.wakes }
    for wake in wakes where wake.isParked.load(ordering: .acquiring) { wake.event.signal() }
  }
}
