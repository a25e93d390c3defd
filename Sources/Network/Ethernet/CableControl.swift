public import LinuxIO
import Synchronization

/// What other threads may do with a running `Cable`: end it, and read its counters.
public final class CableControl: Sendable {
  /// What the cable has done so far.
  public let counters = CableCounters()
  private let stopping = Atomic<Bool>(false)
  private let event: EventFD

  /// A control for one cable.
  public init() throws(Errno) {
    event = try EventFD()
  }

  /// Makes `Cable.run` return soon; also when it is called before.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    event.signal()
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }
  var stopDescriptor: Int32 { event.descriptor }
}

/// What a cable has done: words that its thread adds to and anybody may read.
public final class CableCounters: Sendable {
  /// Frames that the first queue gave to the second.
  public let framesToSecond = Counter()
  /// Frames that the second queue gave to the first.
  public let framesToFirst = Counter()
  /// Times that the thread slept on the queues.
  public let sleeps = Counter()
  /// Times that it looked again before it slept.
  public let spins = Counter()
  /// How many of those found something.
  public let spinsThatPaid = Counter()
  /// Times that frames waited for room in the second queue.
  public let timesSecondWasFull = Counter()
  /// Times that frames waited for room in the first queue.
  public let timesFirstWasFull = Counter()
  /// Millisecond pauses because a descriptor stayed ready without anything to be moved.
  public let pauses = Counter()

  init() {}
}
