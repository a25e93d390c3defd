import Block
import FUSEBridge
import LinuxIO
import SharedMemory
import Synchronization

/// The data plane of a disk's files: one thread that owns one FUSE descriptor and one queue of the device.
///
/// Each round takes requests until there are none or no slot is free, sends them to the device in one batch, and answers
/// what the device has finished. All state is the worker's own; nothing is locked, allocated or counted by reference for
/// a request.
///
/// The first worker always takes requests. The others are called by one that finds more than it can do at once, and go back
/// to sleep when there is nothing for them: a lone request then wakes one thread, also while that one spins.
struct DiskFSWorker: ~Copyable {
  let control: DiskFSControl
  let index: Int
  let channel: FUSEChannel
  let queue: any BlockQueue
  let kick: EventFD
  /// Waits for requests, completions and kicks.
  let everything: Epoll
  /// The same without requests: for a worker with no free slot, and at the end.
  let completions: Epoll

  var tree: DiskTree
  var generation: Int
  var ranges: [NodeRange]
  var info: BlockDeviceInfo
  var alignment: UInt64
  var pieceByteCount: Int

  var slots: [Slot]
  var free: [Int]
  var tables: ScatterTables
  var submittedSinceFlush = 0
  var isConnected = true
  /// Whether this worker takes requests now.
  var isListening: Bool
  /// Rounds in which the next worker is not called again: it was called just now.
  var roundsUntilCall = 0
  var counters = DiskFSCounters()
  var governor: SpinGovernor

  /// Requests that are taken before the finished ones are answered; one of 1 MiB counts as 17, since it costs as much.
  static let batchLimit = 32

  var inFlight: Int { slots.count - free.count }

  init(_ control: DiskFSControl, index: Int, mount: FUSEMount) throws(DiskFSError) {
    let parts = try Parts(control, index: index, mount: mount)
    self.control = control
    self.index = index
    kick = control.kicks[index]
    channel = parts.channel
    queue = parts.queue
    everything = parts.everything
    completions = parts.completions
    tree = parts.tree
    generation = parts.generation
    ranges = tree.ranges
    info = tree.device
    alignment = UInt64(max(1, info.requestAlignment))
    pieceByteCount = max(info.requestAlignment, info.maximumTransferByteCount)
    slots = parts.slots
    free = Array((0..<slots.count).reversed())
    tables = ScatterTables(count: slots.count)
    governor = SpinGovernor(limitNanoseconds: control.options.spinNanoseconds)
    isListening = index == 0
  }

  /// What can fail to be made.
  private struct Parts {
    let channel: FUSEChannel
    let queue: any BlockQueue
    let everything: Epoll
    let completions: Epoll
    let tree: DiskTree
    let generation: Int
    var slots: [Slot] = []

    init(_ control: DiskFSControl, index: Int, mount: FUSEMount) throws(DiskFSError) {
      (tree, generation) = control.currentTree()
      let device = control.device
      let requestAlignment = tree.device.requestAlignment
      // A page in front ends with the header of the request, so that a payload begins on a page; behind it is room for
      // the sector that an unaligned read of full length needs more.
      let areaByteCount = pageByteCount + mount.transferByteCount + max(pageByteCount, requestAlignment)
      do throws(BlockError) {
        while slots.count < max(1, control.options.queueDepth) {
          do throws(BlockError) {
            slots.append(Slot(area: try device.allocateMemory(byteCount: areaByteCount)))
          } catch .noMemory where slots.count >= 4 {
            break
          }
        }
        queue = try device.makeQueue(depth: slots.count)
      } catch {
        throw .device(error)
      }
      do throws(FUSEError) {
        channel = try mount.makeChannel(slotCount: slots.count)
      } catch {
        queue.close()
        throw .mount(error)
      }
      do throws(Errno) {
        everything = try Epoll()
        completions = try Epoll()
        try everything.add(channel.descriptor, token: 0, exclusive: true)
        for set in [everything, completions] {
          try set.add(queue.readinessDescriptor, token: 1)
          try set.add(control.kicks[index].descriptor, token: 2)
        }
      } catch {
        queue.close()
        throw .system(error)
      }
    }
  }

  /// Serves until the filesystem is unmounted or the worker is told to stop; then waits for the device to finish.
  mutating func run() {
    var rounds = 0
    while true {
      rounds &+= 1
      if rounds % 256 == 0 { control.counters[index].publish(counters) }
      if control.isStopping.load(ordering: .relaxed) || control.hasEnded.load(ordering: .relaxed) {
        isConnected = false
      }
      if control.generation.load(ordering: .relaxed) != generation { reloadTree() }
      var progress = takeRequests()
      flush()
      progress += reapCompletions()
      flush()
      if progress > 0 { continue }
      if !isConnected && inFlight == 0 { break }
      if isConnected && spin() { continue }
      counters.wakeUps &+= 1
      control.counters[index].publish(counters)
      sleep()
    }
    control.counters[index].publish(counters)
    queue.close()
  }

  private mutating func takeRequests() -> Int {
    var taken = 0
    if roundsUntilCall > 0 { roundsUntilCall -= 1 }
    while isListening, isConnected, taken < Self.batchLimit, let slot = free.last {
      switch channel.receive(into: slots[slot].requestArea) {
      case .request(let operation, let reply):
        taken += 1 + operation.payloadByteCount >> 16
        counters.requests &+= 1
        dispatch(operation, reply, slot)
      case .handled: taken += 1
      case .empty: return taken
      case .ended: endConnection()
      }
    }
    if taken >= Self.batchLimit, roundsUntilCall == 0 {
      roundsUntilCall = 64
      control.callWorker(after: index)
    }
    return taken
  }

  private mutating func endConnection() {
    isConnected = false
    control.hasEnded.store(true, ordering: .releasing)
    control.kickAll()
  }

  private mutating func flush() {
    guard submittedSinceFlush > 0 else { return }
    submittedSinceFlush = 0
    queue.flushSubmissions()
  }

  private mutating func reapCompletions() -> Int {
    let queue = queue
    return queue.reap { finish($0) }
  }

  /// Looks again for a while; true when there was something.
  private mutating func spin() -> Bool {
    guard governor.wantsSpin() else { return false }
    counters.spins &+= 1
    let end = monotonicNanoseconds() + governor.limitNanoseconds
    repeat {
      let progress = takeRequests() + reapCompletions()
      flush()
      if progress > 0 {
        counters.spinsThatPaid &+= 1
        governor.record(paid: true)
        return true
      }
    } while isConnected && monotonicNanoseconds() < end
    governor.record(paid: false)
    return false
  }

  private mutating func sleep() {
    roundsUntilCall = 0
    let isFull = free.isEmpty
    if isFull {
      // There may be more than this worker has slots for, and nobody else may be looking.
      control.fullWorkerCount.add(1, ordering: .sequentiallyConsistent)
      control.callWorker(after: index)
    } else if index > 0, inFlight == 0, control.fullWorkerCount.load(ordering: .sequentiallyConsistent) == 0 {
      isListening = false
    }
    if !queue.prepareToWait() {
      let set = isConnected && isListening && !isFull ? everything : completions
      let count = set.wait(milliseconds: -1)
      for event in 0..<count {
        switch set.token(at: event) {
        case 0: if set.hasFailed(at: event) { endConnection() }
        case 2:
          kick.drain()
          isListening = true
        default: break
        }
      }
    }
    if isFull { control.fullWorkerCount.subtract(1, ordering: .sequentiallyConsistent) }
  }

  private mutating func reloadTree() {
    (tree, generation) = control.currentTree()
    ranges = tree.ranges
    info = tree.device
    alignment = UInt64(max(1, info.requestAlignment))
    let (index, generation) = (index, generation)
    control.workers.withLock { $0[index].generation = generation }
  }
}
