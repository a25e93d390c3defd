import Foundation
import Testing

extension EndToEnd {
  /// Many links, many queues, long and idle times.
  @Suite(.serialized) struct LinkScale {
    static let network = LinkFailures.network

    @Test func eightProcessesAtOneHost() throws {
      try LinkLab.with { lab in
        try lab.startHost(
          (1...8).map { "{ mac: \"00:15:5d:00:00:0\($0)\", uplink: \"tap:vsw0\", queues: 2 }" })
        // A request for one link's address is not for the others to answer.
        try must("ip", "netns", "exec", lab.guest, "sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1")
        for number in 1...8 {
          try must("ip", "-n", lab.peer, "addr", "add", "10.78.\(number).1/24", "dev", "br0")
          let options = ["--nic", "\(number - 1)", "--queues", "1", "--address", "10.78.\(number).2/24"]
          try lab.up("syn\(number)", lab.bus + options)
        }
        let pings = try (1...8).map {
          try lab.start(["ping", "-q", "-i", "0.05", "-c", "10", "-W", "2", "10.78.\($0).1"], in: lab.guest)
        }
        for ping in pings {
          let result = try ping.wait(timeLimit: 15)
          #expect(result.output.contains(" 10 received"), "\(result.output)")
        }
        let host = try ProcessFigures(lab.hostID)
        let gateways = try (1...8).map { try ProcessFigures(lab.process(of: "syn\($0)")) }
        let most = gateways.map(\.residentKibibytes).max() ?? 0
        print(
          "8 links: host \(host.threads) threads, \(host.residentKibibytes) KiB; gateways at most"
            + " \(gateways.map(\.threads).max() ?? 0) threads, \(most) KiB")
        #expect(gateways.allSatisfy { $0.threads <= 10 })
        #expect(host.threads <= 8 * 4 + 10)
        #expect(most < 64 << 10)
        // Each goes alone, and leaves the others as they are.
        for number in 1...7 {
          try lab.down("syn\(number)")
          try #expect(lab.links(in: lab.guest) == ["lo"] + ((number + 1)...8).map { "syn\($0)" })
        }
        try lab.awaitPing("10.78.8.1", seconds: 1)
        try lab.down("syn8")
      }
    }

    /// The number of channels is what the host allows and the guest wants, and all of them carry frames.
    @Test(arguments: [(1, 4), (2, 4), (4, 4), (4, 2), (4, 1)]) func queues(ofHost: Int, ofGuest: Int) throws {
      try LinkLab.with { lab in
        try lab.startHost([#"{ mac: "00:15:5d:00:00:01", uplink: "tap:vsw0", queues: \#(ofHost) }"#])
        try lab.up(lab.bus + ["--address", LinkLab.address, "--queues", "\(ofGuest)"])
        try #expect(lab.report()?["queues"] as? Int == min(ofHost, ofGuest))
        try lab.awaitPing()
        for (port, reverse) in [("5201", []), ("5202", ["-R"])] {
          let server = try lab.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], in: lab.peer)
          try waitUntil("iperf3 listens") { server.output.contains("listening") }
          let load = try lab.inGuest(
            ["iperf3", "-c", LinkLab.peerAddress, "-p", port, "-t", "1", "-P", "8"] + reverse)
          #expect(load.code == 0, "\(load.output)\(load.error)")
          _ = try server.wait(timeLimit: 10)
        }
        try lab.down()
      }
    }

    @Test func upInLessThanASecond() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        var times: [Double] = []
        for options in [["--address", LinkLab.address], lab.bus + ["--address", LinkLab.address]] {
          var best = Double.infinity
          for _ in 0..<3 {
            let start = Date()
            let seconds = try lab.up(options)
            // It is ready: the first packet of all gets through.
            try #expect(lab.inGuest(["ping", "-c", "1", "-W", "1", LinkLab.peerAddress]).code == 0)
            #expect(Date().timeIntervalSince(start) < 3)
            best = min(best, seconds)
            try lab.down()
          }
          times.append(best)
        }
        print("link up took \(Int(times[0] * 1000)) ms embedded, \(Int(times[1] * 1000)) ms at a host")
        #expect(times.allSatisfy { $0 < 1 }, "\(times)")
      }
    }

    @Test func idleCostsNothing() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        // Without IPv6 the kernels at both ends have nothing to say of their own.
        for namespace in [lab.guest, lab.peer] {
          try must("ip", "netns", "exec", namespace, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
        }
        try lab.up(lab.bus + ["--address", LinkLab.address])
        try lab.up("syn1", ["--address", "10.79.0.2/24"])
        try lab.awaitPing()
        let processes = [lab.hostID, try lab.process(), try lab.process(of: "syn1")]
        sleep(1)
        let before = try processes.map { try ProcessFigures($0).ticks }
        sleep(3)
        let spent = try zip(processes, before).map { try ProcessFigures($0).ticks - $1 }
        print("idle for 3 s: host, gateway and gateway with embedded host spent \(spent) ticks of 10 ms")
        #expect(spent.allSatisfy { $0 <= 1 }, "\(spent)")
        try lab.down("syn1")
        try lab.down()
      }
    }

    @Test func memoryStaysFlat() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        try lab.up(lab.bus + ["--address", LinkLab.address, "--mtu", "1500"])
        let processes = [lab.hostID, try lab.process()]
        let seconds = Program.isLong ? 240 : 12
        let server = try lab.start(["iperf3", "-s", "-1", "--forceflush"], in: lab.peer)
        try waitUntil("iperf3 listens") { server.output.contains("listening") }
        let load = try lab.start(
          ["iperf3", "-c", LinkLab.peerAddress, "--bidir", "-P", "2", "-t", "\(seconds)"], in: lab.guest)
        var samples: [[Int]] = []
        for _ in 0..<(seconds - 2) {
          sleep(1)
          samples.append(try processes.map { try ProcessFigures($0).residentKibibytes })
        }
        let result = try load.wait(timeLimit: 30)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        _ = try server.wait(timeLimit: 10)
        let early = samples[samples.count / 2]
        let late = try #require(samples.last)
        print("resident memory of host and gateway: \(early) KiB after half of the load, \(late) KiB at its end")
        #expect(zip(early, late).allSatisfy { $1 - $0 < 4096 }, "\(samples)")
        try lab.down()
      }
    }
  }
}
