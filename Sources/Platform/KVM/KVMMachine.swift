import CKVM
public import LinuxIO
public import SharedMemory

/// A virtual machine of the kernel: memory slots, interrupt controllers, and what ties eventfds to both.
public final class KVMMachine: Sendable {
  let device: KVMDevice
  let owned: OwnedDescriptor

  /// The first interrupt line behind those of the I/O APIC: line `sintLine + vp` is the VMBus SINT of processor `vp`.
  static let sintLine: UInt32 = 24

  /// A machine without memory and processors.
  ///
  /// - Throws: `.failed`.
  public init(_ device: KVMDevice) throws(KVMError) {
    self.device = device
    do throws(Errno) {
      owned = try OwnedDescriptor(adopting: check(synthgate_kvm_create_machine(device.owned.number)))
    } catch {
      throw .failed("creating the machine", error)
    }
  }

  /// Shows `memory` to the guest at `guestAddress`, as slot `slot`; the slot must be free. The region behind it must stay
  /// mapped as long as the machine lives.
  ///
  /// - Parameter isReadOnly: the guest's writes become memory exits.
  /// - Throws: `.failed`.
  public func setMemory(
    slot: Int, guestAddress: UInt64, memory: MemorySlice, isReadOnly: Bool = false
  ) throws(KVMError) {
    // SAFETY: exactly the bytes of the slice, which stays mapped (the caller's duty).
    let status = unsafe synthgate_kvm_set_memory(
      owned.number, UInt32(slot), isReadOnly ? 1 : 0, guestAddress, UInt64(memory.byteCount), memory.pointer)
    if status < 0 { throw .failed("giving the guest memory", Errno(rawValue: -status)) }
  }

  /// Frees a slot. No processor may be in the guest, or it sees the memory missing.
  ///
  /// - Throws: `.failed`.
  public func removeMemory(slot: Int) throws(KVMError) {
    let status = synthgate_kvm_set_memory(owned.number, UInt32(slot), 0, 0, 0, nil)
    if status < 0 { throw .failed("taking memory from the guest", Errno(rawValue: -status)) }
  }

  /// Routes the interrupts of a machine of `processorCount` processors, which exist already, and ties the VMBus SINT of
  /// each to a pair of eventfds.
  ///
  /// - Parameter sints: by processor: signalled by us to interrupt it, and by the kernel when the guest has handled that.
  /// - Throws: `.failed`.
  public func routeInterrupts(sint: UInt8, sints: [(raise: EventFD, handled: EventFD)]) throws(KVMError) {
    try expect("routing interrupts", synthgate_kvm_route_interrupts(owned.number, UInt32(sints.count), UInt32(sint)))
    for (index, pair) in sints.enumerated() {
      try expect(
        "tying an interrupt",
        synthgate_kvm_tie_interrupt(
          owned.number, Self.sintLine + UInt32(index), pair.raise.descriptor, pair.handled.descriptor))
    }
  }

  /// Sets the level of an ISA interrupt line, 0 to 15.
  public func setLine(_ line: Int, isHigh: Bool) {
    _ = synthgate_kvm_set_line(owned.number, UInt32(line), isHigh ? 1 : 0)
  }

  /// Has the guest's HvSignalEvent to `connectionID` signal `event`, without an exit.
  ///
  /// - Throws: `.failed`, with EEXIST when the connection is tied already.
  public func tie(connectionID: UInt32, to event: EventFD) throws(KVMError) {
    try expect(
      "tying a connection", synthgate_kvm_tie_connection(owned.number, connectionID, event.descriptor, 0))
  }

  /// Takes `tie` back.
  public func untie(connectionID: UInt32) {
    _ = synthgate_kvm_tie_connection(owned.number, connectionID, -1, 1)
  }

  /// The guest's reference counter, in units of 100 ns; 0 when the kernel does not tell.
  public var referenceTime: UInt64 {
    var nanoseconds: UInt64 = 0
    // SAFETY: the call fills a local value.
    return unsafe synthgate_kvm_clock(owned.number, &nanoseconds) == 0 ? nanoseconds / 100 : 0
  }

  private func expect(_ what: String, _ status: Int32) throws(KVMError) {
    if status < 0 { throw .failed(what, Errno(rawValue: -status)) }
  }
}
