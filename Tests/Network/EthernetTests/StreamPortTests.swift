import Ethernet
import LinuxIO
import Synchronization
import TestVectors
import Testing

@Suite struct StreamPortTests {
  private func connected(
    _ options: StreamPortOptions = StreamPortOptions()
  ) throws -> (port: StreamPort, queue: any EthernetQueue, peer: StreamPeer) {
    let (near, far) = try StreamSocket.pair()
    let port = try StreamPort(adopting: near, options: options)
    return (port, try port.makeQueue(), StreamPeer(far))
  }

  /// Forwards until `isDone`, sleeping as a cable does.
  private func pump(
    _ queue: any EthernetQueue, into sink: any EthernetSink, milliseconds: Int = 3000, until isDone: () -> Bool
  ) {
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while !isDone(), monotonicNanoseconds() < deadline {
      if queue.forward(to: sink, limit: 16).frameCount > 0 { continue }
      if !queue.prepareToWait(forRoom: false) { _ = waitForInput([queue.readinessDescriptor], milliseconds: 50) }
    }
  }

  @Test(arguments: [1, 3, 100, 70_000])
  func framesArriveInAnyPieces(pieceByteCount: Int) throws {
    let (port, queue, peer) = try connected()
    defer { port.end() }
    var random = SeededGenerator(seed: 5)
    var got: [([UInt8], FrameOffload)] = []
    let sink = try CollectingSink { got.append(($0, $1)) }
    let largest = pieceByteCount < 100 ? 60 : 65_550
    for size in [14, 17, 18, 60, random.number(14...largest), largest] {
      let frame = random.bytes(size)
      got = []
      let thread = try WorkerThread(name: "peer") { [socket = peer.socket] in
        _ = StreamPeer(socket).write(StreamPeer.framed(frame), pieceByteCount: pieceByteCount)
      }
      pump(queue, into: sink) { !got.isEmpty }
      thread.join()
      #expect(got.map(\.0) == [frame] && got.map(\.1) == [.plain])
    }
    #expect(port.counters.framesReceived.value == 6)
  }

  @Test func tagsAreTakenOutAndPutIn() throws {
    let (port, queue, peer) = try connected()
    defer { port.end() }
    var got: [([UInt8], FrameOffload)] = []
    let sink = try CollectingSink { got.append(($0, $1)) }
    let tagged = TCPFrame(tags: [hex("81006064")], payload: [1, 2, 3, 4, 5])
    var plain = tagged
    plain.tags = []
    #expect(peer.write(StreamPeer.framed(tagged.bytes(seeded: false))))
    pump(queue, into: sink) { !got.isEmpty }
    #expect(got.map(\.0) == [plain.bytes(seeded: false)] && got.map(\.1) == [FrameOffload(vlan: 0x6064)])
    // A full sink gets the same frame again.
    let full = FullSink()
    #expect(peer.write(StreamPeer.framed(tagged.bytes(seeded: false))))
    pump(queue, into: full) { full.offered.count == 2 }
    #expect(full.offered == [plain.bytes(seeded: false), plain.bytes(seeded: false)])
    pump(queue, into: sink) { got.count == 2 }
    #expect(got.last?.0 == plain.bytes(seeded: false))

    #expect(try LentBytes(plain.bytes(seeded: false)).send(FrameOffload(vlan: 0x6064), to: queue))
    queue.flush()
    #expect(peer.nextFrame() == tagged.bytes(seeded: false))
  }

  private final class FullSink: EthernetSink {
    var offered: [[UInt8]] = []
    func send(_ frame: LentFrame) -> Bool {
      offered.append(frame.bytes.copied)
      return false
    }
    func reserve() -> FrameRoom? { nil }
    func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
    func flush() {}
  }

  @Test(arguments: [true, false])
  func superFramesAreCut(lends: Bool) throws {
    let (port, queue, peer) = try connected()
    defer { port.end() }
    let frame = TCPFrame(payload: SeededGenerator.payload(60_001))
    var offload = frame.offload(segmentByteCount: 1460)
    offload.vlan = 5
    if lends {
      #expect(try LentBytes(frame.bytes(seeded: true), firstByteCount: 128).send(offload, to: queue))
    } else {
      let room = try #require(queue.reserve()).bytes
      room.copyIn(frame.bytes(seeded: true).span.bytes, at: 4)
      queue.commit(start: 4, byteCount: frame.bytes(seeded: true).count, offload: offload)
    }
    queue.flush()
    var expected = frame
    expected.tags = [hex("81000005")]
    for segment in expected.segments(of: 1460) {
      #expect(peer.nextFrame() == segment.bytes(seeded: false))
      _ = queue.prepareToWait(forRoom: false)
    }
    #expect(port.counters.framesSent.value == 42 && port.counters.framesDropped.value == 0)
  }

  @Test func slowPeerHoldsBackThenLoses() throws {
    let (port, queue, peer) = try connected(StreamPortOptions(stallMilliseconds: 600))
    defer { port.end() }
    var sent = 0
    func frame() throws -> LentBytes { try LentBytes(be16(sent) + [UInt8](repeating: 9, count: 1398)) }
    while sent < 5000, try frame().send(.plain, to: queue) {
      sent += 1
      queue.flush()
    }
    // Socket and backlog together are bounded.
    #expect(sent > 100 && sent < 2000)
    #expect(queue.reserve() == nil && !queue.prepareToWait(forRoom: true))
    #expect(waitForInput([queue.readinessDescriptor], milliseconds: 50) == 0)
    sleepThread(nanoseconds: 700_000_000)
    for _ in 0..<10 { #expect(try frame().send(.plain, to: queue)) }
    #expect(port.counters.framesDropped.value == 10)
    // It reads again: what was held back comes, whole and in order.
    for number in 0..<sent {
      let next = peer.nextFrame()
      guard next?.count == 1400, next?.prefix(2) == be16(number)[...] else {
        Issue.record("frame \(number) is \(next?.count ?? 0) bytes")
        return
      }
      if number % 20 == 0 { _ = queue.prepareToWait(forRoom: false) }
    }
    #expect(queue.prepareToWait(forRoom: true))
    #expect(try frame().send(.plain, to: queue))
    queue.flush()
    #expect(peer.nextFrame()?.count == 1400)
    #expect(port.counters.framesDropped.value == 10)
  }

  @Test(arguments: [0, 13, 65_551, 0x4854_5450, 0xffff_ffff])
  func nonsenseEndsTheConnection(length: Int) throws {
    let (port, queue, peer) = try connected()
    defer { port.end() }
    let sink = try CollectingSink { _, _ in }
    #expect(peer.write(be16(length >> 16) + be16(length & 0xffff) + [1, 2, 3]))
    pump(queue, into: sink) { queue.isEnded }
    #expect(queue.isEnded && !port.info.hasCarrier && port.disconnectCount == 1)
    #expect(port.disconnectReason == "the peer announced a frame of \(length) bytes")
    _ = peer.read()
    #expect(!peer.read())
    #expect(throws: EthernetError.lost) { _ = try port.makeQueue() }
  }

  @Test func impossibleFramesAreCounted() throws {
    let (port, queue, peer) = try connected()
    defer { port.end() }
    for size in [1, 13, 65_551] { #expect(try LentBytes([UInt8](repeating: 0, count: size)).send(.plain, to: queue)) }
    #expect(try LentBytes([UInt8](repeating: 0, count: 60)).send(TCPFrame().offload(segmentByteCount: 9), to: queue))
    #expect(port.counters.framesMalformed.value == 4 && port.counters.framesSent.value == 0)
    #expect(try LentBytes([UInt8](repeating: 0, count: 14)).send(.plain, to: queue))
    queue.flush()
    #expect(peer.nextFrame()?.count == 14)
  }

  @Test func randomStreamsNeverTrap() throws {
    var random = SeededGenerator(seed: 6)
    var frames = 0
    for _ in 0..<150 {
      let (port, queue, peer) = try connected()
      let sink = try CollectingSink { bytes, _ in frames += bytes.count >= 14 ? 1 : 1_000_000 }
      for _ in 0..<8 {
        switch random.number(0...9) {
        case 0: _ = peer.write(random.bytes(random.number(1...40)))
        case 1: _ = peer.write(be16(0) + be16(random.number(0...65_535)))
        default: _ = peer.write(StreamPeer.framed(random.bytes(random.number(14...3000))), pieceByteCount: 1000)
        }
        _ = queue.forward(to: sink, limit: random.number(1...4))
        _ = queue.prepareToWait(forRoom: random.bool())
        _ = try LentBytes(random.bytes(random.number(1...200))).send(.plain, to: queue)
      }
      queue.close()
      port.end()
    }
    #expect(frames > 100 && frames < 1_000_000)
  }

  @Test func comesBackWithItsPeer() throws {
    let listener = StreamListener("reconnect")
    let port = try StreamPort(
      connectingTo: listener.path, options: StreamPortOptions(mtu: 1400, reconnectMilliseconds: 50))
    defer { port.end() }
    let changes = Monitor(0)
    port.observe { changes.withLock { $0 += 1 } }
    func waitForCarrier(_ wanted: Bool, change: Int) {
      _ = changes.wait(milliseconds: 3000) { $0 >= change ? true : nil }
      #expect(port.info.hasCarrier == wanted && changes.withLock { $0 } == change)
    }
    #expect(!port.info.hasCarrier && port.info.mtu == 1400)
    let queue = try port.makeQueue()
    let frame = try LentBytes([UInt8](repeating: 5, count: 60))
    #expect(frame.send(.plain, to: queue))
    #expect(port.counters.framesDropped.value == 1)
    var got: [[UInt8]] = []
    let sink = try CollectingSink { bytes, _ in got.append(bytes) }
    for round in 0..<3 {
      try listener.listen()
      var peer = try listener.accept(milliseconds: 3000)
      waitForCarrier(true, change: 2 * round + 1)
      #expect(queue.prepareToWait(forRoom: false))
      #expect(frame.send(.plain, to: queue))
      queue.flush()
      #expect(peer?.nextFrame()?.count == 60)
      // The last words of a peer are heard, half a frame is not.
      got = []
      #expect(peer?.write(StreamPeer.framed([UInt8](repeating: 6, count: 100)) + be16(0)) == true)
      listener.stop()
      peer = nil
      pump(queue, into: sink) { !port.info.hasCarrier && !got.isEmpty }
      #expect(got.map(\.count) == [100])
      waitForCarrier(false, change: 2 * round + 2)
      #expect(!queue.isEnded && port.disconnectCount == round + 1)
    }
  }

  @Test func nextQueueBeginsWithAFrame() throws {
    let (port, queue, peer) = try connected()
    let sink = try CollectingSink { _, _ in }
    queue.close()
    let second = try port.makeQueue()
    #expect(throws: EthernetError.busy) { _ = try port.makeQueue() }
    #expect(peer.write(StreamPeer.framed([UInt8](repeating: 1, count: 60)) + [0, 0]))
    pump(second, into: sink) { port.counters.framesReceived.value == 1 }
    #expect(port.info.hasCarrier)
    second.close()
    #expect(!port.info.hasCarrier && port.disconnectReason == "the queue was closed within a frame")
    port.end()
  }

  @Test func noticesTheEndWithoutAQueue() throws {
    let (near, far) = try StreamSocket.pair()
    let port = try StreamPort(adopting: near)
    defer { port.end() }
    let changes = Monitor(0)
    port.observe { changes.withLock { $0 += 1 } }
    far.shutdown()
    #expect(changes.wait(milliseconds: 3000) { $0 > 0 ? true : nil } == true)
    #expect(!port.info.hasCarrier)
  }

  @Test func cableToAStream() throws {
    let (near, far) = try StreamSocket.pair()
    let port = try StreamPort(adopting: near)
    defer { port.end() }
    let (memory, end) = try MemoryPort.pair(MemoryPortOptions(capacity: 16))
    let cable = try CableThread(name: "cable", memory.makeQueue(), port.makeQueue())
    defer { cable.stop() }
    // The peer sends all back, in odd pieces.
    let echo = try WorkerThread(name: "echo") {
      let peer = StreamPeer(far)
      for _ in 0..<2000 {
        guard let frame = peer.nextFrame(atMost: 3001) else { return }
        guard peer.write(StreamPeer.framed(frame), pieceByteCount: 777) else { return }
      }
    }
    let queue = try end.makeQueue()
    var (sent, got) = (0, 0)
    var firstWrong: Int?
    func frame(_ number: Int) -> [UInt8] {
      var random = SeededGenerator(seed: UInt64(number))
      return random.bytes(number % 100 == 0 ? 65_000 : random.number(14...1514))
    }
    let sink = try CollectingSink { bytes, _ in
      if bytes != frame(got), firstWrong == nil { firstWrong = got }
      got += 1
    }
    let deadline = monotonicNanoseconds() + 30_000_000_000
    while got < 2000, monotonicNanoseconds() < deadline {
      var isFull = false
      while sent < 2000, !isFull {
        if try LentBytes(frame(sent)).send(.plain, to: queue) { sent += 1 } else { isFull = true }
      }
      queue.flush()
      if queue.forward(to: sink, limit: 64).frameCount == 0, !queue.prepareToWait(forRoom: isFull) {
        _ = waitForInput([queue.readinessDescriptor], milliseconds: 200)
      }
    }
    #expect(got == 2000 && firstWrong == nil)
    #expect(port.counters.framesDropped.value == 0)
    cable.stop()
    echo.join()
  }
}

extension SeededGenerator {
  static func payload(_ count: Int) -> [UInt8] {
    var random = SeededGenerator(seed: UInt64(count))
    return random.bytes(count)
  }
}
