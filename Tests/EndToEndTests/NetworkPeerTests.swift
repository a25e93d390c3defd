import Foundation
import Testing

extension EndToEnd {
  /// Other ends than one TAP: another guest, the responder, passt, QEMU.
  @Suite(.serialized) struct NetworkPeers {
    /// Two guests of one host reach each other, and what is behind the uplink that they share.
    @Test(arguments: [true, false]) func twoGuests(haveUplink: Bool) throws {
      try Scratch.with { scratch in
        let guests = [try scratch.namespace("a"), try scratch.namespace("b")]
        let outside = try scratch.namespace("c")
        let uplink = haveUplink ? "uplink: \"tap:vsw0\"" : "uplink: none, switch: lan"
        let host = try HostProcess(
          scratch,
          networks: (1...2).map { "{ mac: \"00:15:5d:00:00:0\($0)\", \(uplink) }" }, in: outside)
        if haveUplink { try outside.run("ip addr add 10.77.0.1/24 dev vsw0") }
        for (index, guest) in guests.enumerated() {
          try scratch.linkUp(
            "syn0", in: guest, "--bus", host.bus, "--nic", "\(index)", "--address", "10.77.0.\(index + 2)/24",
            "--address", "fd77::\(index + 2)/64")
          try guest.waitForAddresses("syn0")
        }
        let byteCount = 5 << 20
        for (index, guest) in guests.enumerated() {
          let other = guests[1 - index]
          let address = "10.77.0.\(3 - index)"
          try #expect(guest.link("syn0")?["address"] as? String == "00:15:5d:00:00:0\(index + 1)")
          try #expect(guest.ping(address) && guest.ping("fd77::\(3 - index)") && guest.ping(address, ["-s", "65000"]))
          try #expect(Transfer.tcp(byteCount, from: guest, to: other, address: address) == byteCount)
          try #expect(Transfer.tcp(byteCount, from: guest, to: other, address: "fd77::\(3 - index)") == byteCount)
          if haveUplink {
            try #expect(guest.ping("10.77.0.1"))
            try #expect(Transfer.tcp(byteCount, from: guest, to: outside, address: "10.77.0.1") == byteCount)
            try #expect(Transfer.tcp(byteCount, from: outside, to: guest, address: "10.77.0.\(index + 2)") == byteCount)
          }
        }
        // One goes; the other stays, and its NIC can be had again.
        try scratch.linkDown("syn0", in: guests[0])
        if haveUplink { try #expect(guests[1].ping("10.77.0.1")) }
        try scratch.linkUp("syn0", in: guests[0], "--bus", host.bus, "--nic", "0", "--address", "10.77.0.2/24")
        try guests[0].waitForAddresses("syn0")
        try #expect(guests[1].ping("10.77.0.2"))
        for guest in guests { try scratch.linkDown("syn0", in: guest) }
        try host.stop()
      }
    }

    /// The responder as the uplink of two guests, in two processes.
    @Test func responder() throws {
      try Scratch.with { scratch in
        let guests = [try scratch.namespace("a"), try scratch.namespace("b")]
        let host = try HostProcess(
          scratch, networks: Array(repeating: "{ uplink: \"responder:10.77.0.1/24\" }", count: 2))
        for (index, guest) in guests.enumerated() {
          try scratch.linkUp(
            "syn0", in: guest, "--bus", host.bus, "--nic", "\(index)", "--address", "10.77.0.\(index + 2)/24")
          try guest.waitForAddresses("syn0")
          for size in ["0", "1472", "1473", "65000"] {
            try #expect(guest.ping("10.77.0.1", ["-s", size]), "-s \(size)")
          }
          let router = try guest.run("ping -n -q -c 1 -W 2 ff02::1%syn0")
          #expect(router.contains(" 0% packet loss"))
          // It says so where it has no service.
          let refused = try guest.attempt("bash", "-c", "exec 3<>/dev/tcp/10.77.0.1/22", timeLimit: 10)
          #expect(refused.error.contains("Connection refused"), "\(refused.error)")
        }
        try #expect(guests[0].ping("10.77.0.3"))
        try #expect(Transfer.tcp(1 << 20, from: guests[0], to: guests[1], address: "10.77.0.3") == 1 << 20)
        for guest in guests { try scratch.linkDown("syn0", in: guest) }
        try host.stop()
      }
    }

    /// passt at the other end of the stream: DHCP, a server behind it, and connections that it lets in.
    @Test func passt() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        let outside = try scratch.namespace("b")
        // What passt is to offer: the addresses and the default route of its own namespace.
        try outside.run(
          """
          set -e
          ip link add up0 type bridge
          ip addr add 10.66.0.2/24 dev up0
          ip link set up0 up
          ip route add default via 10.66.0.1
          """)
        let socket = scratch.file("passt.sock")
        let passt = try outside.start(
          ["passt", "--foreground", "-4", "--runas", "0", "--socket", socket, "-t", "20099"],
          environment: scratch.environment)
        try waitUntil("passt listens") {
          guard passt.isRunning else { throw CommandFailure(description: "passt: \(passt.output)\(passt.error)") }
          return FileManager.default.fileExists(atPath: socket)
        }
        try scratch.linkUp("syn0", in: guest, "--uplink", "stream:\(socket)", "--dhcp")
        let addresses = try guest.run("ip -4 -br addr show dev syn0")
        #expect(addresses.contains("10.66.0.2/24"), "\(addresses)")
        try #expect(guest.run("ip route show default").contains("via 10.66.0.1"))
        // The gateway's address stands for passt's own loopback. The file is short, because Debian 12's passt loses
        // segments of long streams, and then stalls, whatever is at its other end.
        let served = try scratch.directory("served")
        try Data(Generator.bytes(200_000)).write(to: URL(filePath: served + "/file"))
        let httpd = try outside.start(["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", served])
        try waitUntil("httpd listens") { try outside.run("ss -Htln sport = :8080") != "" }
        try guest.run("busybox wget -q -O '\(scratch.file("got"))' http://10.66.0.1:8080/file")
        try must("cmp", scratch.file("got"), served + "/file")
        httpd.send(SIGTERM)
        _ = try httpd.wait(timeLimit: 5)
        // And inward: what connects to passt's port reaches the guest.
        let inner = try guest.start(["busybox", "httpd", "-f", "-p", "20099", "-h", served])
        try waitUntil("httpd listens") { try guest.run("ss -Htln sport = :20099") != "" }
        try must("rm", scratch.file("got"))
        try outside.run("busybox wget -q -O '\(scratch.file("got"))' http://127.0.0.1:20099/file")
        try must("cmp", scratch.file("got"), served + "/file")
        inner.send(SIGTERM)
        _ = try inner.wait(timeLimit: 5)
        try scratch.linkDown("syn0", in: guest)
        passt.send(SIGTERM)
        _ = try passt.wait(timeLimit: 5)
      }
    }

    /// QEMU at the other end of the stream: a hub of a machine without a processor joins its stream with a TAP.
    @Test func qemu() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        let outside = try scratch.namespace("b")
        let socket = scratch.file("qemu.sock")
        let qemu = try outside.start([
          "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-monitor", "none",
          "-netdev", "stream,id=s,server=on,addr.type=unix,addr.path=\(socket)",
          "-netdev", "tap,id=t,ifname=tq0,script=no,downscript=no",
          "-netdev", "hubport,id=h0,hubid=0,netdev=s", "-netdev", "hubport,id=h1,hubid=0,netdev=t",
        ])
        try waitUntil("QEMU listens") {
          guard qemu.isRunning else { throw CommandFailure(description: "QEMU: \(qemu.output)\(qemu.error)") }
          return try FileManager.default.fileExists(atPath: socket) && outside.link("tq0") != nil
        }
        try outside.run("ip addr add 10.77.0.1/24 dev tq0; ip link set tq0 up")
        try scratch.linkUp("syn0", in: guest, "--uplink", "stream:\(socket)", "--address", "10.77.0.2/24")
        try guest.waitForAddresses("syn0")
        try waitUntil("QEMU forwards") { try guest.ping("10.77.0.1") }
        try #expect(guest.ping("10.77.0.1", ["-s", "65000"]))
        try #expect(outside.ping("10.77.0.2", ["-s", "1472", "-M", "do"]))
        let byteCount = 20 << 20
        try #expect(Transfer.tcp(byteCount, from: guest, to: outside, address: "10.77.0.1") == byteCount)
        try #expect(Transfer.tcp(byteCount, from: outside, to: guest, address: "10.77.0.2") == byteCount)
        try scratch.linkDown("syn0", in: guest)
        qemu.send(SIGTERM)
        _ = try qemu.wait(timeLimit: 10)
      }
    }
  }
}

extension Generator {
  static func bytes(_ count: Int) -> [UInt8] {
    var generator = Generator(state: UInt64(count))
    return [UInt8](generator.data(count))
  }
}
