import Foundation
import Testing

extension EndToEnd {
  /// `synthgate link up`, `links`, `link down`: what `ip` says, and what is left.
  @Suite(.serialized) struct Links {
    /// Keys of `links --json`: they are only ever added.
    private static let keys: Set<String> = [
      "name", "netns", "mac", "mtu", "carrier", "addresses", "nic", "queues", "bus", "state", "receivedFrames",
      "receivedBytes", "sentFrames", "sentBytes", "dropped", "doorbells", "process",
    ]

    @Test func upShowsAndDownRemoves() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        let outside = try scratch.namespace("b")
        let host = try HostProcess(
          scratch, networks: ["{ mac: \"\(Wire.mac)\", uplink: \"tap:vsw0\" }"], in: outside)
        // Twice: what is gone can be had again.
        for mtu in [1500, 4000] {
          try scratch.linkUp(
            "syn0", in: guest, "--bus", host.bus, "--mtu", "\(mtu)", "--address", "10.77.0.2/24", "--address",
            "fd77::2/64", "--gateway", "10.77.0.1", "--route", "10.78.0.0/16,10.77.0.9", "--route", "10.79.0.0/16")
          try guest.waitForAddresses("syn0")

          let link = try #require(try guest.link("syn0"))
          #expect(link["address"] as? String == Wire.mac)
          #expect(link["mtu"] as? Int == mtu)
          let flags = try #require(link["flags"] as? [String])
          #expect(flags.contains("UP") && flags.contains("LOWER_UP") && !flags.contains("NO-CARRIER"), "\(flags)")
          let found = try guest.ip("addr show dev syn0").flatMap { $0["addr_info"] as? [[String: Any]] ?? [] }
          let addresses = found.filter { $0["scope"] as? String == "global" }
            .map { "\($0["local"] ?? "")/\($0["prefixlen"] ?? "")" }
          #expect(addresses == ["10.77.0.2/24", "fd77::2/64"])
          let routes = try guest.run("ip route show dev syn0").split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }
          #expect(routes.contains { $0.hasPrefix("default via 10.77.0.1") }, "\(routes)")
          #expect(routes.contains { $0.hasPrefix("10.78.0.0/16 via 10.77.0.9") }, "\(routes)")
          #expect(routes.contains { $0.hasPrefix("10.79.0.0/16 ") && !$0.contains("via") }, "\(routes)")

          try outside.run("ip addr replace 10.77.0.1/24 dev vsw0")
          try #expect(guest.ping("10.77.0.1"))
          let report = try scratch.links(named: "syn0", in: guest)
          #expect(Self.keys.subtracting(report.keys) == [], "keys are missing")
          #expect(report["mac"] as? String == Wire.mac && report["mtu"] as? Int == mtu)
          #expect(report["carrier"] as? Bool == true && report["state"] as? String == "up")
          #expect(report["bus"] as? String == host.bus)
          let reported = try #require(report["addresses"] as? [String])
          #expect(Set(reported).isSuperset(of: ["10.77.0.2/24", "fd77::2/64"]))
          for key in ["receivedFrames", "receivedBytes", "sentFrames", "sentBytes"] {
            #expect(report[key] as? Int ?? 0 >= 3, "\(key)")
          }
          #expect(report["dropped"] as? Int == 0)

          let table = try scratch.synthgate("links")
          let lines = table.output.split(separator: "\n")
          #expect(lines.count == 2 && lines[0].hasPrefix("NAME"), "\(table.output)")
          for word in ["syn0", guest.name, "up", "on", Wire.mac, "\(mtu)", "10.77.0.2/24", "fd77::2/64"] {
            #expect(lines[1].contains(word), "\(word) is not in \(lines[1])")
          }

          try scratch.linkDown("syn0", in: guest)
          try #expect(guest.run("ip route show; ip -6 route show dev syn0 2>/dev/null || true") == "")
          try #expect(scratch.synthgate("links").output.contains("no links"))
        }
        try host.stop()
      }
    }

    @Test func embeddedHostWithItsUplinks() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        // Without anything said there is a responder, at the gateway.
        try scratch.linkUp("syn0", in: guest, "--address", "10.9.0.7/24", "--gateway", "10.9.0.254")
        try guest.waitForAddresses("syn0")
        try #expect(guest.ping("10.9.0.254"))
        try #expect(!guest.ping("10.9.0.253", ["-W", "0.2"]), "somebody is at an address that nobody has")
        let report = try scratch.links(named: "syn0", in: guest)
        #expect(report["bus"] as? String == "embedded")
        // Another link of the same name, elsewhere.
        let other = try scratch.namespace("b")
        try scratch.linkUp(
          "syn0", in: other, "--uplink", "responder:10.8.0.1/24", "--address", "10.8.0.2/24", "--mac",
          "02:11:22:33:44:55", "--mtu", "9000")
        try other.waitForAddresses("syn0")
        try #expect(other.link("syn0")?["address"] as? String == "02:11:22:33:44:55")
        try #expect(other.link("syn0")?["mtu"] as? Int == 9000)
        try #expect(other.ping("10.8.0.1"))
        let table = try scratch.synthgate("links")
        #expect(table.output.split(separator: "\n").count == 3, "\(table.output)")
        try scratch.linkDown("syn0", in: guest)
        try #expect(other.ping("10.8.0.1"), "the wrong link went")
        try scratch.linkDown("syn0", in: other)
      }
    }

    /// Each error says what is wrong by its exit code, and leaves nothing.
    @Test func refusals() throws {
      try Wire.with { wire in
        let scratch = wire.scratch
        let name = wire.guest.name
        func expect(_ code: Int32, _ words: String, _ arguments: String...) throws {
          let result = try run(
            [try Program.path, "link"] + arguments, environment: scratch.environment, directory: scratch.path,
            timeLimit: 30)
          #expect(result.code == code, "\(arguments): \(result.error)")
          #expect(result.error.hasPrefix("synthgate: ") && result.error.contains(words), "\(result.error)")
        }
        try expect(5, "already", "up", "syn0", "--netns", name)
        try expect(5, "another guest", "up", "syn1", "--netns", name, "--bus", wire.bus)
        try expect(3, "no NIC 1", "up", "syn1", "--netns", name, "--bus", wire.bus, "--nic", "1")
        try expect(2, "can't be reached", "up", "syn1", "--netns", name, "--gateway", "10.1.1.1")
        try expect(2, "MTU", "up", "syn1", "--netns", name, "--mtu", "100")
        try expect(3, "no-such-namespace", "up", "syn1", "--netns", "no-such-namespace")
        try expect(3, "no such link", "down", "syn1", "--netns", name)
        try expect(3, "no such link", "down", "syn0")
        try #expect(wire.guest.link("syn1") == nil)
        try #expect(wire.ping(), "a refusal has harmed the link")
        try #expect(
          FileManager.default.contentsOfDirectory(atPath: scratch.file("run/links")) == ["syn0@\(name)"])
      }
    }
  }
}
