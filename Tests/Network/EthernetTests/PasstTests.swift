import Ethernet
import LinuxIO
import TestVectors
import Testing

/// Debian's passt at the other end of the stream: ARP, then a TCP connection to the loopback behind it.
@Suite struct PasstTests {
  @Test func talksToPasst() throws {
    try inNetworkNamespace {
      try run("ip link add up0 type bridge && ip addr add 10.77.0.2/24 dev up0 && ip link set up0 up")
      try run("ip route add default via 10.77.0.1")
      let path = "/tmp/synthgate-passt-\(ownProcess()).sock"
      let silence = try OwnedDescriptor.open("/dev/null", flags: 2)
      let passt = try ProcessHandle.start(
        ["/usr/bin/passt", "--foreground", "--quiet", "-4", "--socket", path], input: silence.number,
        output: silence.number, error: silence.number)
      defer {
        passt.send(signal: 15)
        if !passt.hasEnded(waiting: 2000) { passt.send(signal: 9) }
        _ = passt.exitCode()
        try? removeFile(path)
      }
      let port = try StreamPort(connectingTo: path, options: StreamPortOptions(reconnectMilliseconds: 50))
      defer { port.end() }
      for _ in 0..<100 where !port.info.hasCarrier { sleepThread(nanoseconds: 50_000_000) }
      try #require(port.info.hasCarrier, "\(port.disconnectReason ?? "")")
      try Conversation(try port.makeQueue()).run()
      #expect(port.disconnectCount == 0 && port.counters.framesDropped.value == 0)
    }
  }

  /// The guest's side.
  private final class Conversation {
    let queue: any EthernetQueue
    var got: [[UInt8]] = []

    init(_ queue: any EthernetQueue) {
      self.queue = queue
    }

    /// The first frame from now on for which `isWanted`, which may change what was got.
    func next(_ isWanted: ([UInt8]) -> Bool) throws -> [UInt8] {
      let sink = try CollectingSink { [self] bytes, _ in got.append(bytes) }
      let deadline = monotonicNanoseconds() + 5_000_000_000
      while monotonicNanoseconds() < deadline {
        if let index = got.firstIndex(where: isWanted) {
          defer { got.removeFirst(index + 1) }
          return got[index]
        }
        if queue.forward(to: sink, limit: 16).frameCount == 0, !queue.prepareToWait(forRoom: false) {
          _ = waitForInput([queue.readinessDescriptor], milliseconds: 100)
        }
      }
      throw CommandError(description: "passt does not answer")
    }

    func send(_ bytes: [UInt8], _ offload: FrameOffload) throws {
      #expect(try LentBytes(bytes, firstByteCount: 128, pieceByteCount: 1000).send(offload, to: queue))
      queue.flush()
    }

    func run() throws {
      let listener = try LoopbackListener(port: 5201)
      try send(
        hex("ffffffffffff 00155d0a0b0c 0806 0001080006040001 00155d0a0b0c 0a4d0002 000000000000 0a4d0001")
          + [UInt8](repeating: 0, count: 18), .plain)
      let reply = try next { $0.count >= 42 && $0[12..<14] == hex("0806")[...] && $0[20..<22] == [0, 2] }
      #expect(Array(reply[28..<32]) == hex("0a4d0001"))

      var frame = TCPFrame(sequence: 1000, acknowledgment: 0, flags: 0x02, window: 0xffff)
      try send(frame.bytes(seeded: true), frame.offload(segmentByteCount: nil))
      func number(_ bytes: [UInt8], _ offset: Int) -> Int {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
      }
      func isTCP(_ bytes: [UInt8]) -> Bool { bytes.count >= 54 && bytes[23] == 6 && bytes[34..<36] == hex("1451")[...] }
      let answer = try next { isTCP($0) && $0[47] & 0x12 == 0x12 }
      #expect(number(answer, 42) == 1001)
      frame = TCPFrame(sequence: 1001, acknowledgment: number(answer, 38) + 1, flags: 0x10, window: 0xffff)
      try send(frame.bytes(seeded: true), frame.offload(segmentByteCount: nil))

      // One frame with 4400 bytes, which the stream gets in four.
      frame.flags = 0x18
      frame.payload = SeededGenerator.payload(4400)
      try send(frame.bytes(seeded: true), frame.offload(segmentByteCount: 1460))
      var heard: [UInt8] = []
      while heard.count < 4400 {
        let more = listener.read(milliseconds: 3000)
        if more.isEmpty { break }
        heard += more
      }
      #expect(heard == frame.payload)
      _ = try next { isTCP($0) && number($0, 42) == 1001 + 4400 }

      let said = SeededGenerator.payload(3000)
      #expect(listener.write(said))
      var came: [UInt8] = []
      while came.count < said.count {
        let wanted = frame.acknowledgment + came.count
        let data = try next { isTCP($0) && $0.count > 54 && number($0, 38) == wanted & 0xffff_ffff }
        let start = 34 + Int(data[46] >> 4) * 4
        let pseudo = Array(data[26..<34]) + be16(6) + be16(Int(data[16]) << 8 + Int(data[17]) - 20)
        #expect(onesSum(pseudo + data[34...]) == 0xffff)
        came += data[start...]
      }
      #expect(came == said)
      frame = TCPFrame(sequence: 5401, acknowledgment: frame.acknowledgment + said.count, flags: 0x14)
      try send(frame.bytes(seeded: true), frame.offload(segmentByteCount: nil))
    }
  }
}
