import Foundation
import Testing

extension EndToEnd {
  /// What an administrator does to a link with `ip` reaches the NIC.
  @Suite(.serialized) struct LinkAdministration {
    @Test func downAndUp() throws {
      try Wire.with { wire in
        try #expect(wire.ping())
        try wire.guest.run("ip link set syn0 down")
        try waitUntil("the NIC is down") {
          try wire.scratch.links(named: "syn0", in: wire.guest)["state"] as? String == "down"
        }
        try #expect(!wire.outside.ping(Wire.guestAddress, ["-W", "0.2"]))
        try wire.guest.run("ip link set syn0 up")
        // IPv4 addresses survive it.
        try waitUntil("the link works again") { try wire.ping() }
        try #expect(wire.outside.ping(Wire.guestAddress))
        try #expect(wire.scratch.links(named: "syn0", in: wire.guest)["state"] as? String == "up")
      }
    }

    /// The link stays what it is, and larger frames flow.
    @Test(arguments: [false, true]) func mtu(isEmbedded: Bool) throws {
      try Wire.with(isEmbedded: isEmbedded) { wire in
        let index = try wire.guest.index("syn0")
        let addresses = try wire.guest.run("ip -br addr show dev syn0")
        try wire.outside.run("ip link set vsw0 mtu 9000")
        try #expect(!wire.ping(Wire.outsideAddress, "-M", "do", "-s", "8972"))
        for mtu in [9000, 2000, 9000, 1280, 9000] {
          try wire.guest.run("ip link set syn0 mtu \(mtu)")
          try waitUntil("frames of \(mtu) bytes flow") {
            try wire.ping(Wire.outsideAddress, "-M", "do", "-s", "\(mtu - 28)")
          }
          try #expect(wire.ping(Wire.outsideAddress6, "-M", "do", "-s", "\(mtu - 48)"))
          try #expect(wire.scratch.links(named: "syn0", in: wire.guest)["mtu"] as? Int == mtu)
        }
        try #expect(wire.guest.index("syn0") == index)
        try #expect(wire.guest.run("ip -br addr show dev syn0") == addresses)
      }
    }

    @Test func hardwareAddress() throws {
      try Wire.with { wire in
        let address = "02:00:5e:10:20:30"
        try wire.guest.run("ip link set syn0 address \(address)")
        try waitUntil("the link works with its new address") { try wire.ping() }
        let neighbours = try wire.outside.run("ip neigh show dev vsw0")
        #expect(neighbours.contains("\(Wire.guestAddress) lladdr \(address)"), "\(neighbours)")
        try #expect(wire.scratch.links(named: "syn0", in: wire.guest)["mac"] as? String == address)
        // And it is the NIC's: frames for the old address are not for us.
        try wire.outside.run("ip neigh replace \(Wire.guestAddress) lladdr \(Wire.mac) dev vsw0 nud permanent")
        try #expect(!wire.outside.ping(Wire.guestAddress, ["-W", "0.2"]))
        try wire.outside.run("ip neigh del \(Wire.guestAddress) dev vsw0")
        try #expect(wire.outside.ping(Wire.guestAddress))
      }
    }

    /// A frame for somebody else arrives while the link is promiscuous, and only then.
    @Test func promiscuity() throws {
      try Wire.with { wire in
        let foreign: [UInt8] = [2, 0, 0, 0, 0, 9]
        let pair = try FramePair(wire)
        for isOn in [false, true, false] {
          try wire.guest.run("ip link set syn0 promisc \(isOn ? "on" : "off")")
          let frame = pair.frame(to: foreign, payload: [1, 2, 3])
          if isOn {
            try waitUntil("foreign frames arrive") {
              try pair.outsideSender.send(frame)
              return try pair.guestReceiver.receive(milliseconds: 100)?.bytes == frame
            }
          } else {
            try waitUntil("foreign frames are filtered") {
              try pair.outsideSender.send(frame)
              return try pair.guestReceiver.receive(milliseconds: 100) == nil
            }
          }
        }
      }
    }

    /// A third machine behind a bridge of the guest reaches the outside, with an address that is not the NIC's.
    @Test(arguments: [false, true]) func bridge(isEmbedded: Bool) throws {
      try Wire.with(isEmbedded: isEmbedded) { wire in
        let third = try wire.scratch.namespace("c")
        try wire.guest.run(
          """
          set -e
          ip link add br0 type bridge
          ip link add v0 type veth peer name eth0 netns \(third.name)
          ip link set syn0 master br0; ip link set v0 master br0
          ip link set br0 up; ip link set v0 up
          """)
        try third.run("ip addr add 10.77.0.3/24 dev eth0; ip link set eth0 up")
        try waitUntil("the bridge forwards") { try third.ping(Wire.outsideAddress) }
        try #expect(wire.outside.ping("10.77.0.3"))
        try #expect(third.ping(Wire.outsideAddress, ["-s", "20000"]))
        let mac = try #require(try third.link("eth0")?["address"] as? String)
        try #expect(wire.outside.run("ip neigh show 10.77.0.3 dev vsw0").contains(mac))
        try #expect(
          Transfer.tcp(2 << 20, from: third, to: wire.outside, address: Wire.outsideAddress) == 2 << 20)
        try #expect(Transfer.tcp(2 << 20, from: wire.outside, to: third, address: "10.77.0.3") == 2 << 20)
      }
    }

    /// The link is the user's, too: when it is deleted, the process ends and gives the NIC back.
    @Test func deletion() throws {
      try Scratch.with { scratch in
        let guest = try scratch.namespace("a")
        try scratch.linkUp("syn0", in: guest, "--address", "10.77.0.2/24")
        try guest.run("ip link del syn0")
        scratch.expectNothingLeft()
        let result = try scratch.synthgate("link", "down", "syn0", "--netns", guest.name)
        #expect(result.code == 3, "\(result.error)")
      }
    }
  }
}
