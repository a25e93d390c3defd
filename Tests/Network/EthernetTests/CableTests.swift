import CLinux
import Ethernet
import LinuxIO
import Synchronization
import Testing

@Suite struct CableTests {
  @Test(arguments: [false, true], [false, true])
  func everyFrameOnceInOrderUnchanged(lends: Bool, isSplit: Bool) throws {
    let options = MemoryPortOptions(capacity: 8, lends: lends, isSplit: isSplit)
    let (farLeft, left) = try MemoryPort.pair(options)
    let (right, farRight) = try MemoryPort.pair(options)
    let cable = try CableThread(name: "cable", left.makeQueue(), right.makeQueue())
    defer { cable.stop() }
    let count = 3000
    let outcome = Mutex((done: false, wrong: Int?.none))
    let thread = try WorkerThread(name: "station") {
      guard let queue = try? farRight.makeQueue() else { return }
      let station = Station(queue, sendSeed: 2, receiveSeed: 1, count: count)
      let done = (try? station.run(seconds: 60)) ?? false
      let wrong = station.firstWrong
      outcome.withLock { $0 = (done, wrong) }
    }
    let station = Station(try farLeft.makeQueue(), sendSeed: 1, receiveSeed: 2, count: count)
    let done = try station.run(seconds: 60)
    thread.join()
    #expect(done && station.firstWrong == nil && station.received == count)
    #expect(outcome.withLock { $0.done && $0.wrong == nil })
    cable.stop()
    let counters = cable.counters
    #expect(counters.framesToSecond.value == count && counters.framesToFirst.value == count)
    #expect(counters.timesFirstWasFull.value + counters.timesSecondWasFull.value > 0)
  }

  /// A cable between the near ends of two pairs, and the processor time that its thread took.
  private final class Measured: Sendable {
    let farLeft: MemoryPort
    let farRight: MemoryPort
    let control: CableControl
    let outcome = Monitor<(end: CableEnd, nanoseconds: UInt64)?>(nil)
    private let thread: Mutex<WorkerThread?>

    init(capacity: Int = 8) throws {
      let options = MemoryPortOptions(capacity: capacity)
      let (farLeft, left) = try MemoryPort.pair(options)
      let (right, farRight) = try MemoryPort.pair(options)
      self.farLeft = farLeft
      self.farRight = farRight
      let control = try CableControl()
      self.control = control
      let outcome = outcome
      thread = Mutex(
        try WorkerThread(name: "cable") {
          guard let first = try? left.makeQueue(), let second = try? right.makeQueue() else { return }
          var cable = Cable(first, second, control: control)
          let end = cable.run()
          var used = timespec()
          clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used)
          let nanoseconds = UInt64(used.tv_sec) * 1_000_000_000 + UInt64(used.tv_nsec)
          outcome.withLock { $0 = (end, nanoseconds) }
        })
    }

    /// The end and the time in milliseconds.
    func finish() throws -> (end: CableEnd, milliseconds: UInt64) {
      let outcome = try #require(outcome.wait(milliseconds: 5000) { $0 })
      thread.withLock { $0 }?.join()
      return (outcome.end, outcome.nanoseconds / 1_000_000)
    }
  }

  @Test func idleCableSleeps() throws {
    let measured = try Measured()
    sleepThread(nanoseconds: 500_000_000)
    #expect(measured.control.counters.sleeps.value <= 3)
    measured.control.stop()
    let (end, milliseconds) = try measured.finish()
    #expect(end == .stopped)
    #expect(milliseconds < 20)
  }

  @Test func blockedCableSleepsAndIsWoken() throws {
    let measured = try Measured()
    let left = try measured.farLeft.makeQueue()
    let right = try measured.farRight.makeQueue()
    let counters = measured.control.counters
    let frame = try LentBytes([UInt8](repeating: 7, count: 60))
    var sent = 0
    // The far right takes nothing: eight frames fill its queue, eight more the far left's.
    let start = monotonicNanoseconds()
    while sent < 16, monotonicNanoseconds() - start < 5_000_000_000 {
      if frame.send(.plain, to: left) { sent += 1 }
      left.flush()
    }
    #expect(sent == 16)
    sleepThread(nanoseconds: 500_000_000)
    #expect(counters.framesToSecond.value == 8 && counters.timesSecondWasFull.value > 0)
    #expect(counters.pauses.value == 0)
    // The other way works all the same.
    var back = 0
    let backSink = try CollectingSink { _, _ in back += 1 }
    #expect(frame.send(.plain, to: right))
    right.flush()
    try collect(from: left, into: backSink) { back == 1 }
    var taken = 0
    let sink = try CollectingSink { _, _ in taken += 1 }
    try collect(from: right, into: sink) { taken == 16 }
    #expect(taken == 16 && back == 1)
    measured.control.stop()
    #expect(try measured.finish().milliseconds < 30)
  }

  @Test func bothSinksFullCostsLittle() throws {
    let measured = try Measured()
    let left = try measured.farLeft.makeQueue()
    let right = try measured.farRight.makeQueue()
    let frame = try LentBytes([UInt8](repeating: 7, count: 60))
    var (sentLeft, sentRight) = (0, 0)
    let start = monotonicNanoseconds()
    while sentLeft + sentRight < 32, monotonicNanoseconds() - start < 5_000_000_000 {
      if sentLeft < 16, frame.send(.plain, to: left) { sentLeft += 1 }
      if sentRight < 16, frame.send(.plain, to: right) { sentRight += 1 }
      left.flush()
      right.flush()
    }
    #expect(sentLeft == 16 && sentRight == 16)
    sleepThread(nanoseconds: 500_000_000)
    var (gotLeft, gotRight) = (0, 0)
    let leftSink = try CollectingSink { _, _ in gotLeft += 1 }
    let rightSink = try CollectingSink { _, _ in gotRight += 1 }
    try collect(from: right, into: rightSink) { gotRight == 16 }
    try collect(from: left, into: leftSink) { gotLeft == 16 }
    #expect(gotLeft == 16 && gotRight == 16)
    measured.control.stop()
    #expect(try measured.finish().milliseconds < 150)
  }

  private func collect(
    from queue: any EthernetQueue, into sink: any EthernetSink, until isDone: () -> Bool
  ) throws {
    let start = monotonicNanoseconds()
    while !isDone(), monotonicNanoseconds() - start < 5_000_000_000 {
      if queue.forward(to: sink, limit: 64).frameCount > 0 { continue }
      if !queue.prepareToWait(forRoom: false) { _ = waitForInput([queue.readinessDescriptor], milliseconds: 100) }
    }
  }

  @Test func endsWithEitherPort() throws {
    for isFirst in [true, false] {
      let measured = try Measured()
      sleepThread(nanoseconds: 20_000_000)
      (isFirst ? measured.farLeft : measured.farRight).end()
      #expect(try measured.finish().end == (isFirst ? .firstEnded : .secondEnded))
      #expect(throws: EthernetError.lost) { _ = try (isFirst ? measured.farLeft : measured.farRight).makeQueue() }
    }
  }

  @Test func stopBeforeRun() throws {
    let (_, near) = try MemoryPort.pair()
    let (other, _) = try MemoryPort.pair()
    let control = try CableControl()
    control.stop()
    var cable = Cable(try near.makeQueue(), try other.makeQueue(), control: control)
    #expect(cable.run() == .stopped)
  }

  @Test func threadClosesItsQueues() throws {
    let (_, near) = try MemoryPort.pair()
    let (other, _) = try MemoryPort.pair()
    let ends = Mutex<[CableEnd]>([])
    let cable = try CableThread(name: "cable", near.makeQueue(), other.makeQueue()) { end in
      ends.withLock { $0.append(end) }
    }
    #expect(throws: EthernetError.busy) { _ = try near.makeQueue() }
    cable.stop()
    cable.stop()
    #expect(ends.withLock { $0 } == [.stopped])
    _ = try near.makeQueue()
    _ = try other.makeQueue()
  }

  /// A queue whose peer runs on the thread that flushes it, as the end of an embedded bus does, and sends all back.
  private final class InlineQueue: EthernetQueue {
    private let near: any EthernetQueue
    private let far: any EthernetQueue

    init() throws {
      let (farPort, nearPort) = try MemoryPort.pair(MemoryPortOptions(capacity: 4))
      near = try nearPort.makeQueue()
      far = try farPort.makeQueue()
    }

    private func runPeer() {
      while far.forward(to: far, limit: 4).frameCount > 0 { far.flush() }
      _ = far.prepareToWait(forRoom: false)
    }

    var readinessDescriptor: Int32 { near.readinessDescriptor }
    var isEnded: Bool { false }
    func prepareToWait(forRoom: Bool) -> Bool { near.prepareToWait(forRoom: forRoom) }
    func forward(to sink: any EthernetSink, limit: Int) -> ForwardResult { near.forward(to: sink, limit: limit) }
    func send(_ frame: LentFrame) -> Bool { near.send(frame) }
    func reserve() -> FrameRoom? { near.reserve() }
    func commit(start: Int, byteCount: Int, offload: FrameOffload) {
      near.commit(start: start, byteCount: byteCount, offload: offload)
    }
    func flush() {
      near.flush()
      runPeer()
    }
    func close() { near.close() }
  }

  @Test func peerOnTheSameThread() throws {
    let (far, near) = try MemoryPort.pair(MemoryPortOptions(capacity: 8))
    let cable = try CableThread(name: "cable", near.makeQueue(), InlineQueue())
    defer { cable.stop() }
    let station = Station(try far.makeQueue(), sendSeed: 5, receiveSeed: 5, count: 1000)
    #expect(try station.run(seconds: 30))
    #expect(station.firstWrong == nil && station.received == 1000)
  }
}
