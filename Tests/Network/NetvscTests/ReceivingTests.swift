import Ethernet
import LinuxIO
@testable import Netvsc
import NetvscProtocol
import Testing
import VMBusProtocol
import WireBytes

@Suite struct ReceivingTests {
  private func made(_ host: ScriptedHost = ScriptedHost()) throws -> (Rig, any EthernetQueue, CollectingSink) {
    let rig = try Rig(host)
    return (rig, try rig.adapter.makeQueue(), CollectingSink())
  }

  @Test func framesOfEveryLength() throws {
    let (rig, queue, sink) = try made()
    var random = Random(state: 21)
    var frames: [[UInt8]] = []
    for length in 14...1514 {
      frames.append(random.bytes(length))
      rig.host.deliver([receiveMessage(frames.last!, dataOffset: length % 3 == 0 ? 44 : 256)])
      if length % 97 == 0 { _ = queue.turn(sink) { sink.frames.count == frames.count } }
    }
    #expect(queue.turn(sink) { sink.frames.count == frames.count })
    #expect(sink.frames == frames && sink.headerCounts.allSatisfy { $0 >= 14 && $0 <= 128 })
    queue.flush()
    #expect(rig.host.get { $0.onTheirWay.isEmpty && $0.answers.values.allSatisfy { $0 == [1] } })
    queue.close()
  }

  @Test func whatTheHostSaysAboutAFrame() throws {
    let (rig, queue, sink) = try made()
    // G40: length word and data of 60 bytes; the host's message is 152 long.
    rig.host.deliver([Golden.g40 + [UInt8](repeating: 3, count: 60)])
    var tagged = PacketInformation()
    tagged.vlan = PacketVLAN(tagControl: 0x6064)
    rig.host.deliver([receiveMessage([UInt8](repeating: 4, count: 60), tagged)])
    var bad = PacketInformation()
    bad.checksum = ReceiveChecksum.tcpFailed.rawValue
    rig.host.deliver([receiveMessage([UInt8](repeating: 5, count: 60), bad)])
    #expect(queue.turn(sink) { sink.frames.count == 3 })
    #expect(sink.offloads[0].checksum == .verified && sink.offloads[0].flowHash == 0x5285_a943)
    #expect(sink.offloads[1] == FrameOffload(vlan: 0x6064))
    #expect(sink.offloads[2] == .plain)
    queue.close()
  }

  /// Fragments of a coalesced frame as PACKET messages.
  static func fragments(_ frame: [UInt8], of size: Int, id: UInt16 = 0x77) -> [[UInt8]] {
    let starts = Array(stride(from: 0, to: frame.count, by: size))
    return starts.map { start in
      var information = PacketInformation()
      let isLast = start + size >= frame.count
      information.packetID = PacketID(id: id, isFirst: start == 0, isLast: isLast)
      if start == 0 {
        information.checksum =
          ReceiveChecksum([.tcpSucceeded, .ipSucceeded, .tcpValueInvalid, .ipValueInvalid]).rawValue
      }
      return receiveMessage(Array(frame[start..<min(start + size, frame.count)]), information, dataOffset: 128)
    }
  }

  @Test func coalescedFrames() throws {
    let (rig, queue, sink) = try made()
    var random = Random(state: 8)
    for payload in [2000, 20_000, 65_481] {
      let (frame, _) = tcp4(payload: payload, random: &random)
      var stale = frame
      // The host's fields are not right after coalescing.
      stale.withMutableBytes { bytes in
        bytes.storeBE(UInt16(0xdead), at: 24)
        bytes.storeBE(UInt16(0xbeef), at: 50)
      }
      sink.frames = []
      sink.offloads = []
      rig.host.deliver(
        [receiveMessage([UInt8](repeating: 1, count: 60))] + Self.fragments(stale, of: 1460)
          + [receiveMessage([UInt8](repeating: 2, count: 60))])
      #expect(queue.turn(sink) { sink.frames.count == 3 })
      #expect(sink.frames[1] == frame)
      #expect(sink.offloads[1].segmentation == .tcp4(segmentByteCount: 1460, headerByteCount: 54))
      #expect(sink.offloads[1].checksum == .partial(start: 34, offset: 16))
    }
    queue.flush()
    #expect(rig.adapter.queueStatistics[0].coalescedFrames == 3)
    #expect(rig.host.get { $0.onTheirWay.isEmpty && $0.answers.values.allSatisfy { $0 == [1] } })
    queue.close()
  }

  @Test func brokenCoalescing() throws {
    let (rig, queue, sink) = try made()
    var random = Random(state: 8)
    let (frame, _) = tcp4(payload: 4000, random: &random)
    let parts = Self.fragments(frame, of: 1460)
    let good = receiveMessage([UInt8](repeating: 2, count: 60))
    for messages in [
      [parts[1], good], [parts[0], good], [parts[0], parts[1], good], [parts[0], parts[0], good], [good, parts[0]],
    ] {
      sink.frames = []
      rig.host.set { $0.answers = [:] }
      rig.host.deliver(messages)
      #expect(queue.turn(sink) { sink.frames.count == 1 })
      queue.flush()
      #expect(rig.host.get { $0.answers.values.allSatisfy { $0 == [2] } && $0.answers.count == 1 })
    }
    // More than 64 KiB, and more fragments than there may be.
    sink.frames = []
    let (long, _) = tcp4(payload: 60_000, random: &random)
    rig.host.deliver(Self.fragments(long + random.bytes(8000), of: 1460) + [good])
    #expect(queue.turn(sink) { sink.frames.count == 1 })
    #expect(sink.frames == [[UInt8](repeating: 2, count: 60)])
    queue.flush()
    #expect(rig.host.get { $0.onTheirWay.isEmpty })
    queue.close()
  }

  @Test func badRangesFailThePacketButNotTheRest() throws {
    let (rig, queue, sink) = try made()
    let good = receiveMessage([UInt8](repeating: 2, count: 60))
    func broken(_ change: (inout MutableRawSpan) -> Void) -> [UInt8] {
      var bytes = good
      bytes.withMutableBytes { change(&$0) }
      return bytes
    }
    let bad: [[UInt8]] = [
      broken { $0.storeLE(UInt32(7), at: 0) }, broken { $0.storeLE(UInt32(5000), at: 4) },
      broken { $0.storeLE(UInt32(7), at: 4) }, broken { $0.storeLE(UInt32.max, at: 8) },
      broken { $0.storeLE(UInt32.max, at: 12) }, broken { $0.storeLE(UInt32(0), at: 12) },
      broken { $0.storeLE(UInt32(13), at: 12) }, broken { $0.storeLE(UInt32(35), at: 8) },
      broken {
        $0.storeLE(UInt32(36), at: 28)
        $0.storeLE(UInt32(16), at: 32)
      },
      broken {
        $0.storeLE(UInt32(36), at: 28)
        $0.storeLE(UInt32.max, at: 32)
      },
      [1, 0, 0, 0, 8, 0, 0, 0], [UInt8](repeating: 0xff, count: 300),
    ]
    for message in bad {
      sink.frames = []
      rig.host.set { $0.answers = [:] }
      rig.host.deliver([message, good])
      #expect(queue.turn(sink) { sink.frames.count == 1 })
      queue.flush()
      #expect(rig.host.get { $0.answers.values.allSatisfy { $0 == [2] } && $0.answers.count == 1 })
    }
    // Ranges outside the buffer, and longer than a sub-allocation.
    for range in [
      TransferPageRange(byteCount: 100, byteOffset: 1 << 20), TransferPageRange(byteCount: .max, byteOffset: 0),
      TransferPageRange(byteCount: 1857, byteOffset: 0), TransferPageRange(byteCount: 100, byteOffset: .max),
      TransferPageRange(byteCount: 0, byteOffset: 0),
    ] {
      sink.frames = []
      rig.host.set { $0.answers = [:] }
      rig.host.set { $0.deliveries.append(Delivery(ranges: [(good, nil)], rawRanges: [range])) }
      #expect(queue.turn(sink) { sink.frames.count == 1 })
      queue.flush()
      #expect(rig.host.get { $0.answers.values.allSatisfy { $0 == [2] } && $0.answers.count == 1 })
    }
    // Another buffer, another kind of channel: nothing is taken, and the host gets its memory back.
    rig.host.set { state in
      state.answers = [:]
      state.deliveries.append(Delivery(ranges: [(good, nil)], setID: 0xcaff))
      state.deliveries.append(Delivery(ranges: [(good, nil)], type: .init(rawValue: 2)))
      state.deliveries.append(Delivery())
    }
    #expect(queue.turn(sink) { rig.host.get { $0.answers.count == 3 } })
    #expect(sink.frames.count == 1 && rig.host.get { $0.onTheirWay.isEmpty })
    queue.close()
  }

  @Test func aSinkThatIsFull() throws {
    let (rig, queue, sink) = try made()
    var random = Random(state: 33)
    var frames: [[UInt8]] = []
    let (long, _) = tcp4(payload: 9000, random: &random)
    for _ in 0..<10 {
      var messages: [[UInt8]] = []
      for _ in 0..<5 {
        frames.append(random.bytes(100 + random.below(1000)))
        messages.append(receiveMessage(frames.last!))
      }
      messages += Self.fragments(long, of: 1460)
      frames.append(long)
      rig.host.deliver(messages)
    }
    sink.room = 0
    let result = queue.forward(to: sink, limit: 100)
    #expect(result == ForwardResult(frameCount: 0, isBlocked: true))
    queue.flush()
    #expect(!queue.prepareToWait(forRoom: false))
    // Completions behind frames that nobody takes are reached all the same.
    for _ in 0..<200 {
      #expect(queue.put([UInt8](repeating: 1, count: 60)) || queue.turn(sink) { queue.reserve() != nil })
      queue.flush()
    }
    var moved = 0
    for _ in 0..<1000 where moved < frames.count {
      sink.room = 1 + random.below(3)
      let result = queue.forward(to: sink, limit: 1 + random.below(4))
      moved += result.frameCount
      queue.flush()
    }
    // The host's checksum fields were not verified, but the frames are the same.
    #expect(sink.frames.map(\.count) == frames.map(\.count))
    #expect(rig.host.get { $0.onTheirWay.isEmpty && $0.answers.values.allSatisfy { $0 == [1] } })
    queue.close()
  }

  @Test func noticesAreAnsweredIfTheyAsk() throws {
    let (rig, queue, sink) = try made()
    func notice(_ request: NVSPRequest) -> [UInt8] { [UInt8](zeroed: 104) { _ = request.store(into: &$0) } }
    let table = NVSPIndirectionTable(channelCount: 4)
    rig.host.set { state in
      state.notices = [
        (notice(.virtualFunction(NVSPVirtualFunction(isAllocated: true, serial: 2))), 1 << 63, true),
        (notice(.switchDataPath(.synthetic)), 1 << 63 | 1, true), (notice(.other(.init(rawValue: 200))), 0, false),
        ([1, 2], 77 << 40, true), ([UInt8](zeroed: 104) { _ = table.store(into: &$0, tableOffset: 40) }, 0, false),
        ([UInt8](zeroed: 20) { $0.storeLE(UInt32(134), at: 0) }, 0, false),
      ]
    }
    #expect(queue.turn(sink) { rig.host.get { $0.answers[77 << 40] != nil } })
    #expect(rig.host.get { $0.answers[1 << 63] != nil && $0.answers[1 << 63 | 1] != nil && $0.answers[0] == nil })
    #expect(rig.adapter.link.indirectionTable == table && !rig.adapter.isLost)
    queue.close()
  }

  @Test func linkIndications() throws {
    let (rig, queue, sink) = try made()
    let changes = ScriptedHost.Changes()
    let adapter = rig.adapter
    adapter.observe { [unowned adapter] in changes.add(adapter.info) }
    func indicate(_ bytes: [UInt8]) { rig.host.deliver([bytes], type: .control) }
    indicate(Array(Golden.g27[..<20]))
    #expect(queue.turn(sink) { !adapter.info.hasCarrier })
    var connect = Array(Golden.g27[..<20])
    connect[8] = 0x0b
    indicate(connect)
    #expect(queue.turn(sink) { adapter.info.hasCarrier })
    var speed = Array(Golden.g27[20...])
    speed.withMutableBytes { $0.storeLE(UInt32(25_000_000), at: 20) }
    // Windows Server 2012 R2 tells too short a length.
    speed.withMutableBytes { $0.storeLE(UInt32(20), at: 4) }
    indicate(speed)
    #expect(queue.turn(sink) { adapter.info.bitsPerSecond == 2_500_000_000 })
    var network = connect
    network[8] = 0x18
    indicate(network)
    var unknown = connect
    unknown.withMutableBytes { $0.storeLE(UInt32(0x4002_0006), at: 8) }
    indicate(unknown)
    indicate([UInt8](repeating: 0xff, count: 40))
    indicate([8, 0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0])
    #expect(queue.turn(sink) { rig.host.log.contains("KEEPALIVE_CMPLT") })
    #expect(changes.all.map(\.hasCarrier) == [false, true, true, false, true])
    queue.close()
  }
}

extension ScriptedHost {
  final class Changes: Sendable {
    private let seen = Monitor<[EthernetPortInfo]>([])
    func add(_ info: EthernetPortInfo) { seen.withLock { $0.append(info) } }
    var all: [EthernetPortInfo] { seen.withLock { $0 } }
  }
}
