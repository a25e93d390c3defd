import LinuxIO
import Synchronization

/// Keeps writes of whole sectors away while a queue reads, changes and writes back a sector that it covers only partly.
///
/// Each queue of the disk publishes how many writes it has in flight; the queue that takes the gate waits until all
/// these counts are zero. A queue that is about to write publishes its count first and looks at the gate after a full
/// fence: one of the two always sees the other.
final class WriteGate: Sendable {
  /// One queue, by the index of its port.
  final class Member: Sendable {
    /// The writes of the queue that are in flight; stored by the queue's thread only.
    let writes = Atomic<UInt32>(0)
    /// Whether the queue wants to be woken when the gate is opened.
    let isWaiting = Atomic<Bool>(false)
    let wake: EventFD

    init(wake: EventFD) {
      self.wake = wake
    }
  }

  private let owner = Atomic<UInt32>(0)
  let members: [Member]

  init(wakes: [EventFD]) {
    members = wakes.map { Member(wake: $0) }
  }

  /// Whether any queue holds the gate; a hint unless a fence precedes it.
  @inline(__always)
  var isTaken: Bool { owner.load(ordering: .acquiring) != 0 }

  /// Takes the gate for the queue of port `index`. If another has it, this queue is woken when it is opened.
  func take(for index: Int) -> Bool {
    if tryTake(for: index) { return true }
    members[index].isWaiting.store(true, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return tryTake(for: index)
  }

  private func tryTake(for index: Int) -> Bool {
    owner.compareExchange(
      expected: 0, desired: UInt32(index + 1), ordering: .sequentiallyConsistent
    ).exchanged
  }

  /// Whether no write of any queue is in flight; to be asked by the owner, who is woken when a count becomes zero.
  var isQuiet: Bool {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return members.allSatisfy { $0.writes.load(ordering: .acquiring) == 0 }
  }

  /// Opens the gate and wakes the queues that wait for it.
  func open() {
    owner.store(0, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    for member in members where member.isWaiting.exchange(false, ordering: .sequentiallyConsistent) {
      member.wake.signal()
    }
  }

  /// Tells the owner, if there is one, that a count became zero. A fence must precede it.
  func wakeOwner() {
    let owner = owner.load(ordering: .sequentiallyConsistent)
    if owner != 0 { members[Int(owner) - 1].wake.signal() }
  }

  /// Registers the queue of port `index` to be woken; answers whether the gate is still taken.
  func waitForOpening(_ index: Int) -> Bool {
    members[index].isWaiting.store(true, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return owner.load(ordering: .sequentiallyConsistent) != 0
  }
}
