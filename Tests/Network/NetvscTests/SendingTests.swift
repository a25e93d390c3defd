import Ethernet
@testable import Netvsc
import NetvscProtocol
import Testing
import WireBytes

@Suite struct SendingTests {
  private func made(
    _ host: ScriptedHost = ScriptedHost(), _ threading: Threading = .inline
  ) throws -> (Rig, any EthernetQueue) {
    let rig = try Rig(host, threading)
    return (rig, try rig.adapter.makeQueue())
  }

  @Test func packetsAreThoseOfTheBook() throws {
    let (rig, queue) = try made()
    // G34 plain, G35 checksum, both from memory of another: no gap.
    #expect(try queue.lend(Array(Golden.g34[44...])))
    #expect(
      try queue.lend(Array(Golden.g35[60...]), FrameOffload(checksum: .partial(start: 34, offset: 16))))
    // G37, as a TAP delivers it, becomes G38 with a tag.
    let frame = Array(Golden.g37[12...]) + [UInt8](repeating: 0x61, count: 4400)
    #expect(
      try queue.lend(
        frame,
        FrameOffload(
          checksum: .partial(start: 34, offset: 16),
          segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54), vlan: 0x6064)))
    queue.flush()
    let sent = rig.host.sent
    #expect(sent.map(\.bytes) == [Golden.g34, Golden.g35, Golden.g38 + [UInt8](repeating: 0x61, count: 4400)])
    var packet = Golden.g17
    packet.replaceSubrange(8..<16, with: sent[0].packet[8..<16])
    packet.replaceSubrange(24..<28, with: sent[0].packet[24..<28])
    #expect(sent[0].packet == packet)
    queue.close()
    let counts = rig.adapter.queueStatistics[0]
    #expect(counts.sentFrames == 3 && counts.largeSends == 1 && counts.checksumRequests == 1 && counts.sendErrors == 0)
  }

  @Test func roomKeepsTheFrameWhereItIs() throws {
    let (rig, queue) = try made()
    let frame = Array(Golden.g37[12...]) + [UInt8](repeating: 0x61, count: 4400)
    let offload = FrameOffload(
      checksum: .partial(start: 34, offset: 16),
      segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54), vlan: 0x6064)
    for start in [0, 4, 63] { #expect(queue.put(frame, start: start, offload)) }
    queue.flush()
    for (sent, start) in zip(rig.host.sent, [0, 4, 63]) {
      let (packet, information, bytes) = try sent.parsed()
      #expect(packet.data.lowerBound == 128 + start && packet.isPlain)
      #expect(information.vlan?.tagControl == 0x6064 && information.largeSend?.rawValue == 0x4220_05b4)
      #expect(bytes == Array(Golden.g38[76...]) + [UInt8](repeating: 0x61, count: 4400))
    }
    // The same room until it is used.
    let first = queue.reserve()!.bytes[0].address
    #expect(queue.reserve()!.bytes[0].address == first)
    #expect(queue.reserve()!.bytes[0].byteCount >= FrameRoom.minimumFirstByteCount)
    #expect(queue.reserve()!.bytes.byteCount >= FrameRoom.maximumFrameByteCount + 63)
    queue.close()
  }

  @Test(arguments: [UInt32(6144), 2048, 512]) func everyLength(_ section: UInt32) throws {
    let host = ScriptedHost()
    host.set { $0.sectionByteCount = section }
    let (rig, queue) = try made(host)
    var random = Random(state: 17)
    let lengths = Array(14...1514) + [2048, 4096, 5972, 6015, 6016, 6017, 6100, 9014, 30_000, 65_535, 65_549, 65_553]
    for length in lengths {
      let frame = random.bytes(length)
      host.set { $0.sent = [] }
      #expect(try queue.lend(frame))
      #expect(queue.put(frame, start: length % 64))
      queue.flush()
      let sent = host.sent
      #expect(sent.count == 2)
      for message in sent {
        let (packet, information, bytes) = try message.parsed()
        #expect(bytes == frame && information.byteCount == 0 && packet.byteCount == message.bytes.count)
        #expect(message.sectionByteCount == min(Int(section), packet.byteCount))
        // The header lies in the section.
        #expect(message.sectionByteCount >= min(packet.byteCount, 128))
      }
      #expect(queue.turn { rig.adapter.queueStatistics[0].sendErrors == 0 })
    }
    // What can never be sent is taken and counted.
    #expect(try queue.lend(random.bytes(13)))
    #expect(queue.put(random.bytes(13)))
    #expect(rig.adapter.queueStatistics[0].sentDrops == 2)
    queue.close()
  }

  @Test func frameThatTheHostCannotSum() throws {
    let host = ScriptedHost()
    host.set { $0.offered = NDISOffload() }
    let (rig, queue) = try made(host)
    var random = Random(state: 3)
    for payload in [0, 1, 999, 1460] {
      let (frame, offload) = tcp4(payload: payload, random: &random)
      #expect(try queue.lend(frame, offload))
      #expect(queue.put(frame, offload))
    }
    queue.flush()
    for message in host.sent {
      let (_, information, frame) = try message.parsed()
      #expect(information.byteCount == 0 && isTCPSumRight(frame))
    }
    #expect(host.sent.count == 8 && rig.adapter.queueStatistics[0].softwareChecksums == 8)
    queue.close()
  }

  /// The payload of TCP over all frames, by sequence number.
  private func reassemble(_ host: ScriptedHost, finish: (SentMessage) throws -> Void) throws -> [UInt8] {
    var stream: [UInt8] = []
    for message in host.sent {
      try finish(message)
      let frame = try message.parsed().frame
      #expect(frame.rawSpan.be32(at: 38) == 0x0102_0304 + UInt32(stream.count))
      stream += frame[54...]
    }
    return stream
  }

  @Test func frameThatTheHostCannotCut() throws {
    let host = ScriptedHost()
    host.set { $0.offered = NDISOffload() }
    let (rig, queue) = try made(host)
    var random = Random(state: 4)
    let (frame, offload) = tcp4(payload: 60_000, segment: 1460, random: &random)
    for lends in [true, false] {
      host.set { $0.sent = [] }
      #expect(lends ? try queue.lend(frame, offload) : queue.put(frame, offload))
      #expect(queue.turn { host.sent.count == 42 })
      var index: UInt16 = 0
      let stream = try reassemble(host) { message in
        let piece = try message.parsed().frame
        #expect(isTCPSumRight(piece) && piece.count <= 1514)
        #expect(InternetChecksum.sum(piece.rawSpan, 14..<34) == 0xffff)
        #expect(piece.rawSpan.be16(at: 18) == 0x1234 + index)
        let isLast = index == 41
        // PSH is for the last piece.
        #expect(piece[47] == (isLast ? 0x18 : 0x10))
        index += 1
      }
      #expect(stream == Array(frame[54...]))
    }
    #expect(rig.adapter.queueStatistics[0].cutFrames == 2)
    queue.close()
  }

  @Test func frameThatIsTooLongForTheHost() throws {
    let (rig, queue) = try made()
    var random = Random(state: 5)
    let (frame, offload) = tcp4(payload: 65_000, segment: 1460, random: &random)
    #expect(queue.put(frame, offload))
    #expect(queue.turn { rig.host.sent.count == 2 })
    let stream = try reassemble(rig.host) { message in
      let (_, information, piece) = try message.parsed()
      // 42 segments fit 62780 bytes; the rest is two segments.
      #expect(information.largeSend?.segmentByteCount == 1460 && piece.count <= 62_780)
      var headers = Array(piece.prefix(128))
      let offload = try headers.withMutableBytes {
        try information.transmitOffload(headers: &$0, frameByteCount: piece.count)
      }
      #expect(offload.needsChecksum)
    }
    #expect(stream == Array(frame[54...]))
    queue.close()
  }

  @Test func framesWithWrongOffloadsAreDropped() throws {
    let (rig, queue) = try made()
    let frame = [UInt8](repeating: 1, count: 3000)
    let wrong = FrameOffload(
      checksum: .partial(start: 34, offset: 16), segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54))
    for offload in [
      wrong, FrameOffload(segmentation: .tcp6(segmentByteCount: 100, headerByteCount: 74)),
      FrameOffload(checksum: .partial(start: 3000, offset: 16)),
    ] {
      #expect(try queue.lend(frame, offload))
      #expect(queue.put(frame, offload))
    }
    #expect(rig.adapter.queueStatistics[0].sentDrops == 6 && rig.host.sent.isEmpty)
    #expect(queue.put(frame))
    queue.flush()
    #expect(rig.host.sent.count == 1)
    queue.close()
  }

  @Test func aFullQueueWakesItsOwner() throws {
    let host = ScriptedHost()
    host.set { $0.holdsCompletions = true }
    let (rig, queue) = try made(host)
    var count = 0
    while queue.put([UInt8](repeating: UInt8(count & 0xff), count: 60)) {
      count += 1
      #expect(count < 10_000)
    }
    queue.flush()
    // 42 sections of 6144 bytes; what is reserved does not need an overflow buffer in the end.
    #expect(count == 42 && queue.reserve() == nil)
    #expect(try !queue.lend([UInt8](repeating: 1, count: 60)))
    let sink = CollectingSink()
    _ = queue.forward(to: sink, limit: 10)
    queue.flush()
    #expect(!queue.prepareToWait(forRoom: true))
    host.set { $0.holdsCompletions = false }
    rig.device.wakeHost()
    _ = queue.forward(to: sink, limit: 10)
    #expect(queue.prepareToWait(forRoom: true))
    #expect(queue.put([UInt8](repeating: 1, count: 60)))
    queue.flush()
    #expect(host.sent.count == 43 && host.get { $0.filter } == 0x0d)
    // Long frames: as many as there are overflow buffers.
    host.set { $0.holdsCompletions = true }
    var long = 0
    while queue.put([UInt8](repeating: 2, count: 20_000)) { long += 1 }
    #expect(long == 4)
    host.set { $0.holdsCompletions = false }
    queue.flush()
    #expect(queue.turn { queue.put([UInt8](repeating: 2, count: 20_000)) })
    queue.close()
  }

  @Test func aFullRingLosesNothing() throws {
    let host = ScriptedHost()
    let rig = try Rig(host, .threaded) {
      $0.ringByteCount = 16 * 1024
      $0.sendBufferByteCount = 4 << 20
    }
    let queue = try rig.adapter.makeQueue()
    let sink = CollectingSink()
    var random = Random(state: 9)
    var sentFrames: [[UInt8]] = []
    var received = 0
    for round in 0..<1500 {
      let frame = random.bytes(60 + round % 1400)
      for _ in 0..<100_000 {
        if queue.put(frame) {
          sentFrames.append(frame)
          break
        }
        queue.flush()
        received += queue.forward(to: sink, limit: 64).frameCount
      }
      if round % 3 == 0 { host.deliver([receiveMessage(frame), receiveMessage(frame)]) }
      if round % 500 == 499 {
        queue.flush()
        rig.device.wakeHost()
      }
    }
    #expect(
      queue.turn(sink) {
        rig.device.wakeHost()
        return host.get { $0.sent.count == 1500 && $0.onTheirWay.isEmpty && $0.deliveries.isEmpty }
      })
    #expect(try host.sent.map { try $0.parsed().frame } == sentFrames)
    #expect(sink.frames.count == 1000)
    #expect(host.get { $0.answers.values.allSatisfy { $0 == [1] } && $0.badAnswers == 0 })
    #expect(rig.adapter.queueStatistics[0].fullRings > 0)
    queue.close()
  }

  @Test func completionsOfNothing() throws {
    let (rig, queue) = try made()
    #expect(queue.put([UInt8](repeating: 1, count: 60)))
    queue.flush()
    #expect(queue.turn { rig.adapter.queueStatistics[0].strayCompletions == 0 })
    let old = rig.host.sent[0].id
    rig.host.set { $0.strays = [old, old, 0, 1, 42, 43, 1 << 32 | 43, .max, 0xffff_ffff, 5 << 32 | 2] }
    #expect(queue.turn { rig.adapter.queueStatistics[0].strayCompletions >= 9 })
    for _ in 0..<200 { #expect(queue.turn { queue.put([UInt8](repeating: 1, count: 60)) }) }
    #expect(queue.turn { rig.host.sent.count == 201 })
    queue.close()
  }

  @Test func framesThatTheHostRefusesAreCounted() throws {
    let host = ScriptedHost()
    host.set { $0.sendStatusOfFrames = .invalidRNDISPacket }
    let (rig, queue) = try made(host)
    #expect(queue.put([UInt8](repeating: 1, count: 60)))
    #expect(queue.turn { rig.adapter.queueStatistics[0].sendErrors == 1 })
    queue.close()
  }
}
