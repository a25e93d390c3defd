import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// Looks into the child-to-parent monitor page of a guest at the monitor latency, and wakes the channels whose bits are set.
/// It has a thread only while it watches a channel.
final class MonitorPoller: Sendable {
  private let memory: GuestMemory
  private let page: MemorySlice
  private let latencyNanoseconds: Int
  private let kicks = Mutex<[UInt8: EventFD]>([:])
  private let mustStop = Atomic<Bool>(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// Watches the page at `guestAddress`; nil when it is not the guest's memory.
  init?(memory: GuestMemory, guestAddress: UInt64, latencyNanoseconds: Int) {
    guard let page = memory.slice(at: guestAddress, byteCount: pageByteCount) else { return nil }
    self.memory = memory
    self.page = page
    self.latencyNanoseconds = latencyNanoseconds
  }

  /// Signals `kick` when the bit of `id` is set. From one control thread only, like `remove`.
  func add(_ id: UInt8, kick: EventFD) throws(Errno) {
    let isFirst = kicks.withLock { kicks in
      kicks[id] = kick
      return kicks.count == 1
    }
    guard isFirst else { return }
    mustStop.store(false, ordering: .relaxed)
    let started = try WorkerThread(name: "vmbus-monitor") { [self] in poll() }
    thread.withLock { $0 = started }
  }

  /// Forgets `id`; with the last one the thread ends.
  func remove(_ id: UInt8) {
    let isLast = kicks.withLock { kicks in
      guard kicks.removeValue(forKey: id) != nil else { return false }
      return kicks.isEmpty
    }
    guard isLast else { return }
    mustStop.store(true, ordering: .relaxed)
    let ending = thread.withLock { thread in
      let ending = thread
      thread = nil
      return ending
    }
    ending?.join()
  }

  private func poll() {
    while !mustStop.load(ordering: .relaxed) {
      sleepThread(nanoseconds: latencyNanoseconds)
      for group in 0..<(MonitorPage.idCount / MonitorPage.idsPerGroup) {
        let first = UInt8(group * MonitorPage.idsPerGroup)
        let word = page.word32(at: MonitorPage.pendingOffset(of: first))
        if word.loadRelaxed() == 0 { continue }
        let bits = word.exchange(0)
        kicks.withLock { kicks in
          for (id, kick) in kicks where MonitorPage.group(of: id) == group && bits & MonitorPage.bit(of: id) != 0 {
            kick.signal()
          }
        }
      }
    }
  }
}
