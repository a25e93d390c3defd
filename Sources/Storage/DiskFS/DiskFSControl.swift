import Block
import LinuxIO
import Synchronization

/// What the control object and its workers share. The workers look at `generation` and `isStopping` once per round.
final class DiskFSControl: Sendable {
  let device: any BlockDevice
  let options: DiskFSOptions
  let tree: Monitor<TreeState>
  let generation = Atomic<Int>(0)
  let isStopping = Atomic(false)
  /// Whether a worker has found the filesystem unmounted.
  let hasEnded = Atomic(false)
  /// Workers that take no requests because all their slots are in use.
  let fullWorkerCount = Atomic(0)
  let workers: Monitor<[WorkerState]>
  let counters: [PublishedCounters]
  let kicks: [EventFD]

  struct TreeState {
    var tree: DiskTree
    var nodes: [String: UInt64]
  }

  /// Where a worker is in its life.
  struct WorkerState {
    enum Phase: Equatable { case starting, serving, failed, ended }
    var phase = Phase.starting
    var failure: DiskFSError?
    /// The tree that the worker shows.
    var generation = -1
    var warnings: [DiskFSWarning] = []
  }

  init(device: any BlockDevice, options: DiskFSOptions, tree: DiskTree, workerCount: Int) throws(Errno) {
    self.device = device
    self.options = options
    self.tree = Monitor(TreeState(tree: tree, nodes: [:]))
    workers = Monitor(Array(repeating: WorkerState(), count: workerCount))
    counters = (0..<workerCount).map { _ in PublishedCounters() }
    var kicks: [EventFD] = []
    for _ in 0..<workerCount { kicks.append(try EventFD()) }
    self.kicks = kicks
  }

  /// Calls the worker behind `index` to take requests, too.
  func callWorker(after index: Int) {
    kicks[(index + 1) % kicks.count].signal()
  }

  func kickAll() {
    for kick in kicks { kick.signal() }
  }

  /// The tree and its number; read in this order, an old number with a newer tree only means one reload too many.
  func currentTree() -> (DiskTree, Int) {
    let number = generation.load(ordering: .acquiring)
    return (tree.withLock { $0.tree }, number)
  }
}
