import KVM
import LinuxIO

/// Keeps processors out of the guest while its memory is changed, and at the end.
final class ProcessorGate: Sendable {
  private struct State {
    var isClosed = false
    var insideCount = 0
  }

  private let state = Monitor(State())
  private let processors: [VirtualProcessor]

  init(processors: [VirtualProcessor]) {
    self.processors = processors
  }

  /// Before a processor enters the guest: waits while the gate is closed.
  func enter() {
    while true {
      let isIn: Bool? = state.wait(milliseconds: 1000) { state in
        guard !state.isClosed else { return nil }
        state.insideCount += 1
        return true
      }
      if isIn != nil { return }
    }
  }

  /// After it has left.
  func leave() {
    state.withLock { $0.insideCount -= 1 }
  }

  /// Runs `body` while no processor is in the guest.
  func closed<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    state.withLock { $0.isClosed = true }
    for processor in processors { processor.setImmediateExit(true) }
    while true {
      for processor in processors { processor.kick() }
      let isEmpty: Bool? = state.wait(milliseconds: 10) { $0.insideCount == 0 ? true : nil }
      if isEmpty != nil { break }
    }
    defer {
      for processor in processors { processor.setImmediateExit(false) }
      state.withLock { $0.isClosed = false }
    }
    return try body()
  }
}
