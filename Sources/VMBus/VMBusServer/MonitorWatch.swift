import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel
import VMBusProtocol

/// Wakes the channels whose bits are set in the child-to-parent monitor page of a guest.
///
/// Either it looks by itself at the monitor latency, with a thread that lives only while a channel is watched; or somebody
/// who sees the guest's writes tells it to look.
final class MonitorWatch: Sendable {
  private let memory: GuestMemory
  private let page: MemorySlice
  /// The guest physical address of the page.
  let guestAddress: UInt64
  private let latencyNanoseconds: Int
  private let kicks = Mutex<[UInt8: EventFD]>([:])
  private let mustStop = Atomic<Bool>(false)
  private let told = Atomic<Bool>(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// Watches the page at `guestAddress`; nil when it is not the guest's memory.
  init?(memory: GuestMemory, guestAddress: UInt64, latencyMicroseconds: Int) {
    guard let page = memory.slice(at: guestAddress, byteCount: pageByteCount) else { return nil }
    self.memory = memory
    self.page = page
    self.guestAddress = guestAddress
    latencyNanoseconds = latencyMicroseconds * 1000
  }

  /// Whether somebody calls `look` whenever the guest has written, so that no thread is needed. To be set before `add`.
  var isTold: Bool {
    get { told.load(ordering: .relaxed) }
    set { told.store(newValue, ordering: .relaxed) }
  }

  /// Signals `kick` when the bit of `id` is set. From one control thread only, like `remove`.
  func add(_ id: UInt8, kick: EventFD) throws(Errno) {
    let isFirst = kicks.withLock { kicks in
      kicks[id] = kick
      return kicks.count == 1
    }
    guard isFirst, !isTold else { return }
    mustStop.store(false, ordering: .relaxed)
    let started = try WorkerThread(name: "vmbus-monitor") { [self] in
      while !mustStop.load(ordering: .relaxed) {
        sleepThread(nanoseconds: latencyNanoseconds)
        look()
      }
    }
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

  /// Takes the bits that are set, and wakes their channels. From any thread.
  func look() {
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

  /// Does what the guest has tried to write into the page, which it could not: bits of the pending words are added, for
  /// several processors may write one word at a time; the rest of the page is stored as it is.
  ///
  /// - Parameter byteCount: 1, 2, 4 or 8; the value is little-endian. What crosses the end of the page is left out.
  func write(_ value: UInt64, byteCount: Int, at offset: Int) {
    for index in 0..<min(byteCount, 8) where offset >= 0 && offset + index < pageByteCount {
      let byte = UInt32(truncatingIfNeeded: value >> UInt64(index * 8)) & 0xff
      let place = offset + index
      let word = page.word32(at: place & ~3)
      let shift = UInt32(place % 4) * 8
      if MonitorPage.isPending(byteOffset: place) {
        if byte != 0 { word.setBits(byte << shift) }
      } else {
        word.clearBits(0xff << shift)
        word.setBits(byte << shift)
      }
    }
    look()
  }
}
