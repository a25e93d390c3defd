public import SharedMemory
import Synchronization

/// Memory of the guest that it announced as a page list (GPADL) and named to its device, at consecutive addresses.
///
/// A device lets go of it by giving up its last reference, at the latest when its channels are closed. The guest gets its
/// pages back only then: a device that finds `isRevoked` drains its rings and lets go.
public final class GPADLMapping: Sendable {
  /// The bytes; they may be used as long as the mapping is referenced.
  public let slice: MemorySlice

  private let owner: any AnyObject & Sendable
  private let released: @Sendable () -> Void
  private let revoked = Atomic<Bool>(false)
  private let observer = Mutex<(@Sendable () -> Void)?>(nil)

  /// A mapping of `slice`, kept mapped by `owner`.
  ///
  /// - Parameter released: called once, when the last reference has gone.
  public init(
    _ slice: MemorySlice, owner: any AnyObject & Sendable, released: @escaping @Sendable () -> Void = {}
  ) {
    self.slice = slice
    self.owner = owner
    self.released = released
  }

  deinit {
    released()
  }

  /// Whether the guest wants its pages back.
  public var isRevoked: Bool { revoked.load(ordering: .acquiring) }

  /// Marks the mapping as revoked and tells the observer; for the bus.
  public func revoke() {
    let body = observer.withLock { observer in
      revoked.store(true, ordering: .releasing)
      return observer
    }
    body?()
  }

  /// Has `body` called once the guest wants its pages back, on any thread; at once if it does already.
  public func observeRevocation(_ body: @escaping @Sendable () -> Void) {
    let isRevoked = observer.withLock { observer in
      observer = body
      return revoked.load(ordering: .acquiring)
    }
    if isRevoked { body() }
  }
}
