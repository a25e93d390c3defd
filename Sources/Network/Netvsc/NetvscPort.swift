import LinuxIO
import NetvscProtocol
import SharedMemory
import Synchronization
import VMBusChannel

/// A queue on its way from one thread to another.
struct QueueHandover: @unchecked Sendable {
  // Sendable, because the queue is used only by the one thread whose claim is recorded in the state of its port: a claim
  // and its end pass through the lock of that state.
  let queue: NetvscQueue
}

/// The place of a queue in the adapter, and who has it: an owner, the control thread for a while, or nobody.
final class NetvscPort: Sendable {
  private enum Holder: Sendable { case nobody, owner, control }

  private struct State {
    var queue: QueueHandover?
    var holder = Holder.nobody
  }

  /// 0 for the primary channel, else the index of the sub-channel.
  let index: Int
  /// Wakes the owner of the queue.
  let wake: EventFD
  /// The receive buffer of the adapter.
  let receiveBuffer: MemorySlice
  let counters: NetvscQueueCounters
  /// Told on whatever thread finds that the channel is of no use any more.
  private let ended: @Sendable (ChannelError) -> Void
  private let state = Monitor(State())
  private let stopped = Atomic<Bool>(false)
  private let negotiated = Atomic<UInt32>(0)

  init(
    index: Int, wake: EventFD, receiveBuffer: MemorySlice, counters: NetvscQueueCounters,
    ended: @escaping @Sendable (ChannelError) -> Void
  ) {
    self.index = index
    self.wake = wake
    self.receiveBuffer = receiveBuffer
    self.counters = counters
    self.ended = ended
  }

  /// The negotiated version.
  var version: NVSPVersion {
    get { NVSPVersion(rawValue: negotiated.load(ordering: .relaxed)) }
    set { negotiated.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Whether the owner is to let go of the queue.
  var isStopped: Bool { stopped.load(ordering: .acquiring) }

  func stop() {
    stopped.store(true, ordering: .releasing)
    wake.signal()
  }

  func channelEnded(_ error: ChannelError) { ended(error) }

  func put(_ queue: QueueHandover) { state.withLock { $0.queue = queue } }

  /// Takes the queue for an owner; nil if there is one already. Waits while the control thread has it.
  func claim(milliseconds: Int) -> QueueHandover? {
    state.wait(milliseconds: milliseconds) { state -> QueueHandover?? in
      switch state.holder {
      case .control: return nil
      case .owner: return .some(nil)
      case .nobody:
        if state.queue != nil { state.holder = .owner }
        return .some(state.queue)
      }
    } ?? nil
  }

  /// The owner has let go.
  func unclaim() {
    state.withLock { $0.holder = .nobody }
  }

  /// Whether an owner has the queue.
  var isClaimed: Bool { state.withLock { $0.holder == .owner } }

  /// Waits until no owner has the queue; false if one still has it.
  func awaitRelease(milliseconds: Int) -> Bool {
    state.wait(milliseconds: milliseconds) { $0.holder == .owner ? nil : true } ?? false
  }

  /// Takes the queue for the control thread; nil if an owner has it, or there is none.
  func borrow() -> QueueHandover? {
    state.withLock { state in
      guard state.holder == .nobody, let queue = state.queue else { return nil }
      state.holder = .control
      return queue
    }
  }

  func giveBack() {
    state.withLock { $0.holder = .nobody }
  }

  /// Forgets the queue: its channel is closed.
  func clear() {
    state.withLock { state in
      state.queue = nil
    }
  }
}
