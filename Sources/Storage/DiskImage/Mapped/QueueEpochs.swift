import SharedMemory
import Synchronization

/// Tells when no request can still be reading or writing a place in the file that was given up.
///
/// Each queue publishes the epoch of its oldest request before it looks anything up. Who gives a place up makes the map
/// name another one first, then ends the epoch: requests of later epochs can't have found the place any more.
final class QueueEpochs: Sendable {
  private let current = Atomic<UInt64>(1)
  private let members = Mutex<[Member]>([])

  /// What one queue publishes.
  final class Member: Sendable {
    fileprivate let oldest = Atomic<UInt64>(UInt64.max)
  }

  /// A new queue takes part.
  func join() -> Member {
    let member = Member()
    members.withLock { $0.append(member) }
    return member
  }

  /// A queue that has no request in flight leaves.
  func leave(_ member: Member) {
    members.withLock { $0.removeAll { $0 === member } }
  }

  /// The epoch now.
  var now: UInt64 { current.load(ordering: .acquiring) }

  /// The first request of an idle queue begins; call it before anything is looked up.
  func begin(_ member: Member) -> UInt64 {
    let epoch = now
    member.oldest.store(epoch, ordering: .sequentiallyConsistent)
    fullMemoryFence()
    return epoch
  }

  /// The oldest request of a queue is of `epoch` now; nil: it has none.
  func publish(_ epoch: UInt64?, _ member: Member) {
    member.oldest.store(epoch ?? UInt64.max, ordering: .releasing)
  }

  /// Ends the epoch after places were given up, and answers it: they may be used again when `isOver` says so.
  func end() -> UInt64 {
    fullMemoryFence()
    return current.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
  }

  /// Whether every request of `epoch` or an earlier one has ended.
  func isOver(_ epoch: UInt64) -> Bool {
    fullMemoryFence()
    return members.withLock { $0.allSatisfy { $0.oldest.load(ordering: .acquiring) > epoch } }
  }
}
