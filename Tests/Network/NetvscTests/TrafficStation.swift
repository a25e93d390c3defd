import Ethernet
import LinuxIO
import SharedMemory
import Synchronization

/// One direction of one queue: frames that both ends can compute.
final class TrafficStream: Sendable {
  let seed: UInt64
  let profile: TrafficProfile
  /// How many frames there are; `.max` while that is not known.
  let goal: Atomic<Int>
  let sent = Atomic<Int>(0)
  let received = Atomic<Int>(0)
  /// Frames that never came.
  let lost = Atomic<Int>(0)
  /// Frames from this one on must come.
  let assured: Atomic<Int>
  let isPaused = Atomic<Bool>(false)

  init(seed: UInt64, _ profile: TrafficProfile, count: Int?) {
    self.seed = seed
    self.profile = profile
    goal = Atomic(count ?? .max)
    assured = Atomic(count == nil ? .max : 0)
  }

  /// Nothing is lost from now on, and the stream ends soon.
  func finish(_ count: Int) {
    let sent = sent.load(ordering: .acquiring)
    assured.store(sent, ordering: .releasing)
    goal.store(sent + count, ordering: .releasing)
    isPaused.store(false, ordering: .releasing)
  }
}

/// A word that several threads know.
final class SharedFlag: Sendable {
  let value = Atomic<Bool>(false)
}

/// A thread at an outer queue: sends one stream, and checks the other.
final class TrafficStation: Sendable {
  let outgoing: TrafficStream
  let incoming: TrafficStream
  private let fault = Mutex<String?>(nil)
  private let isClaimed = Monitor(false)
  private let worker = Mutex<WorkerThread?>(nil)

  var problem: String? { fault.withLock { $0 } }

  /// Starts the thread; it has the next queue of `port` then.
  ///
  /// - Parameter hasFailed: set by the first station that finds something wrong; the others give up then.
  init(
    _ port: MemoryPort, outgoing: TrafficStream, incoming: TrafficStream, seconds: Int, hasFailed: SharedFlag
  ) throws(Errno) {
    self.outgoing = outgoing
    self.incoming = incoming
    let thread = try WorkerThread(name: "station") { [self] in
      do {
        let queue = try port.makeQueue()
        isClaimed.withLock { $0 = true }
        let run = try TrafficRun(queue, outgoing, incoming)
        let problem = run.run(deadline: monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000, hasFailed)
        queue.close()
        if problem != nil { hasFailed.value.store(true, ordering: .releasing) }
        fault.withLock { $0 = problem }
      } catch {
        fault.withLock { $0 = "\(error)" }
        isClaimed.withLock { $0 = true }
      }
    }
    worker.withLock { $0 = thread }
    _ = isClaimed.wait(milliseconds: 10_000) { $0 ? true : nil }
  }

  /// Waits until both streams are done, or the time is over.
  func join() {
    let thread = worker.withLock { $0.take() }
    thread?.join()
  }
}

/// What the thread of a station works with.
private final class TrafficRun {
  private let queue: any EthernetQueue
  private let outgoing: TrafficStream
  private let incoming: TrafficStream
  private let memory: MemoryRegion
  private var table = ScatterTable(capacity: 2)
  private let sink: StationSink

  init(_ queue: any EthernetQueue, _ outgoing: TrafficStream, _ incoming: TrafficStream) throws(Errno) {
    self.queue = queue
    self.outgoing = outgoing
    self.incoming = incoming
    memory = try MemoryRegion(anonymous: FrameRoom.maximumFrameByteCount + 64)
    sink = try StationSink(incoming)
  }

  private var isSent: Bool {
    outgoing.sent.load(ordering: .relaxed) >= outgoing.goal.load(ordering: .acquiring)
  }
  private var isReceived: Bool { sink.next >= incoming.goal.load(ordering: .acquiring) && sink.expected.isEmpty }

  /// Answers what went wrong.
  func run(deadline: UInt64, _ hasFailed: SharedFlag) -> String? {
    while !isSent || !isReceived {
      if hasFailed.value.load(ordering: .relaxed) { return "given up" }
      if let problem = sink.problem { return problem }
      guard monotonicNanoseconds() < deadline else {
        return "stalled: \(outgoing.sent.load(ordering: .relaxed)) of \(outgoing.goal.load(ordering: .relaxed)) sent, "
          + "\(sink.next) of \(incoming.goal.load(ordering: .relaxed)) received"
      }
      var moved = 0
      var isFull = false
      while !isSent, !outgoing.isPaused.load(ordering: .relaxed), moved < 16 {
        guard send(outgoing.sent.load(ordering: .relaxed)) else {
          isFull = true
          break
        }
        outgoing.sent.add(1, ordering: .releasing)
        moved += 1
      }
      queue.flush()
      moved += queue.forward(to: sink, limit: 16).frameCount
      incoming.received.store(sink.next, ordering: .releasing)
      if moved == 0, !queue.prepareToWait(forRoom: isFull) {
        _ = waitForInput([queue.readinessDescriptor], milliseconds: 20)
      }
    }
    return sink.problem
  }

  private func send(_ number: Int) -> Bool {
    let frame = TrafficFrame(number, seed: outgoing.seed, outgoing.profile)
    // In one piece, or in two; either way the headers are ours.
    let first = number % 3 == 0 ? frame.bytes.count : min(128, frame.bytes.count)
    memory.slice.copyIn(frame.bytes.rawSpan.extracting(first: first))
    memory.slice.copyIn(frame.bytes.rawSpan.extracting(droppingFirst: first), at: first + 32)
    table.removeAll()
    _ = table.append(memory.slice.slice(at: 0, count: first))
    _ = table.append(memory.slice.slice(at: first + 32, count: frame.bytes.count - first))
    return queue.send(
      LentFrame(bytes: table.list, headerByteCount: min(128, frame.bytes.count), offload: frame.offload))
  }
}

/// Checks the frames of a stream as they come.
private final class StationSink: EthernetSink {
  private let stream: TrafficStream
  private let memory: MemoryRegion
  private var table = ScatterTable(capacity: 1)
  /// The number of the frame that comes next.
  private(set) var next = 0
  /// What is still to come of the one before.
  private(set) var expected: ArraySlice<[UInt8]> = []
  private var tag: UInt16?
  private(set) var problem: String?

  init(_ stream: TrafficStream) throws(Errno) {
    self.stream = stream
    memory = try MemoryRegion(anonymous: FrameRoom.maximumFrameByteCount + 64)
    _ = table.append(memory.slice)
  }

  func send(_ frame: LentFrame) -> Bool {
    take([UInt8](zeroed: frame.byteCount) { frame.bytes.copyOut(into: &$0) }, frame.offload)
    return true
  }

  func reserve() -> FrameRoom? { FrameRoom(bytes: table.list) }

  func commit(start: Int, byteCount: Int, offload: FrameOffload) {
    take(memory.slice.slice(at: start, count: byteCount).bytes(), offload)
  }

  func flush() {}

  private func fail(_ text: String) {
    if problem == nil { problem = "seed \(stream.seed), frame \(next): \(text)" }
  }

  private func take(_ bytes: [UInt8], _ offload: FrameOffload) {
    if next < stream.assured.load(ordering: .acquiring) {
      takeSome(bytes, offload)
    } else {
      takeNext(bytes, offload)
    }
  }

  /// The frame that comes next, or a part of it.
  private func takeNext(_ bytes: [UInt8], _ offload: FrameOffload) {
    for wire in WireFrame.all(bytes, offload) {
      if expected.isEmpty {
        let frame = TrafficFrame(next, seed: stream.seed, stream.profile)
        expected = WireFrame.all(frame.bytes, frame.offload)[...]
        tag = frame.offload.vlan
        next += 1
      }
      let wanted = expected.removeFirst()
      if wire != wanted {
        let other = TrafficFrame.number(in: wire, seed: stream.seed)
        let place = zip(wire, wanted).enumerated().first { $1.0 != $1.1 }?.offset
        fail(
          "\(wire.count) bytes instead of \(wanted.count), number \(other.map { "\($0)" } ?? "none"), "
            + "other from byte \(place.map { "\($0)" } ?? "the end") on, \(offload)")
      }
      if offload.vlan != tag {
        fail("the tag \(String(describing: offload.vlan)) instead of \(String(describing: tag))")
      }
    }
  }

  /// A whole frame that is not older than what came before.
  private func takeSome(_ bytes: [UInt8], _ offload: FrameOffload) {
    guard let number = TrafficFrame.number(in: bytes, seed: stream.seed) else { return fail("another frame") }
    guard number >= next, number < stream.sent.load(ordering: .acquiring) + 1 else { return fail("number \(number)") }
    guard number <= stream.assured.load(ordering: .acquiring) else { return fail("number \(number), too late") }
    stream.lost.add(number - next, ordering: .relaxed)
    let frame = TrafficFrame(number, seed: stream.seed, stream.profile)
    var whole = bytes
    switch offload.checksum {
    case .partial: break
    case .complete, .verified: whole = Self.isSumRight(bytes) ? bytes : []
    }
    var wire = WireFrame.all(whole, offload)
    switch frame.offload.segmentation {
    case .tcp4(let segment, _), .tcp6(let segment, _):
      // Where the MTU is larger meanwhile, a frame need not be cut any more.
      if whole.count == frame.bytes.count { wire = WireFrame.cut(whole, segment: Int(segment)) }
    case .none: break
    }
    if wire != WireFrame.all(frame.bytes, frame.offload) || offload.vlan != frame.offload.vlan {
      fail("\(bytes.count) bytes that are not those of frame \(number), \(offload)")
    }
    next = number + 1
  }

  private static func isSumRight(_ bytes: [UInt8]) -> Bool {
    guard bytes[12] == 0x08 || bytes[12] == 0x86 else { return true }
    let isIPv6 = bytes[12] == 0x86
    if bytes[12] == 0x88 { return true }
    let isTCP = bytes[isIPv6 ? 20 : 23] == 6
    return bytes == WireFrame.summed(bytes, from: isIPv6 ? 54 : 34, field: isTCP ? 16 : 6)
  }
}
