import Ethernet
@testable import EthernetSwitch
import Testing
import WireBytes

@Suite struct ResponderTests {
  let responder = Responder(ipv4: IPv4Interface("10.77.0.1/24")!, ipv6: IPv6Interface("fd77::1/64")!)
  let peer = mac(2)
  let peerIP = IPv4Address("10.77.0.2")!
  let peerIPv6 = IPv6Address("fd77::2")!

  private func ask(_ frame: TestFrame) -> [TestFrame] {
    var replies: [TestFrame] = []
    responder.respond(to: frame.bytes.rawSpan, offload: frame.offload) { bytes, offload in
      replies.append(TestFrame(bytes: bytes.array(), offload: offload))
    }
    return replies
  }

  private func ipv4(
    _ payload: [UInt8], _ protocolNumber: UInt8, to destination: IPv4Address? = nil, source: IPv4Address? = nil,
    mac: MACAddress? = nil
  ) -> TestFrame {
    let header = IPv4Header(
      payloadByteCount: payload.count, identification: 1, protocolNumber: protocolNumber, source: source ?? peerIP,
      destination: destination ?? responder.ipv4.address)
    let packet = [UInt8](zeroed: 20 + payload.count) { bytes in
      header.store(into: &bytes, at: 0)
      bytes.store(payload.rawSpan, at: 20)
    }
    return .ethernet(from: peer, to: mac ?? responder.address, type: 0x0800, packet)
  }

  private func ipv6(
    _ payload: [UInt8], _ protocolNumber: UInt8, to destination: IPv6Address, hopLimit: UInt8 = 255,
    source: IPv6Address? = nil
  ) -> TestFrame {
    let header = IPv6Header(
      payloadByteCount: payload.count, protocolNumber: protocolNumber, source: source ?? peerIPv6,
      destination: destination, hopLimit: hopLimit)
    let packet = [UInt8](zeroed: 40 + payload.count) { bytes in
      header.store(into: &bytes, at: 0)
      bytes.store(payload.rawSpan, at: 40)
    }
    let mac = destination.isMulticast ? destination.groupAddress : responder.address
    return .ethernet(from: peer, to: mac, type: 0x86dd, packet)
  }

  private func payload(_ frame: TestFrame) -> [UInt8] { Array(frame.bytes[34...]) }

  private func target(_ frame: TestFrame) -> MACAddress { frame.bytes.rawSpan.macAddress(at: 0) }

  @Test func answersARP() throws {
    #expect(responder.address.description == "02:53:0a:4d:00:01" && responder.address.isLocallyAdministered)
    var request = ARPPacket(
      operation: 1, senderMAC: peer, senderIP: peerIP, targetMAC: .zero, targetIP: responder.ipv4.address)
    func frame() -> TestFrame {
      .ethernet(from: peer, to: .broadcast, type: 0x0806, [UInt8](zeroed: 28) { request.store(into: &$0, at: 0) })
    }
    var question = frame()
    question.offload.vlan = 100
    let replies = ask(question)
    let packet = Array(replies.first?.bytes.dropFirst(14) ?? [])
    #expect(replies.count == 1 && replies[0].offload.vlan == 100 && target(replies[0]) == peer)
    #expect(
      ARPPacket(parsing: packet.rawSpan)
        == ARPPacket(
          operation: 2, senderMAC: responder.address, senderIP: responder.ipv4.address, targetMAC: peer,
          targetIP: peerIP))
    request.targetIP = peerIP
    #expect(ask(frame()).isEmpty)
    request.targetIP = responder.ipv4.address
    request.operation = 2
    #expect(ask(frame()).isEmpty)
  }

  @Test func checksumsAreVerifiedUnlessPartial() {
    var echo = ICMPHeader(type: 8, code: 0, word: 0x1234_0001).message(body: ([1, 2, 3] as [UInt8]).rawSpan)
    let replies = ask(ipv4(echo, 1))
    let reply = ICMPHeader(type: 0, code: 0, word: 0x1234_0001).message(body: ([1, 2, 3] as [UInt8]).rawSpan)
    #expect(replies.map(payload) == [reply])
    echo[10] ^= 1
    #expect(ask(ipv4(echo, 1)).isEmpty)
    var frame = ipv4(echo, 1)
    frame.offload.checksum = .partial(start: 34, offset: 2)
    #expect(ask(frame).count == 1)
    // Not for it, or for all.
    echo[10] ^= 1
    #expect(ask(ipv4(echo, 1, to: peerIP)).isEmpty)
    #expect(ask(ipv4(echo, 1, to: .broadcast, mac: .broadcast)).isEmpty)
    #expect(ask(ipv4(echo, 1, mac: mac(77))).isEmpty)
    #expect(ask(ipv4(echo, 1, source: .broadcast)).isEmpty)
  }

  @Test func servicesAreRefused() throws {
    let exchange = IPExchange.v4(source: peerIP, destination: responder.ipv4.address)
    let datagram = UDPHeader(sourcePort: 1000, destinationPort: 7, payloadByteCount: 2).datagram(
      ([1, 2] as [UInt8]).rawSpan, exchange)
    let refusal = try #require(ask(ipv4(datagram, 17)).first)
    let message = payload(refusal)
    #expect(message[0] == 3 && message[1] == 3 && Array(message[28...]) == datagram)
    #expect(InternetChecksum.sum(message.rawSpan, 0..<message.count) == 0xffff)
    var bad = datagram
    bad[9] ^= 1
    #expect(ask(ipv4(bad, 17)).isEmpty)
    bad[6] = 0
    bad[7] = 0
    #expect(ask(ipv4(bad, 17)).count == 1)
    #expect(ask(ipv4(datagram, 17, to: .broadcast, mac: .broadcast)).isEmpty)

    let syn = [UInt8](zeroed: 20) { bytes in
      bytes.storeBE(UInt32(1000 << 16 | 80), at: 0)
      bytes.storeBE(UInt32(99), at: 4)
      bytes.storeBE(UInt16(0x5002), at: 12)
    }
    #expect(ask(ipv4(syn, 6)).isEmpty)
    var frame = ipv4(syn, 6)
    frame.offload.checksum = .partial(start: 34, offset: 16)
    let reset = payload(try #require(ask(frame).first))
    #expect(reset.rawSpan.be32(at: 0) == 80 << 16 | 1000 && reset.rawSpan.be32(at: 8) == 100 && reset[13] == 0x14)
    let seed = exchange.reversed.pseudoHeaderSum(protocolNumber: 6, byteCount: 20)
    #expect(InternetChecksum.sum(reset.rawSpan, 0..<20, seed: seed) == 0xffff)
    // An acknowledgment without a connection; a reset has no answer.
    frame.bytes[34 + 13] = 0x10
    frame.bytes[34 + 11] = 55
    let second = payload(try #require(ask(frame).first))
    #expect(second.rawSpan.be32(at: 4) == 55 && second[13] == 4)
    frame.bytes[34 + 13] = 0x14
    #expect(ask(frame).isEmpty)
  }

  @Test func answersNeighbours() throws {
    func solicit(_ target: IPv6Address, to destination: IPv6Address, hopLimit: UInt8 = 255, source: IPv6Address? = nil)
      -> [TestFrame]
    {
      let exchange = IPExchange.v6(source: source ?? peerIPv6, destination: destination)
      let message = NeighborMessage(type: 135, flags: 0, target: target, linkAddress: source == nil ? peer : nil)
        .message { exchange.pseudoHeaderSum(protocolNumber: 58, byteCount: $0) }
      return ask(ipv6(message, 58, to: destination, hopLimit: hopLimit, source: source))
    }
    let own = responder.ipv6!.address
    let reply = try #require(solicit(own, to: own.solicitedNode).first)
    let message = Array(reply.bytes[54...])
    #expect(
      NeighborMessage(parsing: message.rawSpan)
        == NeighborMessage(type: 136, flags: 0x6000_0000, target: own, linkAddress: responder.address))
    #expect(reply.bytes[21] == 255 && target(reply) == peer)
    let seed = IPExchange.v6(source: own, destination: peerIPv6).pseudoHeaderSum(protocolNumber: 58, byteCount: 32)
    #expect(InternetChecksum.sum(message.rawSpan, 0..<32, seed: seed) == 0xffff)
    #expect(solicit(responder.linkLocal, to: responder.linkLocal).count == 1)
    // One that looks for a double of its own address: everybody hears the answer.
    let probe = try #require(solicit(own, to: own.solicitedNode, source: .unspecified).first)
    #expect(target(probe) == IPv6Address.allNodes.groupAddress)
    #expect(probe.bytes.rawSpan.be32(at: 58) == 0x2000_0000)
    #expect(solicit(peerIPv6, to: .allNodes).isEmpty && solicit(own, to: own.solicitedNode, hopLimit: 64).isEmpty)
    // A router is not there.
    let exchange = IPExchange.v6(source: peerIPv6, destination: .allNodes)
    let nothing: [UInt8] = []
    let question = ICMPHeader(type: 133, code: 0, word: 0).message(
      body: nothing.rawSpan, pseudoHeader: exchange.pseudoHeaderSum(protocolNumber: 58, byteCount: 8))
    #expect(ask(ipv6(question, 58, to: .allNodes)).isEmpty)
  }

  /// Good frames with some bytes changed, all trusted so that no checksum stops them, never trap, and replies are frames.
  @Test func takesAnything() {
    var random = SystemRandomNumberGenerator()
    let discover = DHCPMessage(kind: .discover, isReply: false, transaction: 1, hardwareAddress: peer).encoded()
    let udp = UDPHeader(sourcePort: 68, destinationPort: 67, payloadByteCount: discover.count)
    let datagram = udp.datagram(discover.rawSpan, .v4(source: .unspecified, destination: .broadcast))
    let ones = [UInt8](repeating: 1, count: 100)
    let echo = ICMPHeader(type: 8, code: 0, word: 1).message(body: ones.rawSpan)
    let echo6 = ICMPHeader(type: 128, code: 0, word: 1).message(body: ones.rawSpan)
    let solicitation = NeighborMessage(type: 135, flags: 0, target: responder.linkLocal, linkAddress: peer)
      .message { _ in 0 }
    let seeds = [
      ipv4(datagram, 17, to: .broadcast, source: .unspecified, mac: .broadcast), ipv4(echo, 1), ipv4(datagram, 6),
      ipv6(echo6, 58, to: responder.linkLocal), ipv6(solicitation, 58, to: responder.linkLocal),
      ipv6(datagram, 17, to: responder.linkLocal), ipv6(datagram, 6, to: responder.linkLocal),
    ]
    var replyCount = 0
    for round in 0..<6000 {
      var frame = seeds[round % seeds.count]
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        frame.bytes[Int.random(in: 12..<frame.bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random) { frame.bytes.removeLast(Int.random(in: 0...60, using: &random)) }
      if frame.bytes[12] == 0x08, frame.bytes.count >= 34, Bool.random(using: &random) {
        // A fragment now and then, with a header checksum that is right.
        frame.bytes[20] = UInt8.random(in: 0...0x3f, using: &random)
        frame.bytes[14] = 0x45
        frame.bytes.withMutableBytes { bytes in
          bytes.storeBE(UInt16(0), at: 24)
          bytes.storeBE(~InternetChecksum.sum(bytes.bytes, 14..<34), at: 24)
        }
      }
      frame.offload.checksum = .verified
      for reply in ask(frame) {
        replyCount += 1
        if reply.bytes.count < 42 || reply.bytes.count > 1514 { Issue.record("a reply of \(reply.bytes.count) bytes") }
      }
    }
    #expect(replyCount > 100)
  }
}
