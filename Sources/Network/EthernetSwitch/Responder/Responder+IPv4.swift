import Ethernet
import Synchronization
import WireBytes

extension Responder {
  func answerIPv4(_ packet: RawSpan, _ answer: Answer, _ send: Send) {
    guard let header = IPv4Header(parsing: packet) else { return }
    let isOwn = header.destination == ipv4.address
    guard isOwn || header.destination == .broadcast || header.destination == ipv4.broadcast else { return }
    let payload = packet.extracting(header.headerByteCount..<header.totalByteCount)
    guard header.hasMoreFragments || header.fragmentOffset > 0 else {
      return answerIPv4Payload(payload, header, answer, send)
    }
    guard isOwn else { return }
    let key = FragmentReassembler.Key(
      exchange: .v4(source: header.source, destination: header.destination),
      identification: UInt32(header.identification), protocolNumber: header.protocolNumber)
    let now = clock()
    let whole = reassembler.withLock {
      $0.add(key, offset: header.fragmentOffset, isLast: !header.hasMoreFragments, payload, now: now)
    }
    guard let whole else { return }
    // A checksum over all of them was the business of no fragment.
    answerIPv4Payload(
      whole.rawSpan, header, Answer(peer: answer.peer, vlan: answer.vlan, isTrusted: false), send)
  }

  private func answerIPv4Payload(_ payload: RawSpan, _ header: IPv4Header, _ answer: Answer, _ send: Send) {
    let isOwn = header.destination == ipv4.address
    let exchange = IPExchange.v4(source: header.source, destination: header.destination)
    if header.protocolNumber == IPProtocol.udp, let udp = UDPHeader(parsing: payload),
      udp.destinationPort == DHCPMessage.serverPort
    {
      guard hasGoodChecksum(udp, payload, exchange, answer) else { return }
      return answerDHCP(payload.extracting(UDPHeader.byteCount..<udp.totalByteCount), answer, send)
    }
    // Nothing else is answered that came to all, nor what nobody can have sent.
    guard isOwn, header.source.isHost, header.source != ipv4.broadcast, header.source != ipv4.address else { return }
    switch header.protocolNumber {
    case IPProtocol.icmp:
      guard let icmp = ICMPHeader(parsing: payload), icmp.type == ICMPHeader.echoRequest4, icmp.code == 0,
        answer.isTrusted || InternetChecksum.sum(payload, 0..<payload.byteCount) == 0xffff
      else { return }
      let echo = ICMPHeader(type: ICMPHeader.echoReply4, code: 0, word: icmp.word)
        .message(body: payload.extracting(ICMPHeader.byteCount..<payload.byteCount))
      sendIPv4(echo.rawSpan, IPProtocol.icmp, to: header.source, answer, send)
    case IPProtocol.tcp:
      guard let reset = refusal(payload, exchange, answer) else { return }
      sendIPv4(reset.rawSpan, IPProtocol.tcp, to: header.source, answer, send)
    case IPProtocol.udp:
      guard let udp = UDPHeader(parsing: payload), hasGoodChecksum(udp, payload, exchange, answer) else { return }
      // RFC 1122 3.2.2: the header of the packet and the first eight bytes behind it; more does no harm (RFC 1812 4.3.2.3).
      let part = payload.extracting(0..<min(payload.byteCount, 520))
      let quoted = IPv4Header(
        payloadByteCount: payload.byteCount, identification: header.identification,
        protocolNumber: header.protocolNumber, source: header.source, destination: header.destination)
      let body = [UInt8](zeroed: IPv4Header.byteCount + part.byteCount) { bytes in
        quoted.store(into: &bytes, at: 0)
        bytes.store(part, at: IPv4Header.byteCount)
      }
      let message = ICMPHeader(type: ICMPHeader.unreachable4, code: ICMPHeader.portUnreachable4, word: 0)
        .message(body: body.rawSpan)
      sendIPv4(message.rawSpan, IPProtocol.icmp, to: header.source, answer, send)
    default:
      break
    }
  }

  private func answerDHCP(_ payload: RawSpan, _ answer: Answer, _ send: Send) {
    guard let request = DHCPMessage(parsing: payload) else { return }
    let now = clock() / 1_000_000_000
    guard let reply = dhcp.withLock({ $0.answer(request, now: now) }) else { return }
    let message = reply.message.encoded()
    let datagram = UDPHeader(
      sourcePort: DHCPMessage.serverPort, destinationPort: DHCPMessage.clientPort, payloadByteCount: message.count
    ).datagram(message.rawSpan, .v4(source: ipv4.address, destination: reply.address))
    let target = Answer(peer: reply.hardwareAddress, vlan: answer.vlan, isTrusted: true)
    sendIPv4(datagram.rawSpan, IPProtocol.udp, to: reply.address, target, send)
  }

  /// The reset that refuses a TCP segment; nil for what is not answered.
  func refusal(_ payload: RawSpan, _ exchange: IPExchange, _ answer: Answer) -> [UInt8]? {
    let count = payload.byteCount
    guard let tcp = TCPHeader(parsing: payload), let reset = tcp.refusal(byteCount: count) else { return nil }
    let seed = exchange.pseudoHeaderSum(protocolNumber: IPProtocol.tcp, byteCount: count)
    guard answer.isTrusted || InternetChecksum.sum(payload, 0..<count, seed: seed) == 0xffff else { return nil }
    return reset.segment(exchange.reversed)
  }

  /// Whether the checksum of a datagram is right, or need not be looked at.
  func hasGoodChecksum(_ udp: UDPHeader, _ payload: RawSpan, _ exchange: IPExchange, _ answer: Answer) -> Bool {
    if answer.isTrusted { return true }
    if udp.checksum == 0 {
      // RFC 8200 8.1: IPv6 has no datagrams without one.
      if case .v4 = exchange { return true }
      return false
    }
    let seed = exchange.pseudoHeaderSum(protocolNumber: IPProtocol.udp, byteCount: udp.totalByteCount)
    return InternetChecksum.sum(payload, 0..<udp.totalByteCount, seed: seed) == 0xffff
  }

  /// Sends a packet, in fragments where it is longer than the MTU.
  private func sendIPv4(
    _ payload: RawSpan, _ protocolNumber: UInt8, to destination: IPv4Address, _ answer: Answer, _ send: Send
  ) {
    let count = payload.byteCount
    guard count <= FragmentReassembler.maximumByteCount - IPv4Header.byteCount else { return }
    let number = lastIdentification.add(1, ordering: .relaxed).newValue
    let limit = count <= mtu - IPv4Header.byteCount ? max(count, 1) : (mtu - IPv4Header.byteCount) & ~7
    var offset = 0
    repeat {
      let end = min(count, offset + limit)
      let header = IPv4Header(
        payloadByteCount: end - offset, identification: UInt16(truncatingIfNeeded: number),
        protocolNumber: protocolNumber, source: ipv4.address, destination: destination,
        hasMoreFragments: end < count, fragmentOffset: offset)
      let start = FrameHeaders.networkOffset + IPv4Header.byteCount
      let frame = [UInt8](zeroed: start + end - offset) { bytes in
        bytes.storeEthernet(destination: answer.peer, source: address, type: EtherType.ipv4)
        header.store(into: &bytes, at: FrameHeaders.networkOffset)
        bytes.store(payload.extracting(offset..<end), at: start)
      }
      send(frame.rawSpan, FrameOffload(vlan: answer.vlan))
      offset = end
    } while offset < count
  }
}
