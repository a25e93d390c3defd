import Ethernet
@testable import EthernetSwitch
import Testing
import WireBytes

@Suite struct WireFormatTests {
  @Test func addressesAreText() {
    #expect(IPv4Address("10.77.0.1")?.value == 0x0a4d_0001 && IPv4Address("10.77.0.1")?.description == "10.77.0.1")
    for text in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "+1.2.3.4", "1.2.3.0004", "a.b.c.d"] {
      #expect(IPv4Address(text) == nil, "\(text)")
    }
    let interface = IPv4Interface("10.77.1.1/23")
    #expect(interface?.network == IPv4Address("10.77.0.0") && interface?.broadcast == IPv4Address("10.77.1.255"))
    #expect(interface?.mask == IPv4Address("255.255.254.0"))
    for text in ["10.77.0.1", "10.77.0.1/0", "10.77.0.1/31", "10.77.0.0/24", "10.77.0.255/24", "127.0.0.1/8", "/24"] {
      #expect(IPv4Interface(text) == nil, "\(text)")
    }
    for (text, high, low) in [
      ("::", 0, 0), ("::1", 0, 1), ("fd77::1", 0xfd77 << 48, 1),
      ("1:2:3:4:5:6:7:8", 0x1_0002_0003_0004, 0x5_0006_0007_0008),
      ("fe80::", 0xfe80 << 48, 0), ("1::6:7:8", 1 << 48, 0x6_0007_0008), ("1:0:0:4::", 0x1_0000_0000_0004, 0),
    ] as [(String, UInt64, UInt64)] {
      let address = IPv6Address(high: high, low: low)
      #expect(IPv6Address(text) == address, "\(text)")
      #expect(IPv6Address(address.description) == address, "\(address)")
    }
    #expect(IPv6Address(high: 0xfd77 << 48, low: 1).description == "fd77::1")
    for text in [
      "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "g::", "12345::", "+1::",
      ":1::2",
    ] {
      #expect(IPv6Address(text) == nil, "\(text)")
    }
    #expect(IPv6Interface("fd77::1/64")?.prefixLength == 64)
    for text in ["fd77::1", "fd77::1/0", "fd77::1/128", "ff02::1/64", "::/64"] { #expect(IPv6Interface(text) == nil) }
    let local = IPv6Address(linkLocalOf: MACAddress(value: 0x0253_0a4d_0001))
    #expect(local.description == "fe80::53:aff:fe4d:1")
    #expect(local.solicitedNode.description == "ff02::1:ff4d:1")
    #expect(local.solicitedNode.groupAddress.description == "33:33:ff:4d:00:01")
  }

  @Test func headersComeBack() throws {
    let arp = ARPPacket(
      operation: 2, senderMAC: mac(1), senderIP: IPv4Address(value: 5), targetMAC: mac(2), targetIP: .broadcast)
    let bytes = [UInt8](zeroed: 30) { arp.store(into: &$0, at: 2) }
    let arpBytes = Array(bytes[2...])
    #expect(ARPPacket(parsing: arpBytes.rawSpan) == arp && ARPPacket(parsing: bytes.rawSpan) == nil)

    var v4 = IPv4Header(
      payloadByteCount: 8, identification: 7, protocolNumber: 17, source: IPv4Address(value: 0x0a00_0001),
      destination: IPv4Address(value: 0x0a00_0002), hasMoreFragments: true, fragmentOffset: 1480)
    v4.forbidsFragments = true
    var packet = [UInt8](zeroed: 30) { v4.store(into: &$0, at: 0) }
    #expect(IPv4Header(parsing: packet.rawSpan) == v4)
    packet[12] ^= 1
    #expect(IPv4Header(parsing: packet.rawSpan) == nil)

    for fragment in [nil, IPv6Header.Fragment(identification: 9, offset: 1448, hasMore: true)] {
      let v6 = IPv6Header(
        payloadByteCount: 16, protocolNumber: 58, source: IPv6Address("fd77::1")!, destination: .allNodes,
        hopLimit: 255, fragment: fragment)
      let packet = [UInt8](zeroed: 70) { v6.store(into: &$0, at: 0) }
      #expect(IPv6Header(parsing: packet.rawSpan) == v6)
      let short = Array(packet[..<(v6.payload.upperBound - 1)])
      #expect(IPv6Header(parsing: short.rawSpan) == nil)
    }

    let neighbor = NeighborMessage(
      type: 136, flags: NeighborMessage.override, target: IPv6Address("fd77::1")!, linkAddress: mac(3))
    let message = neighbor.message { _ in 0 }
    #expect(NeighborMessage(parsing: message.rawSpan) == neighbor)
    #expect(InternetChecksum.sum(message.rawSpan, 0..<message.count) == 0xffff)

    let exchange = IPExchange.v4(source: IPv4Address(value: 1), destination: IPv4Address(value: 2))
    let datagram = UDPHeader(sourcePort: 1, destinationPort: 2, payloadByteCount: 3).datagram(
      ([7, 8, 9] as [UInt8]).rawSpan, exchange)
    let seed = exchange.pseudoHeaderSum(protocolNumber: 17, byteCount: 11)
    #expect(InternetChecksum.sum(datagram.rawSpan, 0..<11, seed: seed) == 0xffff)
    #expect(UDPHeader(parsing: datagram.rawSpan)?.destinationPort == 2)
  }

  @Test func dhcpMessagesComeBack() {
    var message = DHCPMessage(
      kind: .request, isReply: false, transaction: 77, hardwareAddress: mac(1), wantsBroadcast: true)
    message.clientAddress = IPv4Address(value: 1)
    message.yourAddress = IPv4Address(value: 2)
    message.relayAddress = IPv4Address(value: 3)
    message.requestedAddress = IPv4Address(value: 4)
    message.server = IPv4Address(value: 5)
    message.clientIdentifier = [1, 2, 3]
    message.mask = IPv4Address(value: 6)
    message.router = IPv4Address(value: 7)
    message.leaseSeconds = 8
    let bytes = message.encoded()
    #expect(DHCPMessage(parsing: bytes.rawSpan) == message && bytes.count >= 300)
    message.clientIdentifier = [UInt8](repeating: 4, count: 255)
    let long = message.encoded()
    #expect(DHCPMessage(parsing: long.rawSpan) == message)
  }

  @Test func fragmentsMeet() {
    let whole = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let key = FragmentReassembler.Key(
      exchange: .v4(source: .broadcast, destination: .unspecified), identification: 1, protocolNumber: 1)
    let cuts = stride(from: 0, to: 5000, by: 480).map { $0..<min($0 + 480, 5000) }
    for _ in 0..<50 {
      var reassembler = FragmentReassembler()
      var results: [[UInt8]] = []
      for cut in cuts.shuffled() {
        let part = Array(whole[cut])
        let result = reassembler.add(key, offset: cut.lowerBound, isLast: cut.upperBound == 5000, part.rawSpan, now: 0)
        if let result { results.append(result) }
      }
      #expect(results == [whole] && reassembler.count == 0)
    }
  }

  @Test func badFragmentsEndThePacket() {
    func key(_ number: UInt32) -> FragmentReassembler.Key {
      FragmentReassembler.Key(
        exchange: .v4(source: .broadcast, destination: .unspecified), identification: number, protocolNumber: 1)
    }
    let eight = [UInt8](repeating: 1, count: 8)
    var reassembler = FragmentReassembler(capacity: 4, lifetimeNanoseconds: 100)
    func add(_ number: UInt32, _ offset: Int, _ isLast: Bool, _ bytes: [UInt8], now: UInt64 = 0) -> [UInt8]? {
      reassembler.add(key(number), offset: offset, isLast: isLast, bytes.rawSpan, now: now)
    }
    #expect(add(1, 0, false, eight) == nil && reassembler.count == 1)
    // Overlap, odd length, past the end, past 64 KiB.
    #expect(add(1, 0, false, eight) == nil && reassembler.count == 0)
    _ = add(1, 8, false, eight)
    #expect(add(1, 0, false, [1, 2, 3]) == nil && reassembler.count == 0)
    _ = add(1, 8, true, eight)
    #expect(add(1, 16, false, eight) == nil && reassembler.count == 0)
    _ = add(1, 8, false, eight)
    #expect(add(1, 65_528, true, eight) == nil && reassembler.count == 0)
    // Bounded in number and in time.
    for number in 0..<10 as Range<UInt32> { _ = add(number, 0, false, eight) }
    #expect(reassembler.count == 4)
    #expect(add(9, 8, true, eight) == eight + eight && reassembler.count == 3)
    #expect(add(8, 8, true, eight, now: 100) == nil && reassembler.count == 1)
    // Every second piece: a packet in too many parts is given up.
    for piece in 0..<200 { _ = add(20, piece * 16, false, eight) }
    #expect(reassembler.count <= 2)
  }

  /// Random bytes, and good ones with some changed, never trap.
  @Test func parsersTakeAnything() {
    var random = SystemRandomNumberGenerator()
    var dhcp = DHCPMessage(kind: .discover, isReply: false, transaction: 1, hardwareAddress: mac(1))
    dhcp.clientIdentifier = [1, 2, 3]
    let seeds: [[UInt8]] = [
      dhcp.encoded(),
      [UInt8](zeroed: 28) {
        ARPPacket(operation: 1, senderMAC: mac(1), senderIP: .broadcast, targetMAC: mac(2), targetIP: .broadcast)
          .store(into: &$0, at: 0)
      },
      [UInt8](zeroed: 64) {
        IPv6Header(
          payloadByteCount: 16, protocolNumber: 0, source: .allNodes, destination: .allNodes,
          fragment: .init(identification: 1, offset: 8, hasMore: true)
        ).store(into: &$0, at: 0)
      },
      NeighborMessage(type: 135, flags: 0, target: .allNodes, linkAddress: mac(1)).message { _ in 0 },
    ]
    for round in 0..<4000 {
      var bytes: [UInt8]
      if round % 2 == 0 {
        bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      } else {
        bytes = seeds.randomElement(using: &random)!
        for _ in 0..<4 {
          bytes[bytes.indices.randomElement(using: &random)!] = UInt8.random(in: 0...255, using: &random)
        }
        bytes.removeLast(Int.random(in: 0...min(20, bytes.count), using: &random))
      }
      let span = bytes.rawSpan
      _ = ARPPacket(parsing: span)
      _ = IPv4Header(parsing: span)
      if let header = IPv6Header(parsing: span) { #expect(header.payload.upperBound <= bytes.count) }
      _ = ICMPHeader(parsing: span)
      _ = NeighborMessage(parsing: span)
      _ = UDPHeader(parsing: span)
      _ = TCPHeader(parsing: span)
      _ = DHCPMessage(parsing: span)
      _ = IPv6Address(String(decoding: bytes.prefix(20), as: UTF8.self))
    }
  }
}
