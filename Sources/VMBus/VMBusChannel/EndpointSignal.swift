public import LinuxIO
import Synchronization

/// How the control plane, or another channel of the same guest, makes an endpoint look around.
///
/// The words that it shall look at are stored before the signal; the flag saves the endpoint a system call per round.
public final class EndpointSignal: Sendable {
  private let event: EventFD
  private let isRaised = Atomic<Bool>(false)

  /// A signal that is not raised.
  ///
  /// - Throws: EMFILE, ENFILE.
  public init() throws(Errno) {
    event = try EventFD()
  }

  /// Readable after `raise`, until `consume`.
  public var descriptor: Int32 { event.descriptor }

  /// Wakes the endpoint. The descriptor is readable before the flag shows, so that `consume` always finds what it
  /// drains.
  public func raise() {
    event.signal()
    isRaised.store(true, ordering: .releasing)
  }

  /// Makes the descriptor unreadable if a signal came. Look around afterwards, not before.
  public func consume() {
    guard isRaised.load(ordering: .relaxed), isRaised.exchange(false, ordering: .acquiringAndReleasing) else { return }
    event.drain()
  }
}
