import Block
import LinuxIO
import SharedMemory
import URing

/// A queue of a mapped image in front of an io_uring.
///
/// A request goes through its range from the start: each run becomes a piece that is read, written or zeroed, and the
/// request ends with its last piece. Writes into the page cache are made at once, as those of raw images are.
/// A request that has to wait for a commit, or for a free piece, is parked and tried again where it stopped.
///
/// Where there is no io_uring, every step is done at once.
final class MappedQueue: BlockQueue {
  struct Slot {
    var request: BlockRequest
    var isBusy = false
    /// The next byte of the disk that is to be looked at.
    var position: UInt64 = 0
    /// Pieces that are in flight.
    var pieceCount = 0
    var error: BlockError?
    /// The epoch in which the request began.
    var epoch: UInt64 = 0
    /// Whether bytes were written that have to be made durable before the request ends.
    var isVolatile = false
    /// Whether its range is being gone through, or it is parked: it does not end with its last piece then.
    var isHeld = false
  }

  let depth: Int
  let image: MappedImage
  let map: any BlockMap
  let isReadOnly: Bool
  var slots: [Slot]
  var pieces: [Piece]
  var freePieces: [Int]
  /// For the list of a write that is made at once.
  var scratch: ScatterTable
  var zeroTable: ScatterTable

  let ring: URing?
  private(set) var files: [URing.File]
  var finished: [BlockCompletion] = []
  private var taken: [BlockCompletion] = []
  var hasUnsent = false

  /// Requests to be tried again, and whether now is the time.
  var parked: [UInt32] = []
  var retrying: [UInt32] = []
  var mayRetry = false
  let wake: MappedImage.Wake
  private let wakeMemory: MemoryRegion
  private var wakeTable: ScatterTable
  private var isWakeArmed = false

  /// Whether this queue carries out a commit, and which flushes it covers; flushes that wait for the next one.
  var isCommitting = false
  var covered: [UInt32] = []
  var flushes: [UInt32] = []
  /// The piece of a synchronization that is not sent yet, so that more flushes can join it.
  var openSynchronization: Int?

  private let member: QueueEpochs.Member
  private var busyCount = 0
  private var seenEpoch: UInt64 = 0

  /// - Parameter usesRing: false: as where the system allows no io_uring.
  init(image: MappedImage, depth: Int, usesRing: Bool = true) throws(Errno) {
    guard depth > 0, depth <= 16384 else { throw .EINVAL }
    self.image = image
    self.depth = depth
    map = image.layers[0].map
    isReadOnly = map.layout.isReadOnly
    slots = Array(repeating: Slot(request: BlockRequest(.flush, tag: 0)), count: depth)
    let pieceCount = depth + 32
    pieces = (0..<pieceCount).map { _ in Piece() }
    freePieces = Array((0..<pieceCount).reversed())
    scratch = ScatterTable(capacity: MappedImage.maximumPieceCount)
    zeroTable = ScatterTable(capacity: 1)
    wakeTable = ScatterTable(capacity: 1)
    wakeMemory = try MemoryRegion(anonymous: 8)
    _ = wakeTable.append(wakeMemory.slice.slice(at: 0, count: 8))
    let event = try EventFD()
    let descriptors = image.layers.map(\.file.descriptor) + [event.descriptor]
    var files = descriptors.map { URing.File.descriptor($0) }
    do throws(Errno) {
      guard usesRing else { throw .ENOSYS }
      let ring = try URing(depth: pieceCount + 2)
      // A read of the ring waits only for a descriptor that waits itself.
      try event.duplicate().setBlocking()
      if (try? ring.registerFiles(descriptors)) != nil {
        files = descriptors.indices.map { URing.File.registered(Int32($0)) }
      }
      self.ring = ring
    } catch {
      guard error == .ENOSYS || error == .EPERM || error == .EACCES else { throw error }
      ring = nil
    }
    self.files = files
    wake = MappedImage.Wake(event)
    member = map.epochs.join()
    image.join(wake)
  }

  deinit {
    leave()
  }

  private func leave() {
    image.leave(wake)
    map.epochs.leave(member)
    // The ring waits for its read of the event.
    wake.event.signal()
  }

  var readinessDescriptor: Int32 { ring?.descriptor ?? wake.event.descriptor }

  func submit(_ request: BlockRequest) {
    let index = Int(request.tag)
    precondition(index < depth && !slots[index].isBusy, "the tag is in flight")
    if let error = refusal(of: request) {
      finished.append(BlockCompletion(tag: request.tag, error: error))
      return
    }
    let epoch = busyCount == 0 ? map.epochs.begin(member) : map.epochs.now
    busyCount += 1
    slots[index] = Slot(request: request, isBusy: true, position: request.offset, epoch: epoch)
    advance(request.tag)
  }

  func flushSubmissions() {
    guard hasUnsent, let ring else { return }
    openSynchronization = nil
    // When the kernel has no memory now, the batch stays and the next call tries again.
    if (try? ring.submit()) != nil { hasUnsent = false }
  }

  func prepareToWait() -> Bool { !finished.isEmpty || mayRetry }

  @discardableResult
  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    if let ring {
      while let (userData, result) = ring.takeCompletion() {
        switch userData {
        case Self.wakeUserData:
          isWakeArmed = false
          mayRetry = true
        case Self.commitUserData: commitSynchronized(result)
        default: completePiece(Int(userData), result)
        }
      }
    } else if wake.event.drain() {
      mayRetry = true
    }
    if mayRetry { retryParked() }
    // What `body` submits and is done at once waits for the next call, so that one call ends.
    swap(&finished, &taken)
    let count = taken.count
    for index in 0..<count { body(taken[index]) }
    taken.removeAll(keepingCapacity: true)
    publishEpoch()
    flushSubmissions()
    return count
  }

  func close() {
    precondition(slots.allSatisfy { !$0.isBusy }, "requests are in flight")
    // A commit may outlive the request that began it.
    while isCommitting {
      flushSubmissions()
      _ = reap { _ in }
      if isCommitting { sleepThread(nanoseconds: 100_000) }
    }
    leave()
  }

  static let wakeUserData = UInt64.max
  static let commitUserData = UInt64.max - 1

  private func refusal(of request: BlockRequest) -> BlockError? {
    let layout = map.layout
    switch request.operation {
    case .flush: return nil
    case .write, .discard, .writeZeroes:
      if isReadOnly { return .readOnly }
      if let failure = map.failure { return failure }
    case .read, .extent: break
    }
    guard request.offset <= layout.byteCount, request.byteCount <= layout.byteCount - request.offset else {
      return .outOfRange
    }
    if (request.offset | request.byteCount) & UInt64(layout.sectorByteCount - 1) != 0 { return .misaligned }
    switch request.operation {
    case .read, .write:
      guard let memory = request.memory, UInt64(memory.byteCount) == request.byteCount,
        memory.byteCount <= MappedImage.maximumTransferByteCount, memory.count <= MappedImage.maximumPieceCount
      else { return request.byteCount == 0 && request.memory == nil ? nil : .misaligned }
    case .extent: if request.offset == layout.byteCount { return .outOfRange }
    case .discard, .writeZeroes, .flush: break
    }
    return nil
  }

  func finish(_ tag: UInt32, _ error: BlockError? = nil, extent: BlockCompletion.Extent? = nil) {
    slots[Int(tag)].isBusy = false
    busyCount -= 1
    finished.append(BlockCompletion(tag: tag, error: error, extent: extent))
  }

  /// Tells how old the oldest request is, when that can matter.
  private func publishEpoch() {
    if busyCount == 0 { return map.epochs.publish(nil, member) }
    let now = map.epochs.now
    if now == seenEpoch { return }
    seenEpoch = now
    map.epochs.publish(slots.lazy.filter(\.isBusy).map(\.epoch).min(), member)
  }

  /// A request can't go on now; it was tried after `events`.
  func park(_ tag: UInt32, after events: UInt64) {
    parked.append(tag)
    waitForWake(after: events)
  }

  /// Asks to be woken, or to try again at once when that has happened already.
  func waitForWake(after events: UInt64) {
    if !image.park(wake, after: events) { mayRetry = true }
    guard let ring, !isWakeArmed else { return }
    do throws(Errno) {
      try ring.prepare(
        .read, file: files[files.count - 1], memory: wakeTable.list, offset: 0, userData: Self.wakeUserData)
      isWakeArmed = true
      hasUnsent = true
    } catch {
      mayRetry = true
    }
  }

  private func retryParked() {
    mayRetry = false
    image.unpark(wake)
    swap(&parked, &retrying)
    for tag in retrying { advance(tag) }
    retrying.removeAll(keepingCapacity: true)
    if !flushes.isEmpty, !isCommitting { startCommit() }
  }
}
