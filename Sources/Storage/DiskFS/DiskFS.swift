public import Block
import FUSEBridge
import LinuxIO
import Synchronization

/// A disk and its partitions as files of a FUSE filesystem: `whole`, one file per partition, and `info.json`.
///
/// The files behave like block devices: fixed length, writes behind the end are cut off or fail with ENOSPC, truncation
/// has no effect, punching a hole discards, SEEK_HOLE asks the disk. Unaligned I/O works for reads always, for writes
/// where the device takes them. All opens are for direct I/O: there is no second page cache. A shared mmap works from
/// Linux 6.6 on (FUSE_DIRECT_IO_ALLOW_MMAP), and fails with ENODEV before.
///
/// Life cycle: init, `start`, any number of `setPartitions`, `setInfo` and `deviceChanged`, `stop`. Everything here is
/// control plane: it may wait, and must not be called by a thread that the files themselves wait for.
public final class DiskFS: Sendable {
  private let control: DiskFSControl
  private let running = Monitor(Running())
  /// Where the files are.
  public let mountPoint: String

  private struct Running {
    var mount: FUSEMount?
    var threads: [WorkerThread] = []
    var hasStarted = false
  }

  /// A filesystem that is not mounted yet.
  ///
  /// - Parameters:
  ///   - device: the disk; it must not be closed before `stop` has returned.
  ///   - partitions: ranges of the disk that become files of their own.
  ///   - infoJSON: the content of `info.json`.
  ///   - mountPoint: an existing directory.
  public init(
    device: any BlockDevice, partitions: [DiskPartition] = [], infoJSON: [UInt8] = [], mountPoint: String,
    options: DiskFSOptions = DiskFSOptions()
  ) throws(DiskFSError) {
    self.mountPoint = mountPoint
    let info = device.info
    let tree = DiskTree(device: info, isReadOnly: options.isReadOnly, files: [], infoBytes: infoJSON)
    let workerCount = max(1, min(options.workerCount, device.maximumQueueCount))
    do throws(Errno) {
      control = try DiskFSControl(device: device, options: options, tree: tree, workerCount: workerCount)
    } catch {
      throw .system(error)
    }
    _ = try replaceTree(partitions: partitions, infoJSON: nil)
  }

  deinit {
    stop()
  }

  /// Mounts, and serves from the moment it returns.
  public func start() throws(DiskFSError) {
    let isFirst = running.withLock { state in
      defer { state.hasStarted = true }
      return !state.hasStarted
    }
    guard isFirst else { throw .alreadyStarted }
    let options = control.options
    let largest = control.device.info.maximumTransferByteCount / 4096 * 4096
    let mount: FUSEMount
    do throws(FUSEError) {
      mount = try FUSEMount(
        at: mountPoint, source: options.source,
        transferByteCount: max(4096, min(options.transferByteCount / 4096 * 4096, largest, 1 << 20)))
    } catch {
      throw .mount(error)
    }
    running.withLock { $0.mount = mount }
    do throws(Errno) {
      for index in control.kicks.indices {
        let control = control
        let thread = try WorkerThread(name: "diskfs-\(index)") { Self.work(control, index, mount) }
        running.withLock { $0.threads.append(thread) }
      }
    } catch {
      stop()
      throw .system(error)
    }
    let failure: DiskFSError?? = control.workers.wait(milliseconds: 60_000) { workers in
      if let failed = workers.first(where: { $0.phase == .failed }) { return .some(failed.failure) }
      return workers.allSatisfy { $0.phase != .starting } ? .some(nil) : nil
    }
    if let failure = failure ?? .some(.system(.ETIMEDOUT)) {
      stop()
      throw failure
    }
  }

  /// Takes the mount away, lets requests in flight finish, and ends the threads; nothing is left open. Files that somebody
  /// still has open answer ENOTCONN or ECONNABORTED from then on. Later calls do nothing.
  public func stop() {
    let (mount, threads) = running.withLock { state in
      defer {
        state.hasStarted = true
        state.mount = nil
        state.threads = []
      }
      return (state.mount, state.threads)
    }
    guard let mount else { return }
    mount.unmount()
    control.isStopping.store(true, ordering: .releasing)
    control.kickAll()
    for thread in threads { thread.join() }
  }

  /// Whether the files can be used: false before `start` and after the end of the mount, also when somebody else has
  /// unmounted it.
  public var isServing: Bool {
    running.withLock { $0.mount != nil } && control.workers.withLock { $0.contains { $0.phase == .serving } }
  }

  /// Waits until the mount has ended for whatever reason, at most `milliseconds`; false when the time ran out.
  public func waitForEnd(milliseconds: Int) -> Bool {
    control.workers.wait(milliseconds: milliseconds) { workers in
      workers.allSatisfy { $0.phase == .ended || $0.phase == .failed } ? true : nil
    } ?? false
  }

  /// Protections that the system did not grant to the workers.
  public var warnings: [DiskFSWarning] {
    control.workers.withLock { $0.flatMap(\.warnings) }
  }

  /// The sum over all workers.
  public var counters: DiskFSCounters {
    var sum = DiskFSCounters()
    for worker in workerCounters { sum.add(worker) }
    return sum
  }

  /// Each worker's counters.
  public var workerCounters: [DiskFSCounters] { control.counters.map(\.snapshot) }

  /// Replaces the partitions. A name keeps its inode number for ever; a file that is open when its partition goes answers
  /// ENODEV.
  ///
  /// - Throws: `.partition` with the name of the first one that is wrong; nothing has changed then.
  public func setPartitions(_ partitions: [DiskPartition]) throws(DiskFSError) {
    show(try replaceTree(partitions: partitions, infoJSON: nil))
  }

  /// Replaces the content of `info.json`.
  public func setInfo(_ infoJSON: [UInt8]) {
    if let change = try? replaceTree(partitions: nil, infoJSON: infoJSON) { show(change) }
  }

  /// Looks again at the device's info: size, write permission. Partitions that no longer lie on the disk are shown with
  /// the length that is left.
  public func deviceChanged() {
    if let change = try? replaceTree(partitions: nil, infoJSON: nil) { show(change) }
  }

  private struct Change {
    var old: DiskTree
    var new: DiskTree
    var generation: Int
  }

  private func replaceTree(partitions: [DiskPartition]?, infoJSON: [UInt8]?) throws(DiskFSError) -> Change {
    let info = control.device.info
    return try control.tree.withLock { state throws(DiskFSError) in
      let old = state.tree
      var files = [DiskTree.DiskFile(name: "whole", node: DiskTree.wholeNode, offset: 0, byteCount: info.byteCount)]
      if let partitions {
        var nodes = state.nodes
        for partition in partitions {
          let name = partition.name
          guard !name.isEmpty, name != ".", name != "..", name != "info.json", !name.contains("/"),
            name.utf8.count <= 255, !files.contains(where: { $0.name == name }),
            partition.offset <= info.byteCount, partition.byteCount <= info.byteCount - partition.offset
          else { throw .partition(name) }
          let node = nodes[name] ?? DiskTree.firstPartitionNode + UInt64(nodes.count)
          nodes[name] = node
          files.append(
            DiskTree.DiskFile(name: name, node: node, offset: partition.offset, byteCount: partition.byteCount))
        }
        state.nodes = nodes
      } else {
        for var file in old.files where file.node != DiskTree.wholeNode {
          file.byteCount = min(file.byteCount, info.byteCount - min(info.byteCount, file.offset))
          files.append(file)
        }
      }
      state.tree = DiskTree(
        device: info, isReadOnly: control.options.isReadOnly, files: files, infoBytes: infoJSON ?? old.infoBytes)
      let generation = control.generation.add(1, ordering: .releasing).newValue
      return Change(old: old, new: state.tree, generation: generation)
    }
  }

  /// Waits until every worker shows the new tree, then tells the kernel what it may no longer believe.
  private func show(_ change: Change) {
    guard let mount = running.withLock({ $0.mount }) else { return }
    control.kickAll()
    _ = control.workers.wait(milliseconds: 10_000) { workers -> Bool? in
      workers.allSatisfy { $0.phase != .serving || $0.generation >= change.generation } ? true : nil
    }
    for file in change.old.files where !change.new.files.contains(where: { $0.name == file.name }) {
      mount.forgetName(file.name)
    }
    for file in change.old.files where !change.new.files.contains(file) || change.old.device != change.new.device {
      mount.forgetContents(of: file.node)
    }
    if change.old.infoBytes != change.new.infoBytes { mount.forgetContents(of: DiskTree.infoNode) }
  }

  /// The life of one worker thread.
  private static func work(_ control: DiskFSControl, _ index: Int, _ mount: FUSEMount) {
    var warnings: [DiskFSWarning] = []
    do throws(Errno) { try declareIOFlusher() } catch {
      warnings.append(DiskFSWarning(what: "PR_SET_IO_FLUSHER", errno: error))
    }
    let granted = warnings
    do throws(DiskFSError) {
      var worker = try DiskFSWorker(control, index: index, mount: mount)
      let generation = worker.generation
      control.workers.withLock {
        $0[index].warnings = granted
        $0[index].generation = generation
        $0[index].phase = .serving
      }
      worker.run()
    } catch {
      control.workers.withLock {
        $0[index].failure = error
        $0[index].phase = .failed
      }
      return
    }
    control.workers.withLock { $0[index].phase = .ended }
  }
}
