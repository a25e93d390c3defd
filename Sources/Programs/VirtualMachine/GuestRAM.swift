import KVM
import LinuxIO
import SharedMemory
import VMBusChannel

/// The memory of a guest: one file, shown to the guest in one slot, or in three around a page whose writes are trapped.
final class GuestRAM: Sendable {
  /// The memory as the bus takes it; guest address 0 is its first byte.
  let shared: SharedGuestMemory
  private let machine: KVMMachine

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
    for slot in 0..<3 { try machine.removeMemory(slot: slot) }
    guard let guestAddress else {
      try machine.setMemory(slot: 0, guestAddress: 0, memory: slice)
      return
    }
    let start = Int(guestAddress)
    let end = start + pageByteCount
    if start > 0 { try machine.setMemory(slot: 0, guestAddress: 0, memory: slice.slice(at: 0, count: start)) }
    try machine.setMemory(
      slot: 1, guestAddress: guestAddress, memory: slice.slice(at: start, count: pageByteCount), isReadOnly: true)
    if end < slice.byteCount {
      try machine.setMemory(slot: 2, guestAddress: UInt64(end), memory: slice.dropFirst(end))
    }
  }
}
