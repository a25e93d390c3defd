import Foundation
import LinuxIO
import NetworkSupport
import Testing

extension EndToEnd {
  /// Single frames through the whole chain, made and looked at with raw sockets.
  @Suite(.serialized) struct NetworkFrames {
    /// Each arrives once, unchanged and in order.
    @Test(arguments: [false, true]) func everySize(isEmbedded: Bool) throws {
      let mtu = isEmbedded ? 1500 : 9000
      try Wire.with(isEmbedded: isEmbedded, mtu: mtu) { wire in
        let pair = try FramePair(wire)
        var generator = Generator(state: UInt64(mtu))
        let random = [UInt8](generator.data(2 * mtu))
        for isOutward in [true, false] {
          let sender = isOutward ? pair.guestSender : pair.outsideSender
          let receiver = isOutward ? pair.outsideReceiver : pair.guestReceiver
          let target = isOutward ? pair.outsideAddress : pair.guestAddress
          var frames: [[UInt8]] = []
          for size in 0...mtu {
            frames.append(pair.frame(to: target, payload: Array(random[size..<(2 * size)])))
          }
          var wrong = 0
          var start = 0
          while start < frames.count, wrong < 5 {
            // Fewer than any queue of the chain holds: none may be lost.
            let group = frames[start..<min(frames.count, start + 64)]
            start += 64
            for frame in group { try sender.send(frame) }
            for frame in group {
              let arrived = try receiver.receive()
              if arrived != LinkReceiver.Frame(bytes: frame) {
                wrong += 1
                let what = arrived.map { "\($0.bytes.count) bytes, \($0.bytes.prefix(20))" } ?? "nothing"
                Issue.record("a frame of \(frame.count) bytes, outward \(isOutward), arrived as \(what)")
              }
            }
          }
          try #expect(receiver.receive(milliseconds: 50) == nil, "a frame has arrived twice")
        }
        try #expect(wire.scratch.links(named: "syn0", in: wire.guest)["dropped"] as? Int == 0)
      }
    }

    /// A tag stays with its frame, with priority and identifier.
    @Test func tags() throws {
      try Wire.with { wire in
        let pair = try FramePair(wire)
        var generator = Generator(state: 4)
        func tag(_ type: UInt16, _ control: UInt16) -> [UInt8] {
          [type, control].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        }
        for isOutward in [true, false] {
          let sender = isOutward ? pair.guestSender : pair.outsideSender
          let receiver = isOutward ? pair.outsideReceiver : pair.guestReceiver
          let target = isOutward ? pair.outsideAddress : pair.guestAddress
          for control: UInt16 in [0x0001, 0x0064, 0x6064, 0x0fff, 0xefff, 0xe000, 0x0000] {
            // The kernel drops a tagged frame with fewer than two bytes behind its type.
            for size in [2, 45, 46, 100, 1496, 1500] {
              let frame = pair.frame(to: target, payload: [UInt8](generator.data(size)))
              try sender.send(Array(frame[..<12]) + tag(0x8100, control) + frame[12...])
              let wanted = LinkReceiver.Frame(bytes: frame, tag: LinkReceiver.Tag(type: 0x8100, control: control))
              try #expect(
                receiver.receive() == wanted, "tag \(control) on \(size) bytes, outward \(isOutward)")
            }
          }
        }
        // A tag in a tag, and a provider's tag: the kernel takes the outer one out, the inner one stays.
        let inner = try LinkReceiver(index: wire.outside.index("vsw0"), in: wire.outside.open(), type: 0x8100)
        for outer: UInt16 in [0x8100, 0x88a8] {
          let frame = pair.frame(to: pair.outsideAddress, payload: [UInt8](generator.data(300)))
          let tagged = Array(frame[..<12]) + tag(0x8100, 0x2005) + frame[12...]
          try pair.guestSender.send(Array(tagged[..<12]) + tag(outer, 0x0007) + tagged[12...])
          try #expect(
            inner.receive() == LinkReceiver.Frame(bytes: tagged, tag: LinkReceiver.Tag(type: outer, control: 7)),
            "tags in \(outer)")
        }
      }
    }

    /// A checksum that is wrong stays wrong, so that the receiver's kernel sees it; a right one is taken.
    @Test(arguments: [false, true]) func wrongChecksums(isEmbedded: Bool) throws {
      try Wire.with(isEmbedded: isEmbedded) { wire in
        let pair = try FramePair(wire)
        for isOutward in [true, false] {
          let receiver = isOutward ? wire.outside : wire.guest
          let sender = isOutward ? pair.guestSender : pair.outsideSender
          let source: [UInt8] = [10, 77, 0, isOutward ? 2 : 1]
          let destination: [UInt8] = [10, 77, 0, isOutward ? 1 : 2]
          let macs = isOutward ? pair.outsideAddress + pair.guestAddress : pair.guestAddress + pair.outsideAddress
          for proto: UInt8 in [6, 17] {
            let before = try ProtocolCounters(receiver)
            for index in 0..<20 {
              let packet = Packet(proto: proto, source: source, destination: destination)
              try sender.send(macs + packet.bytes(payloadByteCount: index * 70, isRight: index % 2 == 0))
            }
            try waitUntil("all 20 packets are there") {
              try ProtocolCounters(receiver).received - before.received >= 20
            }
            let after = try ProtocolCounters(receiver)
            let errors = proto == 6 ? after.tcpErrors - before.tcpErrors : after.udpErrors - before.udpErrors
            #expect(errors == 10, "protocol \(proto), outward \(isOutward)")
          }
        }
      }
    }
  }
}

/// An IPv4 packet to a port where nobody listens.
private struct Packet {
  var proto: UInt8
  var source: [UInt8]
  var destination: [UInt8]

  /// With its type in front.
  func bytes(payloadByteCount: Int, isRight: Bool) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xff), UInt8(value & 0xff)] }
    let payload = (0..<payloadByteCount).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    var segment: [UInt8]
    if proto == 6 {
      // RST: it is not answered.
      segment = word(4000) + word(9) + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x04] + word(1000) + [0, 0, 0, 0] + payload
    } else {
      segment = word(4000) + word(9) + word(8 + payloadByteCount) + [0, 0] + payload
    }
    let sum = ~Self.sum(source + destination + [0, proto] + word(segment.count) + segment) & 0xffff
    let field = proto == 6 ? 16 : 6
    segment.replaceSubrange(field..<(field + 2), with: word(isRight ? sum : sum ^ 0x0110))
    var header: [UInt8] = [0x45, 0] + word(20 + segment.count) + [0, 1, 0, 0, 64, proto, 0, 0] + source + destination
    header.replaceSubrange(10..<12, with: word(~Self.sum(header) & 0xffff))
    return [8, 0] + header + segment
  }

  private static func sum(_ bytes: [UInt8]) -> Int {
    var sum = 0
    for (index, byte) in bytes.enumerated() { sum += index % 2 == 0 ? Int(byte) << 8 : Int(byte) }
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return sum
  }
}
