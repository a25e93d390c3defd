import LinuxIO
import Synchronization

/// How a machine has ended.
public enum MachineOutcome: Sendable, Equatable {
  /// The guest has switched itself off.
  case poweredOff
  /// The guest wants to start anew.
  case reset
  /// The guest has crashed; the text says how.
  case crashed(String)
  /// The machine can't go on; the text says why.
  case failed(String)
  /// Somebody has stopped it.
  case stopped
}

/// The end of a machine: the first who decides it is right.
final class MachineEnd: Sendable {
  private let outcome = Mutex<MachineOutcome?>(nil)
  private let decided = Atomic<Bool>(false)
  private let event: EventFD

  init() throws(Errno) {
    event = try EventFD()
  }

  /// Readable when the end is decided.
  var descriptor: Int32 { event.descriptor }

  /// Whether the machine is to stop.
  var isDecided: Bool { decided.load(ordering: .acquiring) }

  /// The outcome, once it is decided.
  var value: MachineOutcome? { outcome.withLock { $0 } }

  /// Ends the machine, unless that is decided already.
  func decide(_ new: MachineOutcome) {
    let isFirst = outcome.withLock { outcome in
      guard outcome == nil else { return false }
      outcome = new
      return true
    }
    guard isFirst else { return }
    decided.store(true, ordering: .releasing)
    event.signal()
  }
}
