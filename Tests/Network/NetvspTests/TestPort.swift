import Ethernet
import LinuxIO
import SharedMemory
import Synchronization
import WireBytes

/// A port whose queues the test fills and empties; it remembers what it was told.
final class TestPort: EthernetPort {
  struct State {
    var info = EthernetPortInfo()
    var filter = EthernetFilter(isPromiscuous: true)
    var offloads = OffloadSet()
    var steering: (@Sendable (RawSpan) -> Int)?
    var observer: (@Sendable () -> Void)?
    var queueCount = 0
  }

  let state = Mutex(State())
  let maximumQueueCount: Int
  // A test drives all queues from one thread.
  nonisolated(unsafe) var queues: [TestQueue] = []

  init(maximumQueueCount: Int = 4) {
    self.maximumQueueCount = maximumQueueCount
  }

  var info: EthernetPortInfo { state.withLock { $0.info } }
  var filter: EthernetFilter { state.withLock { $0.filter } }
  var offloads: OffloadSet { state.withLock { $0.offloads } }

  /// The queue that the steering picks; nil without one.
  func steer(_ headers: [UInt8]) -> Int? {
    let steering = state.withLock { $0.steering }
    return steering.map { $0(headers.rawSpan) }
  }

  func change(_ body: (inout EthernetPortInfo) -> Void) {
    let observer = state.withLock { state in
      body(&state.info)
      return state.observer
    }
    observer?()
  }

  func makeQueue() throws(EthernetError) -> any EthernetQueue {
    guard queues.count(where: { !$0.isClosed }) < maximumQueueCount else { throw .busy }
    do throws(Errno) {
      let queue = try TestQueue()
      queues.append(queue)
      return queue
    } catch {
      throw .system(what: "a queue", error)
    }
  }

  func setFilter(_ filter: EthernetFilter) { state.withLock { $0.filter = filter } }
  func setOffloads(_ offloads: OffloadSet) { state.withLock { $0.offloads = offloads } }
  func setSteering(_ choose: (@Sendable (RawSpan) -> Int)?) { state.withLock { $0.steering = choose } }
  func observe(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.observer = body } }
}

/// A frame outside any ring.
struct TestFrame: Equatable {
  var bytes: [UInt8]
  var offload = FrameOffload.plain
}

final class TestQueue: EthernetQueue {
  /// What was sent here.
  var sent: [TestFrame] = []
  /// How many frames fit before the queue is full.
  var room = Int.max
  /// What waits to be forwarded.
  var arriving: [TestFrame] = []
  /// Whether frames are lent; otherwise room of the sink is filled.
  var lends = true
  /// Where a frame starts in the room.
  var start = 0
  var isClosed = false
  var isEnded = false
  var flushCount = 0
  var roomWaits = 0
  private let event: EventFD
  private let region: MemoryRegion
  private var table = ScatterTable(capacity: 4)

  init() throws(Errno) {
    event = try EventFD()
    region = try MemoryRegion(anonymous: 1 << 17)
  }

  var readinessDescriptor: Int32 { event.descriptor }

  func signal() { event.signal() }

  func prepareToWait(forRoom: Bool) -> Bool {
    if forRoom { roomWaits += 1 }
    event.drain()
    return !arriving.isEmpty || forRoom && room > 0
  }

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    var count = 0
    while count < limit, let frame = arriving.first {
      if lends {
        region.slice.copyIn(frame.bytes.rawSpan)
        table.removeAll()
        // Two pieces, so that the headers lie apart.
        let first = min(frame.bytes.count, 128)
        _ = table.append(region.slice.slice(at: 0, count: first))
        region.slice.copyIn(frame.bytes.rawSpan, at: 256)
        _ = table.append(region.slice.slice(at: 256 + first, count: frame.bytes.count - first))
        let lent = LentFrame(bytes: table.list, headerByteCount: first, offload: frame.offload)
        guard sink.send(lent) else { return ForwardResult(frameCount: count, isBlocked: true) }
      } else {
        guard let room = sink.reserve() else { return ForwardResult(frameCount: count, isBlocked: true) }
        room.bytes.copyIn(frame.bytes.rawSpan, at: start)
        sink.commit(start: start, byteCount: frame.bytes.count, offload: frame.offload)
      }
      arriving.removeFirst()
      count += 1
    }
    return ForwardResult(frameCount: count, isBlocked: false)
  }

  func close() { isClosed = true }

  func send(_ frame: LentFrame) -> Bool {
    guard room > 0 else { return false }
    room -= 1
    let bytes = [UInt8](zeroed: frame.byteCount) { frame.bytes.copyOut(into: &$0) }
    sent.append(TestFrame(bytes: bytes, offload: frame.offload))
    return true
  }

  func reserve() -> FrameRoom? { nil }
  func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
  func flush() { flushCount += 1 }

  func takeSent() -> [TestFrame] {
    defer { sent = [] }
    return sent
  }
}
