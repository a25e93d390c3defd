import Ethernet
import EthernetSwitch
import LinuxIO
import Testing

/// The responder against the network stack of this machine: a TAP in a namespace of its own, behind a port of the switch.
@Suite(.serialized) struct ResponderLinkTests {
  private func makeLink() throws -> TestLink {
    let responder = Responder(ipv4: IPv4Interface("10.77.0.1/24")!, ipv6: IPv6Interface("fd77::1/64")!)
    return try TestLink(EthernetSwitch(name: "test", uplink: .responder(responder)))
  }

  private func expect(_ link: TestLink, _ command: String, says text: String? = nil, code: Int32 = 0) {
    let result = link.run(command)
    #expect(result.code == code, "\(command): \(result.output)")
    if let text { #expect(result.output.contains(text), "\(command): \(result.output)") }
  }

  @Test func pings() throws {
    let link = try makeLink()
    defer { link.close() }
    expect(link, "ip addr add 10.77.0.2/24 dev \(link.name)")
    expect(link, "ip addr add fd77::2/64 dev \(link.name) nodad")
    expect(link, "ping -n -c 3 -i 0.1 -W 3 10.77.0.1", says: "3 received")
    expect(link, "ping -n -c 2 -i 0.1 -W 3 -s 65000 10.77.0.1", says: "2 received")
    expect(link, "ip neigh show 10.77.0.1", says: "02:53:0a:4d:00:01")
    expect(link, "ping -6 -n -c 3 -i 0.1 -W 3 fd77::1", says: "3 received")
    expect(link, "ping -6 -n -c 2 -i 0.1 -W 3 -s 65000 fd77::1", says: "2 received")
    expect(link, "busybox arping -c 2 -w 4 -I \(link.name) 10.77.0.1", says: "02:53:0a:4d:00:01")
    // Its own link-local address of the link may still be tested for doubles.
    expect(
      link, "for i in $(seq 40); do ip -6 addr show dev \(link.name) tentative | grep -q . || break; sleep 0.1; done")
    expect(link, "ping -6 -n -c 2 -i 0.1 -W 3 fe80::53:aff:fe4d:1%\(link.name)", says: "2 received")
    expect(link, "ping -n -c 1 -W 1 10.77.0.9", says: "0 received", code: 1)
    // Refused at once rather than by time.
    expect(link, "timeout 3 bash -c 'echo > /dev/tcp/10.77.0.1/80'", says: "Connection refused", code: 1)
    expect(link, "timeout 3 bash -c 'echo > /dev/tcp/fd77::1/80'", says: "Connection refused", code: 1)
    let twice = "bash -c 'exec 3>/dev/udp/ADDRESS/9; echo a >&3; sleep 0.3; echo b >&3'"
    for address in ["10.77.0.1", "fd77::1"] {
      expect(
        link, "timeout 3 " + twice.split(separator: "ADDRESS").joined(separator: address), says: "Connection refused",
        code: 1)
    }
  }

  @Test func givesAddresses() throws {
    let link = try makeLink()
    defer { link.close() }
    let script = "/tmp/\(link.name).sh"
    let text = """
      #!/bin/sh
      echo "$1 ip=$ip subnet=$subnet router=$router lease=$lease server=$serverid"
      [ "$1" = bound ] && ip addr add $ip/$mask dev $interface
      exit 0
      """
    do {
      let file = try OwnedDescriptor.open(script, flags: 0o101, mode: 0o700)
      try writeAll(Array(text.utf8), to: file.number)
    }
    defer { try? removeFile(script) }
    let client = "timeout 20 busybox udhcpc -i \(link.name) -n -q -f -t 5 -T 1 -s \(script)"
    let first = link.run(client)
    #expect(first.code == 0 && first.output.contains("bound ip=10.77.0."), "\(first.output)")
    #expect(
      first.output.contains("subnet=255.255.255.0 router=10.77.0.1 lease=3600 server=10.77.0.1"), "\(first.output)")
    expect(link, "ping -n -c 2 -i 0.1 -W 3 10.77.0.1", says: "2 received")
    // The same client gets the same address again, and may not ask for that of the server.
    let address = first.output.split(separator: "ip=").last?.prefix { $0 != " " } ?? ""
    let second = link.run(client)
    #expect(second.output.contains("bound ip=\(address) "), "\(second.output)")
    let third = link.run("timeout 20 busybox udhcpc -i \(link.name) -n -q -f -t 5 -T 1 -r 10.77.0.1 -s \(script)")
    #expect(third.code == 0 && !third.output.contains("bound ip=10.77.0.1 "), "\(third.output)")
  }
}
