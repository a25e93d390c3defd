import Ethernet
import TestVectors
import Testing

/// Linux cuts the same frames: what goes into a TAP with segmentation to be done comes, through a bridge, out of one that
/// can do none.
@Suite struct KernelSegmentationTests {
  @Test func kernelCutsAlike() throws {
    try inNetworkNamespace {
      let source = try RawTap("source", hasHeader: true)
      let target = try RawTap("target", hasHeader: false)
      try run(
        """
        ip link add bridge0 type bridge mcast_snooping 0 && sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        for link in source target; do ip link set $link mtu 9000 txqueuelen 10000 master bridge0 up || exit 1; done
        ip link set bridge0 up
        """)
      // A port that has just joined may not forward yet.
      var probe = TCPFrame(payload: [1, 2, 3, 4])
      probe.sequence = 99
      let wire = probe.bytes(seeded: false)
      var isForwarding = false
      for _ in 0..<50 where !isForwarding {
        #expect(source.write([UInt8](repeating: 0, count: 12) + wire))
        while let frame = target.read(milliseconds: 100) { isForwarding = isForwarding || frame == wire }
      }
      try #require(isForwarding)

      var random = SeededGenerator(seed: 4)
      var compared = 0
      for round in 0..<150 {
        let segment = random.number(round % 5 == 0 ? 48...300 : 500...8000)
        let payload = random.number(segment + 1...(round % 4 == 0 ? 60_000 : segment * 5))
        let frame = TCPFrame.random(&random, payloadByteCount: min(payload, segment * 400))
        let bytes = frame.bytes(seeded: true)
        let offload = frame.offload(segmentByteCount: segment)
        let header = VirtioNetHeader(offload)
        var prefix = (0..<8).map { UInt8(truncatingIfNeeded: header.low >> (8 * UInt64($0))) }
        prefix += (0..<4).map { UInt8(truncatingIfNeeded: header.high >> (8 * UInt32($0))) }
        let ours = try #require(try finish(bytes, offload, firstByteCount: 128, pieceByteCount: 4096)).map(\.bytes)
        try #require(source.write(prefix + bytes))
        var theirs: [[UInt8]] = []
        while theirs.count < ours.count, let next = target.read(milliseconds: 2000) {
          if next.count >= 12, next[6..<12] == bytes[6..<12] { theirs.append(next) }
        }
        if ours != theirs {
          let first = zip(ours, theirs).enumerated().first { $0.element.0 != $0.element.1 }
          Issue.record(
            """
            round \(round): \(ours.count) segments of \(segment), \(theirs.count) by Linux; IPv6 \(frame.isIPv6), tags \
            \(frame.tags), options \(frame.ipOptions.count) \(frame.tcpOptions.count), flags \(frame.flags)
            \(first.map { "\($0.offset)\n\($0.element.0.prefix(100))\n\($0.element.1.prefix(100))" } ?? "")
            """)
          return
        }
        compared += ours.count
      }
      #expect(compared > 1000)
    }
  }
}
