public import LinuxIO
public import SharedMemory

/// A disk in private memory, for tests and measurements. Requests are carried out by `reap`, one after the other.
///
/// A block of 4096 zeros is a hole. Faults can be asked for; their sequence depends on nothing but the seed.
public final class MemoryBlockDevice: BlockDevice {
  /// What shall go wrong.
  public struct Faults: Sendable {
    /// Requests of a queue, counted from 0, that fail, and how.
    public var failures: [Int: BlockError] = [:]
    /// Requests of these operations fail, always.
    public var failingOperations: [BlockOperation: BlockError] = [:]
    /// Completions are held back for this long, in nanoseconds.
    public var delayNanoseconds: UInt64 = 0
    /// Requests are carried out in a random order that this seed decides; nil: in the order of submission.
    public var orderSeed: UInt64?

    /// No faults.
    public init() {}
  }

  /// What the queues have been asked for.
  public struct Counts: Sendable, Equatable {
    /// Flushes.
    public var flushes = 0
    /// Writes that had to be durable at once.
    public var forceUnitAccess = 0
  }

  private let region: MemoryRegion
  private let state: Monitor<State>

  private struct State {
    var info: BlockDeviceInfo
    var faults = Faults()
    var memory: [MemoryRegion] = []
    var counts = Counts()
  }

  /// A disk of zeros.
  ///
  /// - Parameter info: what the disk says of itself. Its size is fixed by the memory behind it.
  public init(_ info: BlockDeviceInfo) throws(Errno) {
    region = try MemoryRegion(anonymous: Int(info.byteCount))
    state = Monitor(State(info: info))
  }

  /// A disk of zeros with plain properties, that can discard.
  public convenience init(byteCount: Int) throws(Errno) {
    var info = BlockDeviceInfo(byteCount: UInt64(byteCount))
    info.supportsDiscard = true
    info.discardReadsZero = true
    info.supportsWriteZeroes = true
    try self.init(info)
  }

  /// The bytes of the disk.
  public var contents: MemorySlice { region.slice }

  /// Sets the faults of queues that are made from now on.
  public func setFaults(_ faults: Faults) {
    state.withLock { $0.faults = faults }
  }

  /// What the queues have been asked for so far.
  public var counts: Counts { state.withLock { $0.counts } }

  /// Notes what makes data durable; these are rare enough for a lock.
  func count(_ request: BlockRequest) {
    if request.operation == .flush { state.withLock { $0.counts.flushes += 1 } }
    if request.flags.contains(.forceUnitAccess) { state.withLock { $0.counts.forceUnitAccess += 1 } }
  }

  /// Changes what the disk says of itself. It may shrink, or grow back to at most the size it was made with.
  public func setInfo(_ change: (inout BlockDeviceInfo) -> Void) {
    state.withLock {
      change(&$0.info)
      precondition($0.info.byteCount <= UInt64(region.byteCount))
    }
  }

  /// What the disk says of itself.
  public var info: BlockDeviceInfo { state.withLock { $0.info } }

  /// As many queues as one likes.
  public var maximumQueueCount: Int { 64 }

  /// Private memory.
  public func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice {
    let region: MemoryRegion
    do throws(Errno) { region = try MemoryRegion(anonymous: byteCount) } catch { throw BlockError(error) }
    state.withLock { $0.memory.append(region) }
    return region.slice
  }

  /// A new queue.
  public func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    let (info, faults) = state.withLock { ($0.info, $0.faults) }
    do throws(Errno) {
      return try MemoryBlockQueue(device: self, info: info, faults: faults, depth: depth)
    } catch {
      throw BlockError(error)
    }
  }
}

/// A queue of a disk in memory.
final class MemoryBlockQueue: BlockQueue {
  private let device: MemoryBlockDevice
  private let contents: MemorySlice
  private let info: BlockDeviceInfo
  private let faults: MemoryBlockDevice.Faults
  private let hasFaults: Bool
  private let wake: EventFD
  private var isSignalled = false
  private var waiting: [Waiting] = []
  private var running: [Waiting] = []
  private var submittedCount = 0
  private var random: UInt64

  private struct Waiting {
    var request: BlockRequest
    var number: Int
    var readyAt: UInt64
  }

  let depth: Int
  var readinessDescriptor: Int32 { wake.descriptor }

  init(
    device: MemoryBlockDevice, info: BlockDeviceInfo, faults: MemoryBlockDevice.Faults, depth: Int
  ) throws(Errno) {
    self.device = device
    contents = device.contents
    self.info = info
    self.faults = faults
    self.depth = depth
    random = faults.orderSeed ?? 0
    hasFaults =
      !faults.failures.isEmpty || !faults.failingOperations.isEmpty || faults.delayNanoseconds > 0
      || faults.orderSeed != nil
    wake = try EventFD()
    waiting.reserveCapacity(depth)
    running.reserveCapacity(depth)
  }

  func submit(_ request: BlockRequest) {
    precondition(Int(request.tag) < depth && waiting.count < depth)
    let readyAt = faults.delayNanoseconds == 0 ? 0 : monotonicNanoseconds() + faults.delayNanoseconds
    waiting.append(Waiting(request: request, number: submittedCount, readyAt: readyAt))
    submittedCount += 1
  }

  /// The descriptor stays readable from the first batch until a `reap` that found nothing, so that a busy queue makes no
  /// system calls.
  func flushSubmissions() {
    if !isSignalled, !waiting.isEmpty {
      isSignalled = true
      wake.signal()
    }
  }

  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    if waiting.isEmpty {
      if isSignalled {
        isSignalled = false
        wake.drain()
      }
      return 0
    }
    if hasFaults { return reapWithFaults(body) }
    // Requests that `body` submits wait for the next call, so that one call ends.
    swap(&waiting, &running)
    let count = running.count
    for index in 0..<count { body(perform(running[index].request)) }
    running.removeAll(keepingCapacity: true)
    return count
  }

  private func reapWithFaults(_ body: (BlockCompletion) -> Void) -> Int {
    let now = faults.delayNanoseconds == 0 ? 0 : monotonicNanoseconds()
    var ready = waiting.filter { $0.readyAt <= now }
    waiting.removeAll { $0.readyAt <= now }
    let count = ready.count
    while !ready.isEmpty {
      var index = 0
      if faults.orderSeed != nil {
        // Knuth's MMIX generator.
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        index = Int(random >> 33) % ready.count
      }
      let next = ready.remove(at: index)
      if let error = faults.failures[next.number] ?? faults.failingOperations[next.request.operation] {
        body(BlockCompletion(tag: next.request.tag, error: error))
      } else {
        body(perform(next.request))
      }
    }
    return count
  }

  func close() {
    precondition(waiting.isEmpty)
  }

  private func perform(_ request: BlockRequest) -> BlockCompletion {
    if request.operation == .flush || !request.flags.isEmpty { device.count(request) }
    let alignment = UInt64(info.requestAlignment)
    if request.operation == .flush { return BlockCompletion(tag: request.tag) }
    guard request.offset <= info.byteCount, request.byteCount <= info.byteCount - request.offset else {
      return BlockCompletion(tag: request.tag, error: .outOfRange)
    }
    if request.operation != .extent, alignment > 1,
      request.offset % alignment != 0 || request.byteCount % alignment != 0
    {
      return BlockCompletion(tag: request.tag, error: .misaligned)
    }
    if info.isReadOnly, request.operation != .read, request.operation != .extent {
      return BlockCompletion(tag: request.tag, error: .readOnly)
    }
    switch request.operation {
    case .read, .write: return transfer(request)
    case .discard where !info.supportsDiscard, .writeZeroes where !info.supportsWriteZeroes:
      return BlockCompletion(tag: request.tag, error: .notSupported)
    case .discard, .writeZeroes:
      contents.slice(at: Int(request.offset), count: Int(request.byteCount)).fill(0)
      return BlockCompletion(tag: request.tag)
    case .extent: return BlockCompletion(tag: request.tag, extent: extent(at: request.offset))
    case .flush: return BlockCompletion(tag: request.tag)
    }
  }

  private func transfer(_ request: BlockRequest) -> BlockCompletion {
    guard let memory = request.memory, memory.byteCount == Int(request.byteCount),
      memory.byteCount <= info.maximumTransferByteCount
    else { return BlockCompletion(tag: request.tag, error: .misaligned) }
    var position = Int(request.offset)
    for index in 0..<memory.count {
      let piece = memory[index]
      if request.operation == .read {
        piece.copyIn(contents.slice(at: position, count: piece.byteCount))
      } else {
        contents.copyIn(piece, at: position)
      }
      position += piece.byteCount
    }
    return BlockCompletion(tag: request.tag)
  }

  private func extent(at offset: UInt64) -> BlockCompletion.Extent {
    let blockByteCount: UInt64 = 4096
    var end = offset
    var state: Bool?
    while end < info.byteCount {
      let start = end / blockByteCount * blockByteCount
      let next = min(start + blockByteCount, info.byteCount)
      let isAllocated = stride(from: Int(start), to: Int(next), by: 8).contains { contents.loadLE64(at: $0) != 0 }
      if state == nil { state = isAllocated }
      if state != isAllocated { break }
      end = next
    }
    return BlockCompletion.Extent(byteCount: max(1, end - offset), isAllocated: state ?? false)
  }
}
