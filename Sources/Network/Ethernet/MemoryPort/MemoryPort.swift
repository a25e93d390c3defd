public import LinuxIO
import Synchronization

/// One end of a connection in memory: what goes into one port comes out of the other, in any form of `FrameOffload`.
///
/// For tests, and to show what the protocol asks of a conformer. Queue `n` of one port is connected to queue `n` of the
/// other.
public final class MemoryPort: EthernetPort {
  private let link: MemoryLink
  private let side: Int

  private init(_ link: MemoryLink, side: Int) {
    self.link = link
    self.side = side
  }

  /// Two ports that are connected with each other.
  public static func pair(_ options: MemoryPortOptions = MemoryPortOptions()) throws(Errno) -> (MemoryPort, MemoryPort)
  {
    let link = try MemoryLink(options)
    return (MemoryPort(link, side: 0), MemoryPort(link, side: 1))
  }

  /// What the port is now.
  public var info: EthernetPortInfo { link.state.withLock { $0.sides[side].info } }

  /// As many as the options said.
  public var maximumQueueCount: Int { link.options.queueCount }

  /// The free queue with the lowest number.
  public func makeQueue() throws(EthernetError) -> any EthernetQueue {
    guard !link.hasEnded else { throw .lost }
    guard let index = link.claim(side: side) else { throw .busy }
    return MemoryQueue(link, side: side, index: index)
  }

  /// Only remembered: frames pass whatever it says.
  public func setFilter(_ filter: EthernetFilter) {
    link.state.withLock { $0.sides[side].filter = filter }
  }

  /// Only remembered: frames pass in any form.
  public func setOffloads(_ offloads: OffloadSet) {
    link.state.withLock { $0.sides[side].offloads = offloads }
  }

  /// Has `body` called after each change of `info`.
  public func observe(_ body: @escaping @Sendable () -> Void) {
    link.state.withLock { $0.sides[side].observer = body }
  }

  /// What `setFilter` said last.
  public var filter: EthernetFilter { link.state.withLock { $0.sides[side].filter } }
  /// What `setOffloads` said last.
  public var offloads: OffloadSet { link.state.withLock { $0.sides[side].offloads } }

  /// Changes what this port is, and tells its observer.
  public func setInfo(_ change: (inout EthernetPortInfo) -> Void) {
    var info = info
    change(&info)
    let new = info
    let observer = link.state.withLock { state in
      state.sides[side].info = new
      return state.sides[side].observer
    }
    observer?()
  }

  /// Ends both ports: their queues are of no use any more.
  public func end() {
    link.end()
  }
}

/// How a pair of `MemoryPort`s works.
public struct MemoryPortOptions: Hashable, Sendable {
  /// Queues of either port.
  public var queueCount: Int
  /// Frames that a queue holds in one direction.
  public var capacity: Int
  /// Whether `forward` lends frames, as a ring does; otherwise it fills room of the sink, as a TAP does.
  public var lends: Bool
  /// Whether room and lent frames come in two pieces.
  public var isSplit: Bool

  /// Options as given.
  public init(queueCount: Int = 1, capacity: Int = 256, lends: Bool = true, isSplit: Bool = false) {
    self.queueCount = max(1, queueCount)
    self.capacity = max(1, capacity)
    self.lends = lends
    self.isSplit = isSplit
  }
}

/// What the two ports of a pair share.
final class MemoryLink: Sendable {
  /// One side's view of one queue.
  struct End: Sendable {
    let incoming: FrameRing
    let outgoing: FrameRing
    let event: EventFD
  }

  struct Side: Sendable {
    var info = EthernetPortInfo()
    var filter = EthernetFilter()
    var offloads: OffloadSet = []
    var observer: (@Sendable () -> Void)?
    var isTaken: [Bool]
  }

  struct State: Sendable {
    var sides: [Side]
  }

  let options: MemoryPortOptions
  let ends: [[End]]
  let state: Mutex<State>
  private let ended = Atomic<Bool>(false)

  init(_ options: MemoryPortOptions) throws(Errno) {
    self.options = options
    var ends: [[End]] = [[], []]
    for _ in 0..<options.queueCount {
      let (first, second) = (try EventFD(), try EventFD())
      let there = try FrameRing(
        capacity: options.capacity, isSplit: options.isSplit, producerEvent: first, consumerEvent: second)
      let back = try FrameRing(
        capacity: options.capacity, isSplit: options.isSplit, producerEvent: second, consumerEvent: first)
      ends[0].append(End(incoming: back, outgoing: there, event: first))
      ends[1].append(End(incoming: there, outgoing: back, event: second))
    }
    self.ends = ends
    let side = Side(isTaken: [Bool](repeating: false, count: options.queueCount))
    state = Mutex(State(sides: [side, side]))
  }

  var hasEnded: Bool { ended.load(ordering: .acquiring) }

  func claim(side: Int) -> Int? {
    state.withLock { state in
      guard let index = state.sides[side].isTaken.firstIndex(of: false) else { return nil }
      state.sides[side].isTaken[index] = true
      return index
    }
  }

  func release(side: Int, index: Int) {
    state.withLock { $0.sides[side].isTaken[index] = false }
  }

  func end() {
    ended.store(true, ordering: .releasing)
    let observers = state.withLock { state in
      for side in 0..<2 { state.sides[side].info.hasCarrier = false }
      return state.sides.map(\.observer)
    }
    for end in ends.joined() { end.event.signal() }
    for observer in observers { observer?() }
  }
}
