import LinuxIO
import SharedMemory
import VMBusChannel

/// A doorbell that is a system call: the kernel signals the host by a hypercall. For channels without a monitor id, on
/// kernels from 6.10 on.
///
/// The call lets interrupts through, too, as a side effect; whoever held them back finds them held back afterwards.
final class UIODoorbell: Doorbell {
  private let file: UIOFile
  private let interruptMask: SharedWord32
  private let isPossible: () -> Bool

  /// - Parameters:
  ///   - interruptMask: the word in the ring that this end reads.
  ///   - isPossible: whether the call may be made at all.
  init(_ file: UIOFile, interruptMask: SharedWord32, isPossible: @escaping () -> Bool = { true }) {
    self.file = file
    self.interruptMask = interruptMask
    self.isPossible = isPossible
  }

  func ring() {
    guard isPossible() else { return }
    let mask = interruptMask.loadRelaxed()
    // A device that is gone is noticed by whoever waits for it.
    try? file.setInterrupts(enabled: true)
    if mask != 0 { interruptMask.storeReleasing(mask) }
  }
}

/// Waits on a file of its own for the events of the device, which all its channels share.
final class UIOListener: DoorbellListener {
  private let file: UIOFile
  private let lost: () -> Void

  /// - Parameter lost: called when the device is gone.
  init(_ file: UIOFile, lost: @escaping () -> Void) {
    self.file = file
    self.lost = lost
  }

  func acknowledge() {
    do throws(Errno) { _ = try file.takeEvents() } catch { lost() }
  }

  func poll() {}
}
