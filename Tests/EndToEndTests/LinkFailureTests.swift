import Foundation
import Testing

extension EndToEnd {
  /// Hosts and gateways that die, stop, and come back otherwise: a pause, not a loss, and nothing is left.
  @Suite(.serialized) struct LinkFailures {
    static let network = #"{ mac: "00:15:5d:00:00:01", uplink: "tap:vsw0", queues: 4 }"#

    /// The host is killed under load and started again. The link stays what it is; the load notices a pause.
    @Test func killedHostIsAPause() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        try lab.up(
          lab.bus + ["--address", LinkLab.address, "--gateway", LinkLab.peerAddress, "--route", "10.9.0.0/16"])
        try lab.awaitPing()
        let before = try identity(lab)
        let server = try lab.start(["iperf3", "-s", "-1", "--forceflush"], in: lab.peer)
        let monitor = try lab.start(["ip", "monitor", "link"], in: lab.guest)
        try waitUntil("iperf3 listens") { server.output.contains("listening") }
        let load = try lab.start(["iperf3", "-c", LinkLab.peerAddress, "-t", "7"], in: lab.guest)
        var pauses: [Double] = []
        for round in 0..<3 {
          try awaitTraffic(of: server)
          try lab.killHost()
          try waitUntil("the link has no carrier", seconds: 2) { try lab.report()?["carrier"] as? Bool == false }
          try #expect(lab.report()?["state"] as? String == "waiting for the host")
          usleep(UInt32(50_000 * round))
          let start = Date()
          try lab.startHost([Self.network])
          try awaitTraffic(of: server)
          pauses.append(Date().timeIntervalSince(start))
        }
        print("traffic went on \(pauses.map { "\(Int($0 * 1000)) ms" }) after the start of the host")
        #expect(pauses.allSatisfy { $0 < 2 }, "\(pauses)")
        let result = try load.wait(timeLimit: 30)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        try #expect(identity(lab) == before)
        monitor.send(SIGTERM)
        let changes = try monitor.wait(timeLimit: 5).output
        let states = changes.split(separator: "\n").filter { $0.contains("syn0") }.map { $0.contains("LOWER_UP") }
        #expect(states.contains(false) && states.last == true, "\(changes)")
        #expect(!changes.contains("Deleted"), "\(changes)")
        _ = try server.wait(timeLimit: 10)
        try lab.down()
      }
    }

    /// A killed gateway takes its link with it; the host has the NIC back at once, and the next command cleans up.
    @Test func killedGatewayLeavesNothing() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        let options = lab.bus + ["--address", LinkLab.address]
        try lab.up(options)
        for _ in 0..<3 {
          // A new one each time: a server whose client has vanished may stay busy with it.
          let server = try lab.start(["iperf3", "-s", "-1", "--forceflush"], in: lab.peer)
          try waitUntil("iperf3 listens") { server.output.contains("listening") }
          let load = try lab.start(["iperf3", "-c", LinkLab.peerAddress, "-t", "60"], in: lab.guest)
          try awaitTraffic(of: server)
          kill(try lab.process(), SIGKILL)
          try waitUntil("the link is gone", seconds: 2) { try lab.links(in: lab.guest) == ["lo"] }
          for process in [load, server] {
            process.send(SIGKILL)
            _ = try process.wait(timeLimit: 5)
          }
          let start = Date()
          try #expect(lab.report() == nil)
          #expect(lab.scratch.stateFiles.filter { $0.contains("/links/") } == [])
          try lab.up(options)
          try lab.awaitPing()
          let seconds = Date().timeIntervalSince(start)
          print("a new link took the place of a killed one after \(Int(seconds * 1000)) ms")
          #expect(seconds < 2)
        }
        try lab.down()
      }
    }

    /// `link up` right after the kill, without a command in between.
    @Test func linkUpTakesThePlaceOfAKilledOne() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        let options = lab.bus + ["--address", LinkLab.address]
        try lab.up(options)
        kill(try lab.process(), SIGKILL)
        try lab.up(options)
        try lab.awaitPing(seconds: 2)
        try lab.down()
        // With an embedded host the NIC dies with the gateway.
        try lab.up(["--address", LinkLab.address])
        kill(try lab.process(), SIGKILL)
        try lab.up(["--address", LinkLab.address])
        try lab.awaitPing(seconds: 2)
        kill(try lab.process(), SIGKILL)
        try waitUntil("the link is gone", seconds: 2) { try lab.links(in: lab.guest) == ["lo"] }
        // `link down` of it is content.
        try lab.down()
      }
    }

    /// A host that does not run for a while loses nothing for ever.
    @Test func stoppedHostGoesOn() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        try lab.up(lab.bus + ["--address", LinkLab.address])
        let server = try lab.start(["iperf3", "-s", "-1", "--forceflush"], in: lab.peer)
        try waitUntil("iperf3 listens") { server.output.contains("listening") }
        let load = try lab.start(["iperf3", "-c", LinkLab.peerAddress, "-t", "4"], in: lab.guest)
        try awaitTraffic(of: server)
        lab.signalHost(SIGSTOP)
        usleep(1_200_000)
        // Nobody can tell a host that sleeps from one that has nothing to say.
        try #expect(lab.report()?["carrier"] as? Bool == true)
        lab.signalHost(SIGCONT)
        let start = Date()
        try awaitTraffic(of: server)
        print("traffic went on \(Int(Date().timeIntervalSince(start) * 1000)) ms after SIGCONT")
        #expect(Date().timeIntervalSince(start) < 2)
        let result = try load.wait(timeLimit: 30)
        #expect(result.code == 0, "\(result.output)\(result.error)")
        try lab.awaitPing(seconds: 1)
        _ = try server.wait(timeLimit: 10)
        try lab.down()
        // And the guest can leave a host that does not run.
        try lab.up(lab.bus + ["--address", LinkLab.address])
        lab.signalHost(SIGSTOP)
        let leaving = try lab.inGuest([try Program.path, "link", "down", "syn0"])
        print("a link left a host that did not run after \(Int(leaving.seconds)) s")
        #expect(leaving.code == 0 && leaving.seconds < 20, "\(leaving)")
        lab.signalHost(SIGCONT)
      }
    }

    /// The host comes back without the NIC, later with it, and with a smaller MTU.
    @Test func hostComesBackOtherwise() throws {
      try LinkLab.with { lab in
        let first =
          #"{ id: 6a9d2c00-0000-0000-0000-000000000001, mac: "00:15:5d:00:00:01", uplink: "responder:10.77.0.1/24""#
        let second = #"{ id: 6a9d2c00-0000-0000-0000-000000000002, mac: "00:15:5d:00:00:02", uplink: none }"#
        try lab.startHost([first + " }", second])
        try lab.up(lab.bus + ["--nic", "0", "--address", LinkLab.address, "--mtu", "4000"])
        try lab.awaitPing()
        try lab.stopHost()
        try lab.startHost([second])
        usleep(600_000)
        try #expect(lab.report()?["carrier"] as? Bool == false)
        try #expect(lab.report()?["state"] as? String == "waiting for the host")
        try lab.stopHost()
        try lab.startHost([second, first + ", mtu: 2000 }"])
        try lab.awaitPing(seconds: 2)
        let report = try #require(try lab.report())
        #expect(report["mtu"] as? Int == 2000, "\(report)")
        #expect(report["state"] as? String == "up", "\(report)")
        #expect(report["nic"] as? String == "6a9d2c00-0000-0000-0000-000000000001", "\(report)")
        try #expect(lab.inGuest(["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "10.77.0.1"]).code == 0)
        try lab.stopHost()
        // What the host allows again is the administrator's to use.
        try lab.startHost([first + " }"])
        try lab.awaitPing(seconds: 2)
        try must("ip", "-n", lab.guest, "link", "set", "syn0", "mtu", "9000")
        try waitUntil("the NIC has the new MTU", seconds: 2) { try lab.report()?["mtu"] as? Int == 9000 }
        try lab.awaitPing(seconds: 2)
        try lab.down()
      }
    }

    /// A host that stays away: the link ends after the time that was asked for.
    @Test func lostHostEndsTheLink() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        try lab.up(lab.bus + ["--address", LinkLab.address, "--reconnect", "1"])
        try lab.killHost()
        usleep(500_000)
        try #expect(lab.links(in: lab.guest) == ["lo", "syn0"])
        try waitUntil("the link ends", seconds: 4) { try lab.links(in: lab.guest) == ["lo"] }
      }
    }

    /// `ip link del`: the process ends, and the host has its NIC back. A namespace that was deleted stops no `link down`.
    @Test func deletedLinkEndsItsProcess() throws {
      try LinkLab.with { lab in
        try lab.startHost([Self.network])
        for _ in 0..<2 {
          try lab.up(lab.bus + ["--address", LinkLab.address])
          let id = try lab.process()
          try must("ip", "-n", lab.guest, "link", "del", "syn0")
          try waitUntil("the process ends", seconds: 2) { !isAlive(id) }
          #expect(lab.scratch.stateFiles.filter { $0.contains("/links/") } == [])
        }
        let other = lab.guest + "2"
        try must("ip", "netns", "add", other)
        let result = try lab.scratch.synthgate(
          "link", "up", "syn0", "--netns", other, "--bus", "socket:\(lab.socket)", "--address", LinkLab.address)
        #expect(result.code == 0, "\(result.error)")
        let id = try lab.process()
        // The kernel keeps a namespace without a name as long as somebody uses it.
        try must("ip", "netns", "del", other)
        let leaving = try lab.scratch.synthgate("link", "down", "syn0", "--netns", other)
        #expect(leaving.code == 0, "\(leaving.error)")
        #expect(!isAlive(id))
      }
    }

    /// What a restart must not change: index, addresses, routes.
    private func identity(_ lab: LinkLab) throws -> String {
      let index = try must("ip", "-n", lab.guest, "-o", "link", "show", "syn0").split(separator: ":")[0]
      let addresses = try must("ip", "-n", lab.guest, "-4", "-o", "addr", "show", "syn0")
      let routes = try must("ip", "-n", lab.guest, "route", "show", "dev", "syn0")
      #expect(routes.contains("default") && routes.contains("10.9.0.0/16"), "\(routes)")
      return "\(index)\n\(addresses)\n\(routes.replacing(" linkdown", with: ""))"
    }

    /// Waits until the bridge, which `server` sees, gets another 256 KiB: acknowledgements alone are far less.
    private func awaitTraffic(of server: Command) throws {
      func received() throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(server.id)/net/dev", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.contains("br0:") }, "\(text)")
        return try #require(Int(line.split(separator: " ")[1]))
      }
      let start = try received()
      try waitUntil("traffic flows", seconds: 5) { try received() > start + (256 << 10) }
    }
  }
}
