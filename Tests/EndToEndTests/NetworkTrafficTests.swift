import Foundation
import Testing

extension EndToEnd {
  /// What users do with a link, between two machines.
  @Suite(.serialized) struct NetworkTraffic {
    @Test(arguments: [false, true]) func pings(isEmbedded: Bool) throws {
      try Wire.with(isEmbedded: isEmbedded) { wire in
        for size in ["0", "56", "1472", "1473", "20000", "65000"] {
          try #expect(wire.ping(Wire.outsideAddress, "-s", size), "-s \(size)")
          try #expect(wire.ping(Wire.outsideAddress6, "-s", size), "IPv6, -s \(size)")
          try #expect(wire.outside.ping(Wire.guestAddress, ["-s", size]), "inward, -s \(size)")
          try #expect(wire.outside.ping(Wire.guestAddress6, ["-s", size]), "inward, IPv6, -s \(size)")
        }
        try #expect(wire.ping(Wire.outsideAddress, "-M", "do", "-s", "1472"))
        try #expect(!wire.ping(Wire.outsideAddress, "-M", "do", "-s", "1473"))
        let flood = try wire.guest.attempt("ping", "-q", "-f", "-c", "5000", Wire.outsideAddress)
        #expect(flood.output.contains(" 0% packet loss"), "\(flood.output)")
      }
    }

    @Test(arguments: [false, true]) func iperf(isEmbedded: Bool) throws {
      try Wire.with(isEmbedded: isEmbedded) { wire in
        let server = try wire.outside.start(["iperf3", "--server"])
        try waitUntil("iperf3 listens") { try wire.outside.run("ss -Htln sport = :5201") != "" }
        func measure(_ options: [String]) throws -> [String: Any] {
          let result = try run(
            wire.guest.prefix + ["iperf3", "--client", Wire.outsideAddress, "--time", "1", "--json"] + options,
            timeLimit: 20)
          #expect(result.code == 0, "iperf3 \(options): \(result.output.suffix(300))\(result.error)")
          let report = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
          return try #require(report?["end"] as? [String: Any])
        }
        for options in [[], ["--reverse"], ["--parallel", "4"], ["--parallel", "4", "--reverse"]] {
          let end = try measure(options)
          let received = try #require(end["sum_received"] as? [String: Any])
          let rate = try #require(received["bits_per_second"] as? Double)
          #expect(rate > 100e6, "iperf3 \(options)")
          let words = (isEmbedded ? ["embedded"] : []) + options
          print("iperf3 \(words.joined(separator: " ")): \((rate / 1e8).rounded() / 10) Gbit/s")
        }
        for options in [[], ["--reverse"]] {
          let receiver = options.isEmpty ? wire.outside : wire.guest
          let before = try ProtocolCounters(receiver).udpBufferErrors
          let end = try measure(["--udp", "--bitrate", "50M", "--length", "1400"] + options)
          let sum = try #require(end["sum"] as? [String: Any])
          let count = try #require(sum["packets"] as? Int)
          let lost = try #require(sum["lost_packets"] as? Int)
          #expect(count > 3000, "UDP \(options): \(sum)")
          // What a busy iperf3 did not fetch in time has arrived all the same.
          let unread = try ProtocolCounters(receiver).udpBufferErrors - before
          #expect(lost - unread <= count / 50, "UDP \(options), \(unread) not fetched: \(sum)")
          let streams = end["streams"] as? [[String: Any]] ?? []
          let disordered = (streams.first?["udp"] as? [String: Any])?["out_of_order"] as? Int
          #expect(disordered == 0, "UDP \(options): \(streams)")
        }
        server.send(SIGTERM)
        _ = try server.wait(timeLimit: 5)
        try #expect(wire.scratch.links(named: "syn0", in: wire.guest)["dropped"] as? Int == 0)
      }
    }

    /// 200 MB, there and back, by programs that know nothing of Synthgate.
    @Test func largeFile() throws {
      try Wire.with { wire in
        let scratch = wire.scratch
        let served = try scratch.directory("served")
        let got = scratch.file("got")
        try shell(
          #"head -c 200M /dev/zero | openssl enc -aes-128-ctr -pass pass:x -nosalt 2>/dev/null > "$1/file""#, served)
        let sum = try must("sha256sum", "\(served)/file").prefix(64)
        for (server, client, address) in [
          (wire.outside, wire.guest, Wire.outsideAddress), (wire.guest, wire.outside, "[\(Wire.guestAddress6)]"),
        ] {
          let httpd = try server.start(["busybox", "httpd", "-f", "-p", "80", "-h", served])
          try waitUntil("httpd listens") { try server.run("ss -Htln sport = :80") != "" }
          let start = Date()
          try client.run("busybox wget -q -O '\(got)' 'http://\(address)/file'")
          print("200 MB over HTTP: \((Date().timeIntervalSince(start) * 10).rounded() / 10) s")
          try #expect(must("sha256sum", got).prefix(64) == sum)
          try must("rm", got)
          httpd.send(SIGTERM)
          _ = try httpd.wait(timeLimit: 5)
        }
      }
    }

    /// Whatever the two kernels leave to their links, and whatever the size of a frame: the stream is the same.
    @Test(arguments: [1280, 1500, 9000]) func offloads(mtu: Int) throws {
      try Wire.with(mtu: mtu) { wire in
        let settings = [
          "tx on sg on tso on gso on gro on", "tx on sg on tso off gso on gro on",
          "tx on sg on tso off gso off gro off",
          "tx off sg off tso off gso off gro off", "tx off sg on gso on tso off gro on",
        ]
        let byteCount = 2 << 20
        for guest in settings {
          try wire.guest.run("ethtool -K syn0 \(guest)")
          for outside in settings {
            try wire.outside.run("ethtool -K vsw0 \(outside)")
            let both = "\(guest) | \(outside)"
            // In turn, for time: each combination has one stream each way.
            let isIPv6 = guest != outside
            let there = isIPv6 ? Wire.outsideAddress6 : Wire.outsideAddress
            let back = isIPv6 ? Wire.guestAddress6 : Wire.guestAddress
            try #expect(
              Transfer.tcp(byteCount, from: wire.guest, to: wire.outside, address: there) == byteCount, "out: \(both)")
            try #expect(
              Transfer.tcp(byteCount, from: wire.outside, to: wire.guest, address: back) == byteCount, "in: \(both)")
          }
        }
        try #expect(wire.ping(Wire.outsideAddress, "-M", "do", "-s", "\(mtu - 28)"))
        let errors = try wire.outside.run("cat /proc/net/snmp") + wire.guest.run("cat /proc/net/snmp")
        for line in errors.split(separator: "\n") where line.hasPrefix("Tcp: ") {
          if let last = line.split(separator: " ").last.flatMap({ Int($0) }) {
            #expect(last == 0, "TCP segments with a wrong checksum")
          }
        }
      }
    }
  }
}
