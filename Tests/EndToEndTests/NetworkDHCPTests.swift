import Foundation
import Testing

extension EndToEnd {
  /// Addresses by DHCP: by Synthgate, and by clients that the user runs.
  @Suite(.serialized) struct NetworkDHCP {
    @Test(arguments: [true, false]) func leaseOfTheLink(isEmbedded: Bool) throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        let host =
          isEmbedded ? nil : try HostProcess(scratch, networks: ["{ uplink: \"responder:10.99.0.1/24\" }"])
        let options = host.map { ["--bus", $0.bus] } ?? ["--uplink", "responder:10.99.0.1/24"]
        var addresses: [String] = []
        for _ in 1...2 {
          try scratch.linkUp("syn0", in: guest, options[0], options[1], "--dhcp")
          let line = try guest.run("ip -4 -br addr show dev syn0")
          let address = try #require(line.split(separator: " ").first { $0.hasPrefix("10.99.0.") }, "\(line)")
          #expect(address.hasSuffix("/24"))
          addresses.append(String(address))
          try #expect(guest.run("ip route show default").contains("via 10.99.0.1 dev syn0"))
          try #expect(guest.ping("10.99.0.1"))
          let report = try scratch.links(named: "syn0", in: guest)
          #expect((report["addresses"] as? [String] ?? []).contains(String(address)))
          let state = scratch.file("run/links/syn0@\(guest.name)")
          #expect(FileManager.default.fileExists(atPath: state + "/lease.json"))
          #expect(guest.processes.count == 1, "the client runs in the namespace of the link")
          // An administrator may ask for a new lease: SIGUSR1 renews.
          kill(try #require(guest.processes.first), SIGUSR1)
          usleep(300_000)
          try #expect(guest.run("ip -4 -br addr show dev syn0") == line)
          try scratch.linkDown("syn0", in: guest)
          #expect(guest.processes == [], "the client is left")
          try #expect(guest.run("ip route show") == "")
          #expect(scratch.stateFiles == [])
        }
        // The lease was given back, or is still known to be ours.
        #expect(addresses[0] == addresses[1])
        try host?.stop()
      }
    }

    /// Nobody answers: an error that says so, and no link.
    @Test func noServer() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        let result = try scratch.synthgate(
          "link", "up", "syn0", "--netns", guest.name, "--uplink", "none", "--dhcp", timeLimit: 40)
        #expect(result.code == 1)
        #expect(result.error.contains("no DHCP server"), "\(result.error)")
        #expect(result.seconds > 3 && result.seconds < 25, "\(result.seconds) s")
        try #expect(guest.link("syn0") == nil)
      }
    }

    enum Client: String, CaseIterable { case dhclient, udhcpc }

    /// The link is an ordinary one: any client gets a lease over it.
    @Test(arguments: Client.allCases) func clientOfTheUser(client: Client) throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        try scratch.linkUp("syn0", in: guest, "--uplink", "responder:10.99.0.1/24")
        // The scripts of the system would change resolv.conf.
        let script = scratch.file("script")
        try #"""
        #!/bin/sh
        case "$1$reason" in
        bound | renew) ip addr replace "$ip/$mask" dev "$interface"; ip route replace default via "$router" ;;
        BOUND | RENEW) ip addr replace "$new_ip_address/24" dev "$interface"
          ip route replace default via "$new_routers" ;;
        esac
        """#.write(toFile: script, atomically: true, encoding: .utf8)
        try must("chmod", "+x", script)
        switch client {
        case .udhcpc: try guest.run("busybox udhcpc -f -q -n -t 5 -T 1 -i syn0 -s '\(script)'")
        case .dhclient:
          let files = "-lf '\(scratch.file("leases"))' -pf '\(scratch.file("pid"))' -cf /dev/null"
          try guest.run("dhclient -4 -1 -v \(files) -sf '\(script)' syn0 2>&1")
          try guest.run("kill $(cat '\(scratch.file("pid"))')")
        }
        let line = try guest.run("ip -4 -br addr show dev syn0")
        #expect(line.contains("10.99.0."), "\(line)")
        try #expect(guest.run("ip route show default").contains("via 10.99.0.1"))
        try #expect(guest.ping("10.99.0.1"))
        try scratch.linkDown("syn0", in: guest)
      }
    }
  }
}
