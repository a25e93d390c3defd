import Ethernet
import Synchronization
import WireBytes

extension Responder {
  private func isOwn(_ address: IPv6Address) -> Bool { address == linkLocal || address == ipv6?.address }

  /// Whether the group is one that every host is in, or that asks for one of its addresses.
  private func isInGroup(_ address: IPv6Address) -> Bool {
    address == .allNodes || address == linkLocal.solicitedNode || address == ipv6?.address.solicitedNode
  }

  func answerIPv6(_ packet: RawSpan, _ answer: Answer, _ send: Send) {
    guard let header = IPv6Header(parsing: packet), !header.source.isMulticast, !isOwn(header.source),
      isOwn(header.destination) || isInGroup(header.destination)
    else { return }
    let payload = packet.extracting(header.payload)
    guard let fragment = header.fragment, fragment.hasMore || fragment.offset > 0 else {
      // A fragment that is the whole packet is one by itself (RFC 6946).
      return answerIPv6Payload(payload, header, answer, send)
    }
    let key = FragmentReassembler.Key(
      exchange: .v6(source: header.source, destination: header.destination),
      identification: fragment.identification, protocolNumber: header.protocolNumber)
    let now = clock()
    let whole = reassembler.withLock {
      $0.add(key, offset: fragment.offset, isLast: !fragment.hasMore, payload, now: now)
    }
    guard let whole else { return }
    answerIPv6Payload(
      whole.rawSpan, header, Answer(peer: answer.peer, vlan: answer.vlan, isTrusted: false), send)
  }

  private func answerIPv6Payload(_ payload: RawSpan, _ header: IPv6Header, _ answer: Answer, _ send: Send) {
    let exchange = IPExchange.v6(source: header.source, destination: header.destination)
    if header.protocolNumber == IPProtocol.icmp6 {
      return answerICMPv6(payload, header, exchange, answer, send)
    }
    guard isOwn(header.destination), header.source != .unspecified else { return }
    switch header.protocolNumber {
    case IPProtocol.tcp:
      guard let reset = refusal(payload, exchange, answer) else { return }
      sendIPv6(reset.rawSpan, IPProtocol.tcp, exchange.reversed, answer, send)
    case IPProtocol.udp:
      guard let udp = UDPHeader(parsing: payload), hasGoodChecksum(udp, payload, exchange, answer) else { return }
      let quoted = IPv6Header(
        payloadByteCount: payload.byteCount, protocolNumber: IPProtocol.udp, source: header.source,
        destination: header.destination, hopLimit: header.hopLimit)
      // RFC 4443 3.1: as much of the packet as fits into 1280 bytes.
      let part = payload.extracting(0..<min(payload.byteCount, 1280 - 2 * IPv6Header.byteCount - ICMPHeader.byteCount))
      let body = [UInt8](zeroed: IPv6Header.byteCount + part.byteCount) { bytes in
        quoted.store(into: &bytes, at: 0)
        bytes.store(part, at: IPv6Header.byteCount)
      }
      let seed = exchange.reversed.pseudoHeaderSum(
        protocolNumber: IPProtocol.icmp6, byteCount: ICMPHeader.byteCount + body.count)
      let message = ICMPHeader(type: ICMPHeader.unreachable6, code: ICMPHeader.portUnreachable6, word: 0)
        .message(body: body.rawSpan, pseudoHeader: seed)
      sendIPv6(message.rawSpan, IPProtocol.icmp6, exchange.reversed, answer, send)
    default:
      break
    }
  }

  private func answerICMPv6(
    _ payload: RawSpan, _ header: IPv6Header, _ exchange: IPExchange, _ answer: Answer, _ send: Send
  ) {
    let count = payload.byteCount
    let seed = exchange.pseudoHeaderSum(protocolNumber: IPProtocol.icmp6, byteCount: count)
    guard let icmp = ICMPHeader(parsing: payload), icmp.code == 0,
      answer.isTrusted || InternetChecksum.sum(payload, 0..<count, seed: seed) == 0xffff
    else { return }
    switch icmp.type {
    case ICMPHeader.echoRequest6:
      guard header.source != .unspecified else { return }
      // A ping of a group is answered by one's own address (RFC 4443 4.2).
      let own = isOwn(header.destination) ? header.destination : linkLocal
      let reply = IPExchange.v6(source: own, destination: header.source)
      let message = ICMPHeader(type: ICMPHeader.echoReply6, code: 0, word: icmp.word).message(
        body: payload.extracting(ICMPHeader.byteCount..<count),
        pseudoHeader: reply.pseudoHeaderSum(protocolNumber: IPProtocol.icmp6, byteCount: count))
      sendIPv6(message.rawSpan, IPProtocol.icmp6, reply, answer, send)
    case ICMPHeader.neighborSolicitation:
      // RFC 4861 7.1.1: only what was sent on this link.
      guard header.hopLimit == 255, let question = NeighborMessage(parsing: payload), isOwn(question.target) else {
        return
      }
      advertise(question.target, to: header.source, answer, send)
    default:
      // There is no router here: router solicitations have no answer.
      break
    }
  }

  /// Answers a neighbour solicitation; `peer` is unspecified when it looks for a double of its address (RFC 4862 5.4).
  private func advertise(_ target: IPv6Address, to peer: IPv6Address, _ answer: Answer, _ send: Send) {
    let isProbe = peer == .unspecified
    let destination = isProbe ? IPv6Address.allNodes : peer
    let exchange = IPExchange.v6(source: target, destination: destination)
    let message = NeighborMessage(
      type: ICMPHeader.neighborAdvertisement,
      flags: NeighborMessage.override | (isProbe ? 0 : NeighborMessage.solicited), target: target,
      linkAddress: address
    ).message { exchange.pseudoHeaderSum(protocolNumber: IPProtocol.icmp6, byteCount: $0) }
    let hardwareAddress = isProbe ? destination.groupAddress : answer.peer
    sendIPv6(
      message.rawSpan, IPProtocol.icmp6, exchange,
      Answer(peer: hardwareAddress, vlan: answer.vlan, isTrusted: true), send, hopLimit: 255)
  }

  /// Sends a packet, in fragments where it is longer than the MTU.
  private func sendIPv6(
    _ payload: RawSpan, _ protocolNumber: UInt8, _ exchange: IPExchange, _ answer: Answer, _ send: Send,
    hopLimit: UInt8 = 64
  ) {
    guard case .v6(let source, let destination) = exchange else { return }
    let count = payload.byteCount
    guard count <= FragmentReassembler.maximumByteCount else { return }
    let isWhole = count <= mtu - IPv6Header.byteCount
    let number = isWhole ? 0 : lastIdentification.add(1, ordering: .relaxed).newValue
    let limit = isWhole ? max(count, 1) : (mtu - IPv6Header.byteCount - IPv6Header.fragmentByteCount) & ~7
    var offset = 0
    repeat {
      let end = min(count, offset + limit)
      let header = IPv6Header(
        payloadByteCount: end - offset, protocolNumber: protocolNumber, source: source, destination: destination,
        hopLimit: hopLimit,
        fragment: isWhole
          ? nil : IPv6Header.Fragment(identification: number, offset: offset, hasMore: end < count))
      let start = FrameHeaders.networkOffset + header.payload.lowerBound
      let frame = [UInt8](zeroed: start + end - offset) { bytes in
        bytes.storeEthernet(destination: answer.peer, source: address, type: EtherType.ipv6)
        header.store(into: &bytes, at: FrameHeaders.networkOffset)
        bytes.store(payload.extracting(offset..<end), at: start)
      }
      send(frame.rawSpan, FrameOffload(vlan: answer.vlan))
      offset = end
    } while offset < count
  }
}
