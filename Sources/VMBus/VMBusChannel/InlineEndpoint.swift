import Synchronization

/// A host endpoint that the guest's thread runs, and that the host's control plane can close at any time: for both ends in
/// one process.
///
/// A flag admits one of them at a time. It is no lock: the guest's thread, finding it taken, goes on without the host.
public final class InlineEndpoint: HostEndpoint, @unchecked Sendable {
  // Sendable, because `endpoint` is used only by the thread that has moved `state` from idle to busy or closed; the
  // acquiring exchange and the releasing store order one user before the next.
  private let endpoint: any HostEndpoint
  private let state = Atomic<UInt32>(InlineEndpoint.idle)

  private static let idle: UInt32 = 0
  private static let busy: UInt32 = 1
  private static let closed: UInt32 = 2

  /// Readable when the endpoint has something to do that is not in the ring.
  public let readinessDescriptor: Int32

  /// An endpoint around `endpoint`, which nobody else may use from now on.
  public init(_ endpoint: any HostEndpoint) {
    self.endpoint = endpoint
    readinessDescriptor = endpoint.readinessDescriptor
  }

  private func enter(for next: UInt32) -> Bool {
    state.compareExchange(expected: Self.idle, desired: next, successOrdering: .acquiring, failureOrdering: .relaxed)
      .exchanged
  }

  /// Runs the endpoint, unless it is closed or running already.
  @discardableResult
  public func run() -> Bool {
    guard enter(for: Self.busy) else { return false }
    let worked = endpoint.run()
    state.store(Self.idle, ordering: .releasing)
    return worked
  }

  /// The fault that ended the service; nil while another thread runs the endpoint.
  public var fault: ChannelError? {
    guard enter(for: Self.busy) else { return nil }
    defer { state.store(Self.idle, ordering: .releasing) }
    return endpoint.fault
  }

  /// Closes the endpoint once no thread runs it any more; later runs do nothing. Only once.
  public func close() {
    while !enter(for: Self.closed) {
      if state.load(ordering: .relaxed) == Self.closed { return }
    }
    endpoint.close()
  }
}
