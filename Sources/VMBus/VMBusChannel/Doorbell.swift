public import LinuxIO
public import SharedMemory

/// How one end of a channel tells the other to look into the rings.
public protocol Doorbell: AnyObject {
  /// Tells the peer. Never blocks.
  func ring()
  /// Whether ringing may wake somebody up: what counts as a doorbell rung.
  var wakesPeer: Bool { get }
}

extension Doorbell {
  /// Ringing wakes somebody up unless told otherwise.
  public var wakesPeer: Bool { true }
}

/// A doorbell that is an eventfd: the peer waits in another thread or process.
public final class EventDoorbell: Doorbell {
  private let event: EventFD

  /// A doorbell that signals `event`.
  public init(_ event: EventFD) {
    self.event = event
  }

  /// Signals the eventfd.
  public func ring() {
    event.signal()
  }
}

/// A doorbell that is a bit of the child-to-parent monitor page: the host looks at it within the monitor's latency.
public final class MonitorDoorbell: Doorbell {
  private let pending: SharedWord32
  private let mask: UInt32

  /// A doorbell that sets `bit` (0 to 31) of the pending word of its group.
  public init(pending: SharedWord32, bit: Int) {
    precondition(bit >= 0 && bit < 32)
    self.pending = pending
    mask = 1 << UInt32(bit)
  }

  /// Sets the bit.
  public func ring() {
    pending.setBits(mask)
  }
}

/// A doorbell that serves the peer on the ringing thread: no hand-over at all. For both ends in one process.
///
/// The peer's end must be used by nobody but the thread that rings, as long as the channel is open.
public final class InlineDoorbell: Doorbell {
  private let endpoint: any HostEndpoint

  /// A doorbell that runs `endpoint`.
  public init(_ endpoint: any HostEndpoint) {
    self.endpoint = endpoint
  }

  /// Runs the endpoint until it finds nothing more to do.
  public func ring() {
    endpoint.run()
  }

  /// The peer runs on the ringing thread.
  public var wakesPeer: Bool { false }
}

/// A doorbell that nobody needs to hear: the peer looks by itself when the call that it made returns.
public final class SilentDoorbell: Doorbell {
  /// A doorbell without effect.
  public init() {}

  /// Does nothing.
  public func ring() {}

  /// There is nobody to wake.
  public var wakesPeer: Bool { false }
}

/// What the `waitDescriptor` of a channel is made of.
public protocol DoorbellListener: AnyObject {
  /// Makes the descriptor unreadable until the next signal.
  func acknowledge()
  /// Lets a peer on this thread work, if there is one.
  func poll()
}

/// A listener on an eventfd that the peer, or this process's control plane, signals.
public final class EventListener: DoorbellListener {
  private let event: EventFD

  /// A listener that resets `event`.
  public init(_ event: EventFD) {
    self.event = event
  }

  /// Sets the counter to zero.
  public func acknowledge() {
    event.drain()
  }

  /// Nothing: the peer has a thread of its own.
  public func poll() {}
}

/// The counterpart of `InlineDoorbell`: the peer's own readiness is what this end waits for.
public final class InlineListener: DoorbellListener {
  private let endpoint: any HostEndpoint

  /// A listener that runs `endpoint`.
  public init(_ endpoint: any HostEndpoint) {
    self.endpoint = endpoint
  }

  /// Runs the endpoint, which takes what made it ready.
  public func acknowledge() {
    endpoint.run()
  }

  /// Runs the endpoint.
  public func poll() {
    endpoint.run()
  }
}
