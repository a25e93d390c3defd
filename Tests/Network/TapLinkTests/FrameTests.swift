import Ethernet
import LinuxIO
import NetlinkRoute
import NetworkSupport
import TapLink
import Testing
import WireBytes

/// One link, its queue, and a socket by which frames are sent over it.
private struct Bench {
  let namespace: TestNamespace
  let port: TapPort
  let queue: any EthernetQueue
  let socket: LinkSocket

  init(_ offloads: OffloadSet = .all) throws {
    namespace = try TestNamespace()
    // Nothing but what the tests send goes over the link.
    try namespace.run("sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'")
    port = try TapPort.open(TapOptions(name: "syn0", namespace: namespace.name))
    port.setOffloads(offloads)
    queue = try port.makeQueue()
    // Before the kernel has noticed the carrier, it drops what is sent.
    let port = port
    #expect(eventually { port.state.hasCarrier })
    socket = try LinkSocket(index: port.index, in: namespace.open())
  }

  /// What the queue hands out.
  func frames(into sink: CollectingSink? = nil) throws -> [CollectingSink.Frame] {
    let sink = try sink ?? CollectingSink()
    while waitForInput([queue.readinessDescriptor], milliseconds: 50) != 0 { _ = queue.forward(to: sink, limit: 8) }
    return sink.frames
  }

  /// A vnet header with a partial checksum.
  func partial(start: UInt16, offset: UInt16) -> [UInt8] {
    let header = VirtioNetHeader(
      flags: VirtioNetHeader.needsChecksum, checksumStart: start, checksumOffset: offset)
    return [UInt8](zeroed: 16) { bytes in
      bytes.storeLE(header.low, at: 0)
      bytes.storeLE(header.high, at: 8)
    }.dropLast(6)
  }
}

@Suite struct FrameTests {
  @Test func plainFrames() throws {
    let bench = try Bench()
    let sent = [60, 61, 255, 256, 257, 300, 1514].map { TestFrame.plain(count: $0) }
    for frame in sent { try bench.socket.send(frame) }
    let found = try bench.frames()
    #expect(found.map(\.bytes) == sent)
    #expect(found.allSatisfy { $0.offload == .plain })
    #expect(bench.port.statistics.framesRead == 7)
    #expect(bench.port.statistics.bytesRead == UInt64(sent.map(\.count).reduce(0, +)))
  }

  @Test func aTagIsTakenOut() throws {
    let bench = try Bench()
    let rest = TestFrame.plain(count: 400).dropFirst(12)
    try bench.socket.send(TestFrame.addresses + [0x81, 0x00, 0x60, 0x64] + rest)
    let udp = [0x08, 0x00] + TestFrame.udp(isPartial: true)
    try bench.socket.send(
      TestFrame.addresses + [0x81, 0x00, 0xbf, 0xff] + udp, header: bench.partial(start: 38, offset: 6))
    let found = try bench.frames()
    #expect(found.map(\.bytes) == [TestFrame.addresses + rest, TestFrame.addresses + udp])
    #expect(found.map(\.offload.vlan) == [0x6064, 0xbfff])
    #expect(found.map(\.offload.checksum) == [.complete, .partial(start: 34, offset: 6)])
  }

  /// 802.1ad, and two tags: they stay, with a checksum that is whole.
  @Test(
    arguments: [
      [0x88, 0xa8, 0x00, 0x05], [0x81, 0x00, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06],
      [0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06], [0x81, 0x00, 0x00, 0x05, 0x88, 0xa8, 0x00, 0x06],
    ] as [[UInt8]])
  func otherTagsStay(tags: [UInt8]) throws {
    let bench = try Bench()
    let head = TestFrame.addresses + tags + [0x08, 0x00]
    for count in [30, 301] {
      try bench.socket.send(
        head + TestFrame.udp(count: count, isPartial: true),
        header: bench.partial(start: UInt16(head.count + 20), offset: 6))
    }
    let found = try bench.frames()
    #expect(found.map(\.bytes) == [30, 301].map { head + TestFrame.udp(count: $0, isPartial: false) })
    #expect(found.allSatisfy { $0.offload.vlan == nil && !$0.offload.needsChecksum })
  }

  /// Frames that are longer than the room are dropped; one that just fits is not.
  @Test func roomThatIsTooSmall() throws {
    let bench = try Bench()
    for count in [555, 556, 557, 1514] { try bench.socket.send(TestFrame.plain(count: count)) }
    let found = try bench.frames(into: CollectingSink([256, 300]))
    #expect(found.map(\.bytes.count) == [555, 556])
    #expect(bench.port.statistics.truncatedFrames == 2)
  }

  @Test func limitAndBlocking() throws {
    let bench = try Bench()
    for _ in 0..<5 { try bench.socket.send(TestFrame.plain()) }
    let sink = try CollectingSink()
    #expect(bench.queue.forward(to: sink, limit: 3) == ForwardResult(frameCount: 3, isBlocked: false))
    #expect(bench.queue.forward(to: FullSink(), limit: 3) == ForwardResult(frameCount: 0, isBlocked: true))
    #expect(bench.queue.forward(to: sink, limit: 3) == ForwardResult(frameCount: 2, isBlocked: false))
    #expect(sink.frames.count == 5 && !bench.queue.isEnded)
  }

  private final class FullSink: EthernetSink {
    func send(_ frame: LentFrame) -> Bool { false }
    func reserve() -> FrameRoom? { nil }
    func commit(start: Int, byteCount: Int, offload: FrameOffload) {}
    func flush() {}
  }

  /// Frames that are written to one port of a bridge are read from the other: tags and partial checksums go through.
  @Test func whatIsWrittenArrives() throws {
    let namespace = try TestNamespace()
    try namespace.run("sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'")
    let ports = try ["in", "out"].map {
      try TapPort.open(TapOptions(name: $0, mtu: 9000, namespace: namespace.name))
    }
    let queues = try ports.map { try $0.makeQueue() }
    ports[1].setOffloads(.all)
    try namespace.run("ip link add br0 type bridge forward_delay 0 mcast_snooping 0")
    for name in ["in", "out"] { try namespace.run("ip link set \(name) master br0") }
    try namespace.run("ip link set br0 up")
    let sink = try CollectingSink()
    let udp = TestFrame.addresses + [0x08, 0x00] + TestFrame.udp(count: 500, isPartial: true)
    let partial = FrameOffload(checksum: .partial(start: 34, offset: 6))
    var tagged = partial
    tagged.vlan = 0x6064
    func pass(_ bytes: [UInt8], _ offload: FrameOffload, committing: Bool) throws -> CollectingSink.Frame? {
      // The bridge learns its ports a little later.
      _ = try eventually {
        if committing, let room = queues[0].reserve() {
          room.bytes.copyIn(bytes.rawSpan, at: 4)
          queues[0].commit(start: 4, byteCount: bytes.count, offload: offload)
        } else {
          let isTaken = try lend(bytes, to: queues[0], offload)
          #expect(isTaken)
        }
        _ = waitForInput([queues[1].readinessDescriptor], milliseconds: 100)
        sink.frames = []
        _ = queues[1].forward(to: sink, limit: 8)
        return !sink.frames.isEmpty
      }
      return sink.frames.first
    }
    for committing in [false, true] {
      for offload in [partial, tagged, FrameOffload(vlan: 5)] {
        let found = try #require(try pass(udp, offload, committing: committing))
        #expect(found.bytes == udp && found.offload == offload, "\(offload)")
      }
    }
    #expect(ports[0].statistics.refusedFrames == 0)
    // What no link takes is dropped.
    for (bytes, offload) in [
      (Array(udp.prefix(13)), .plain), (udp, FrameOffload(checksum: .partial(start: 900, offset: 6))),
      (
        udp,
        FrameOffload(
          checksum: .partial(start: 34, offset: 6), segmentation: .tcp4(segmentByteCount: 100, headerByteCount: 54))
      ),
    ] as [([UInt8], FrameOffload)] {
      let before = ports[0].statistics.refusedFrames
      #expect(try lend(bytes, to: queues[0], offload))
      #expect(ports[0].statistics.refusedFrames == before + 1, "\(bytes.count) \(offload)")
    }
    try ports[0].setUp(false)
    #expect(try lend(udp, to: queues[0]))
    #expect(ports[0].statistics.framesWhileDown == 1 && !queues[0].isEnded)
  }

  /// Whatever a peer says about a frame, it is written or dropped.
  @Test func anyOffload() throws {
    let bench = try Bench()
    var generator = SystemRandomNumberGenerator()
    func number() -> UInt16 {
      Bool.random(using: &generator)
        ? .random(in: 0...120, using: &generator) : .random(in: 0...65_535, using: &generator)
    }
    let rounds: UInt64 = 3000
    for _ in 0..<rounds {
      let count = Int.random(in: 14...200, using: &generator)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      if Bool.random(using: &generator) {
        bytes = Array((TestFrame.addresses + [8, 0] + TestFrame.udp(count: 100, isPartial: true)).prefix(count))
      }
      var offload = FrameOffload(vlan: Bool.random(using: &generator) ? number() : nil)
      if Bool.random(using: &generator) { offload.checksum = .partial(start: number(), offset: number()) }
      switch Int.random(in: 0...2, using: &generator) {
      case 0: offload.segmentation = .tcp4(segmentByteCount: number(), headerByteCount: number())
      case 1: offload.segmentation = .tcp6(segmentByteCount: number(), headerByteCount: number())
      default: break
      }
      #expect(try lend(bytes, to: bench.queue, offload))
    }
    let statistics = bench.port.statistics
    #expect(statistics.framesWritten + statistics.refusedFrames == rounds)
    #expect(statistics.framesWritten > 0 && statistics.refusedFrames > 0 && !bench.queue.isEnded)
  }
}
