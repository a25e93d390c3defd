import KVM
import LinuxIO
import Synchronization
import VMBusServer

/// What KVM does for the bus of the guest.
final class MachineHypervisor: GuestHypervisor {
  private let machine: KVMMachine
  private let memory: GuestRAM
  private let gate: ProcessorGate
  /// By processor: its interrupt, and that the guest has handled it.
  let sints: [(raise: EventFD, handled: EventFD)]
  private let isTrapped = Atomic<Bool>(false)
  private let fail: @Sendable (String) -> Void

  /// - Parameter fail: told why the machine can't go on.
  init(
    machine: KVMMachine, memory: GuestRAM, gate: ProcessorGate, sints: [(raise: EventFD, handled: EventFD)],
    fail: @escaping @Sendable (String) -> Void
  ) {
    self.machine = machine
    self.memory = memory
    self.gate = gate
    self.sints = sints
    self.fail = fail
  }

  func raise(vp: Int) {
    sints[vp].raise.signal()
  }

  func tie(connectionID: UInt32, to event: EventFD) throws(Errno) {
    do throws(KVMError) { try machine.tie(connectionID: connectionID, to: event) } catch {
      guard case .failed(_, let errno) = error else { throw .EINVAL }
      throw errno
    }
  }

  func detached(reason: String) {
    fail("its host has let it go: \(reason)")
  }

  func untie(connectionID: UInt32) {
    machine.untie(connectionID: connectionID)
  }

  func trapWrites(toPageAt guestAddress: UInt64?) -> Bool {
    guard guestAddress != nil || isTrapped.load(ordering: .relaxed) else { return true }
    do throws(KVMError) {
      try gate.closed { () throws(KVMError) in try memory.trapWrites(toPageAt: guestAddress) }
      isTrapped.store(guestAddress != nil, ordering: .relaxed)
      return true
    } catch {
      fail("\(error)")
      return false
    }
  }
}
