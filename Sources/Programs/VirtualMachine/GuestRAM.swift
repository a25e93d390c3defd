import KVM
import LinuxIO
import SharedMemory
import Synchronization
import VMBusChannel

/// The memory of a guest: one file, shown to the guest in one slot, or in three around a page whose writes are trapped.
final class GuestRAM: Sendable {
  /// The memory as the bus takes it; guest address 0 is its first byte.
  let shared: SharedGuestMemory
  private let machine: KVMMachine
  /// The slots that are taken.
  private let slots = Mutex<Set<Int>>([0])

  /// Memory of `byteCount` bytes, in huge pages where this machine allows.
  init(byteCount: Int, machine: KVMMachine) throws(MachineError) {
    self.machine = machine
    do throws(Errno) {
      let file = try MemoryFile(name: "synthgate-vm", byteCount: byteCount)
      shared = try SharedGuestMemory(file: file, guestAddress: 0)
    } catch {
      throw .system("\(byteCount >> 20) MiB of memory for the guest", error)
    }
    shared.memory.ranges[0].region.adviseHugePages()
    do throws(KVMError) { try machine.setMemory(slot: 0, guestAddress: 0, memory: slice) } catch { throw .kvm(error) }
  }

  /// All of it.
  var slice: MemorySlice { shared.memory.ranges[0].region.slice }

  /// Makes writes to the page at `guestAddress` memory exits; nil: to no page. No processor may be in the guest.
  ///
  /// - Throws: `.failed`; the machine can't go on then.
  func trapWrites(toPageAt guestAddress: UInt64?) throws(KVMError) {
    let pieces: [(slot: Int, range: Range<Int>)]
    if let guestAddress {
      let start = Int(guestAddress)
      let end = start + pageByteCount
      pieces = [(0, 0..<start), (1, start..<end), (2, end..<slice.byteCount)].filter { !$0.range.isEmpty }
    } else {
      pieces = [(0, 0..<slice.byteCount)]
    }
    try slots.withLock { slots throws(KVMError) in
      for slot in slots { try machine.removeMemory(slot: slot) }
      slots = []
      for (slot, range) in pieces {
        try machine.setMemory(
          slot: slot, guestAddress: UInt64(range.lowerBound),
          memory: slice.slice(at: range.lowerBound, count: range.count), isReadOnly: slot == 1)
        slots.insert(slot)
      }
    }
  }
}
