public import Ethernet
public import LinuxIO
import Synchronization
import WireBytes

/// A pseudo host behind a switch, to prove a link with: it answers ARP and neighbour solicitations, pings of any size over
/// IPv4 and IPv6, hands out addresses by DHCP, and refuses TCP connections and UDP datagrams as a host without services
/// does. It is no router.
///
/// It sends only replies, each to the Ethernet address that the question came from, so that it keeps no neighbours.
public final class Responder: FrameResponder {
  /// Its Ethernet address: locally administered, made of the IPv4 address.
  public let address: MACAddress
  /// Its IPv4 address and network.
  public let ipv4: IPv4Interface
  /// Its IPv6 address beside the link-local one.
  public let ipv6: IPv6Interface?
  /// Its link-local address, made of `address`.
  public let linkLocal: IPv6Address
  /// The longest IP packet that it sends, in bytes.
  public let mtu: Int

  let clock: @Sendable () -> UInt64
  let reassembler = Mutex(FragmentReassembler())
  let dhcp: Mutex<DHCPServer>
  /// Numbers packets that are sent in fragments.
  let lastIdentification = Atomic<UInt32>(0)

  /// A host.
  ///
  /// - Parameters:
  ///   - mtu: the longest IP packet that it sends, in bytes; 1280 at least, longer ones are sent in fragments.
  ///   - clock: now, in nanoseconds of a clock that never goes back.
  public init(
    ipv4: IPv4Interface, ipv6: IPv6Interface? = nil, mtu: Int = 1500,
    clock: @escaping @Sendable () -> UInt64 = { monotonicNanoseconds() }
  ) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.mtu = min(max(mtu, 1280), 65_535)
    self.clock = clock
    address = MACAddress(value: 0x0253 << 32 | UInt64(ipv4.address.value))
    linkLocal = IPv6Address(linkLocalOf: address)
    dhcp = Mutex(DHCPServer(ipv4))
  }

  /// What replies to one frame have in common.
  struct Answer {
    let peer: MACAddress
    let vlan: UInt16?
    /// Whether checksums behind IP need no look: the frame never left this machine, or somebody has verified it.
    let isTrusted: Bool
  }

  /// Called with each frame of a reply.
  typealias Send = (_ frame: RawSpan, _ offload: FrameOffload) -> Void

  /// Answers a frame, if it is for this host and there is an answer. Keeps nothing but fragments and leases.
  public func respond(
    to frame: RawSpan, offload: FrameOffload, reply: (_ frame: RawSpan, _ offload: FrameOffload) -> Void
  ) {
    guard frame.byteCount >= FrameHeaders.networkOffset else { return }
    let destination = frame.macAddress(at: 0)
    let peer = frame.macAddress(at: 6)
    guard destination == address || destination.isMulticast, peer.isUsable, peer != address else { return }
    let answer = Answer(peer: peer, vlan: offload.vlan, isTrusted: offload.checksum != .complete)
    let packet = frame.extracting(FrameHeaders.networkOffset..<frame.byteCount)
    switch frame.be16(at: 12) {
    case EtherType.arp: answerARP(packet, answer, reply)
    case EtherType.ipv4: answerIPv4(packet, answer, reply)
    case EtherType.ipv6: answerIPv6(packet, answer, reply)
    default: break
    }
  }

  private func answerARP(_ packet: RawSpan, _ answer: Answer, _ send: Send) {
    guard let request = ARPPacket(parsing: packet), request.operation == ARPPacket.request,
      request.targetIP == ipv4.address, request.senderIP != ipv4.address
    else { return }
    let reply = ARPPacket(
      operation: ARPPacket.reply, senderMAC: address, senderIP: ipv4.address, targetMAC: request.senderMAC,
      targetIP: request.senderIP)
    let frame = [UInt8](zeroed: FrameHeaders.networkOffset + ARPPacket.byteCount) { bytes in
      bytes.storeEthernet(destination: answer.peer, source: address, type: EtherType.arp)
      reply.store(into: &bytes, at: FrameHeaders.networkOffset)
    }
    send(frame.rawSpan, FrameOffload(vlan: answer.vlan))
  }
}
