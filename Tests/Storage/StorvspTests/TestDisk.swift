import TestVectors
import Block
import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// A sparse disk in memory that keeps a log, fails on demand, and ends requests in a random order or only when told to.
final class TestDisk: BlockDevice {
  struct State {
    var info: BlockDeviceInfo
    /// Pages of 4096 bytes by number.
    var pages: [UInt64: [UInt8]] = [:]
    var log: [Entry] = []
    var failures: [BlockOperation: BlockError] = [:]
    var queueCount = 0
    var closedQueueCount = 0
  }

  struct Entry: Equatable {
    var operation: BlockOperation
    var offset: UInt64
    var byteCount: UInt64
    var flags: UInt8
  }

  let state: Mutex<State>
  /// While true, nothing is completed.
  let isHeld = Atomic<Bool>(false)
  let scrambleSeed: UInt64?
  let maximumQueueCount: Int

  init(_ info: BlockDeviceInfo, scrambleSeed: UInt64? = nil, maximumQueueCount: Int = 16) {
    state = Mutex(State(info: info))
    self.scrambleSeed = scrambleSeed
    self.maximumQueueCount = maximumQueueCount
  }

  convenience init(byteCount: UInt64, sectorByteCount: Int = 512, scrambleSeed: UInt64? = nil) {
    var info = BlockDeviceInfo(byteCount: byteCount, sectorByteCount: sectorByteCount)
    info.supportsDiscard = true
    info.discardReadsZero = true
    info.supportsWriteZeroes = true
    info.identity = DiskIdentity(high: 0xd12d_2b96_19b4_0011, low: 0x2233_3a50_2ca6_4006)
    info.serial = "SG-0001"
    self.init(info, scrambleSeed: scrambleSeed)
  }

  var info: BlockDeviceInfo { state.withLock { $0.info } }
  var log: [Entry] { state.withLock { $0.log } }
  func clearLog() { state.withLock { $0.log = [] } }
  func change(_ body: @Sendable (inout BlockDeviceInfo) -> Void) { state.withLock { body(&$0.info) } }
  func fail(_ operation: BlockOperation, _ error: BlockError?) { state.withLock { $0.failures[operation] = error } }

  func allocateMemory(byteCount: Int) throws(BlockError) -> MemorySlice { throw .noMemory }

  func makeQueue(depth: Int) throws(BlockError) -> any BlockQueue {
    let isFull = state.withLock { state in
      if state.queueCount - state.closedQueueCount >= maximumQueueCount { return true }
      state.queueCount += 1
      return false
    }
    if isFull { throw .busy }
    do throws(Errno) { return try TestQueue(self, depth) } catch { throw .noMemory }
  }

  func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    state.withLock { state in
      (0..<UInt64(count)).map { index in
        let position = offset + index
        return state.pages[position / 4096]?[Int(position % 4096)] ?? 0
      }
    }
  }

  func store(_ bytes: [UInt8], at offset: UInt64) {
    state.withLock { state in
      for (index, byte) in bytes.enumerated() {
        let position = offset + UInt64(index)
        state.pages[position / 4096, default: [UInt8](repeating: 0, count: 4096)][Int(position % 4096)] = byte
      }
    }
  }

  func perform(_ request: BlockRequest) -> BlockCompletion {
    let (info, failure) = state.withLock { state in
      state.log.append(
        Entry(
          operation: request.operation, offset: request.offset, byteCount: request.byteCount,
          flags: request.flags.rawValue))
      return (state.info, state.failures[request.operation])
    }
    if let failure { return BlockCompletion(tag: request.tag, error: failure) }
    guard request.offset <= info.byteCount, request.byteCount <= info.byteCount - request.offset else {
      return BlockCompletion(tag: request.tag, error: .outOfRange)
    }
    switch request.operation {
    case .read, .write:
      guard let memory = request.memory, memory.byteCount == Int(request.byteCount),
        memory.byteCount <= info.maximumTransferByteCount
      else { return BlockCompletion(tag: request.tag, error: .misaligned) }
      if request.operation == .read {
        memory.copyIn(bytes(at: request.offset, count: memory.byteCount).rawSpan)
      } else {
        var data = [UInt8](repeating: 0, count: memory.byteCount)
        data.withMutableBytes { memory.copyOut(into: &$0) }
        store(data, at: request.offset)
      }
    case .discard, .writeZeroes:
      if request.byteCount <= 1 << 20 {
        store([UInt8](repeating: 0, count: Int(request.byteCount)), at: request.offset)
      }
    case .extent:
      let isAllocated = state.withLock { $0.pages[request.offset / 4096] != nil }
      return BlockCompletion(
        tag: request.tag, extent: .init(byteCount: min(request.byteCount, 4096), isAllocated: isAllocated))
    case .flush: break
    }
    return BlockCompletion(tag: request.tag)
  }
}

final class TestQueue: BlockQueue {
  private let disk: TestDisk
  private let event: EventFD
  private var waiting: [BlockRequest] = []
  private var random: SeededGenerator
  let depth: Int
  var readinessDescriptor: Int32 { event.descriptor }

  init(_ disk: TestDisk, _ depth: Int) throws(Errno) {
    self.disk = disk
    self.depth = depth
    event = try EventFD()
    random = SeededGenerator(seed: disk.scrambleSeed ?? 0)
  }

  func submit(_ request: BlockRequest) {
    precondition(Int(request.tag) < depth && !waiting.contains { $0.tag == request.tag })
    waiting.append(request)
  }

  func flushSubmissions() { event.signal() }

  func reap(_ body: (BlockCompletion) -> Void) -> Int {
    if disk.isHeld.load(ordering: .acquiring) { return 0 }
    if waiting.isEmpty {
      event.drain()
      return 0
    }
    let batch = waiting
    // Each call ends about half of what is there, in any order.
    let chosen =
      disk.scrambleSeed == nil ? batch : batch.shuffled(using: &random).prefix(batch.count / 2 + 1).map { $0 }
    waiting.removeAll { request in chosen.contains { $0.tag == request.tag } }
    for request in chosen { body(disk.perform(request)) }
    return chosen.count
  }

  func close() {
    precondition(waiting.isEmpty)
    disk.state.withLock { $0.closedQueueCount += 1 }
  }
}
