import Ethernet
import LinuxIO
import SharedMemory
import Synchronization

/// A port in memory, used as an uplink: what it has to bring is put in by `bring`, what it gets is in `frames`.
final class TestPort: EthernetPort {
  struct State {
    var info = EthernetPortInfo()
    var queues: [TestQueue.Shared] = []
    var offloads: OffloadSet?
    var choose: (@Sendable (_ headers: RawSpan) -> Int)?
    var observer: (@Sendable () -> Void)?
    var openCount = 0
  }

  let maximumQueueCount: Int
  /// Whether its frames are held by a kernel, as those of a TAP are: they are read into the room of the sink.
  let isKernel: Bool
  let state = Mutex(State())

  init(queues: Int = 4, isKernel: Bool = true) {
    maximumQueueCount = queues
    self.isKernel = isKernel
  }

  var info: EthernetPortInfo { state.withLock { $0.info } }

  func makeQueue() throws(EthernetError) -> any EthernetQueue {
    let shared = TestQueue.Shared()
    let isFree = state.withLock { state in
      guard state.openCount < maximumQueueCount else { return false }
      state.openCount += 1
      state.queues.append(shared)
      return true
    }
    guard isFree else { throw .busy }
    return TestQueue(self, shared)
  }

  func setOffloads(_ offloads: OffloadSet) { state.withLock { $0.offloads = offloads } }
  func setSteering(_ choose: (@Sendable (_ headers: RawSpan) -> Int)?) { state.withLock { $0.choose = choose } }
  func observe(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.observer = body } }

  func setCarrier(_ hasCarrier: Bool) {
    let observer = state.withLock { state in
      state.info.hasCarrier = hasCarrier
      return state.observer
    }
    observer?()
  }

  func queue(_ index: Int) -> TestQueue.Shared { state.withLock { $0.queues[index] } }
  var queueCount: Int { state.withLock { $0.queues.count } }
  var openCount: Int { state.withLock { $0.openCount } }
}

final class TestQueue: EthernetQueue {
  /// The end that tests hold.
  final class Shared: Sendable {
    let event = try! EventFD()
    let state = Mutex(State())

    struct State {
      var incoming: [TestFrame] = []
      var outgoing: [TestFrame] = []
      var capacity = Int.max
      var isEnded = false
    }

    func bring(_ frames: TestFrame...) {
      state.withLock { $0.incoming += frames }
      event.signal()
    }

    func end() {
      state.withLock { $0.isEnded = true }
      event.signal()
    }

    /// The frames that it got since the last call.
    func take() -> [TestFrame] {
      let frames = state.withLock { state in
        defer { state.outgoing = [] }
        return state.outgoing
      }
      event.signal()
      return frames
    }

    /// Waits until `count` frames have come.
    func take(_ count: Int) -> [TestFrame] {
      var frames = take()
      for _ in 0..<2000 where frames.count < count {
        sleepThread(nanoseconds: 1_000_000)
        frames += take()
      }
      return frames
    }
  }

  private let port: TestPort
  let shared: Shared
  private let room = TestSink()

  init(_ port: TestPort, _ shared: Shared) {
    self.port = port
    self.shared = shared
  }

  var readinessDescriptor: Int32 { shared.event.descriptor }
  var isEnded: Bool { shared.state.withLock { $0.isEnded } }
  func close() { port.state.withLock { $0.openCount -= 1 } }

  func prepareToWait(forRoom: Bool) -> Bool {
    shared.event.drain()
    return shared.state.withLock { !$0.incoming.isEmpty || $0.isEnded || (forRoom && $0.outgoing.count < $0.capacity) }
  }

  func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult {
    var count = 0
    while count < limit, let frame = shared.state.withLock({ $0.incoming.first }) {
      if port.isKernel {
        guard let room = sink.reserve() else { return ForwardResult(frameCount: count, isBlocked: true) }
        // As a TAP does: with space in front for what it may take out.
        room.bytes.copyIn(frame.bytes.span.bytes, at: 4)
        sink.commit(start: 4, byteCount: frame.bytes.count, offload: frame.offload)
      } else if !frame.lend({ sink.send($0) }) {
        return ForwardResult(frameCount: count, isBlocked: true)
      }
      shared.state.withLock { _ = $0.incoming.removeFirst() }
      count += 1
    }
    return ForwardResult(frameCount: count, isBlocked: false)
  }

  func send(_ frame: LentFrame) -> Bool {
    let copy = frame.copy
    return shared.state.withLock { state in
      guard state.outgoing.count < state.capacity else { return false }
      state.outgoing.append(copy)
      return true
    }
  }

  func reserve() -> FrameRoom? {
    shared.state.withLock { $0.outgoing.count < $0.capacity } ? room.reserve() : nil
  }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    room.commit(start: start, byteCount: byteCount, offload: offload)
    let frames = room.frames
    room.frames = []
    shared.state.withLock { $0.outgoing += frames }
  }

  func flush() {}
}
