import Ethernet

/// Answers DHCP messages from the leases of one network (RFC 2131 4.3).
struct DHCPServer {
  private(set) var leases: DHCPLeases

  init(_ interface: IPv4Interface) {
    leases = DHCPLeases(interface)
  }

  /// A reply, and where it goes to.
  struct Reply: Hashable {
    var message: DHCPMessage
    var address: IPv4Address
    var hardwareAddress: MACAddress
  }

  private var own: IPv4Address { leases.interface.address }

  /// The answer to `request`; nil when there is none. Messages of relays are not answered: the network is one link.
  ///
  /// - Parameter now: in seconds.
  mutating func answer(_ request: DHCPMessage, now: UInt64) -> Reply? {
    guard !request.isReply, request.relayAddress == .unspecified, request.hardwareAddress.isUsable else { return nil }
    let client = request.clientIdentifier ?? [1] + (0..<6).map { request.hardwareAddress[$0] }
    switch request.kind {
    case .discover:
      guard let address = leases.offer(client, requested: request.requestedAddress, now: now) else { return nil }
      return reply(to: request, .offer, address)
    case .request:
      return answerRequest(request, client, now: now)
    case .inform:
      guard request.clientAddress.isHost else { return nil }
      return reply(to: request, .ack, nil)
    case .decline:
      if request.server == own, let address = request.requestedAddress {
        leases.decline(client, address, now: now)
      }
      return nil
    case .release:
      if request.server == own { leases.release(client, request.clientAddress, now: now) }
      return nil
    default:
      return nil
    }
  }

  private mutating func answerRequest(_ request: DHCPMessage, _ client: DHCPLeases.Client, now: UInt64) -> Reply? {
    if let server = request.server, server != own {
      leases.withdraw(client)
      return nil
    }
    let isRenewal = request.clientAddress != .unspecified
    guard let address = isRenewal ? request.clientAddress : request.requestedAddress else { return nil }
    // Nobody else serves this network: a client that nobody remembers may keep an address that is free.
    if leases.bind(client, address, now: now) { return reply(to: request, .ack, address) }
    var refusal = DHCPMessage(
      kind: .nak, isReply: true, transaction: request.transaction, hardwareAddress: request.hardwareAddress,
      wantsBroadcast: true)
    refusal.server = own
    refusal.clientIdentifier = request.clientIdentifier
    return Reply(message: refusal, address: .broadcast, hardwareAddress: .broadcast)
  }

  /// - Parameter address: the address that the client gets; nil when it has one already and asks for the rest.
  private func reply(to request: DHCPMessage, _ kind: DHCPMessage.Kind, _ address: IPv4Address?) -> Reply {
    var message = DHCPMessage(
      kind: kind, isReply: true, transaction: request.transaction, hardwareAddress: request.hardwareAddress,
      wantsBroadcast: request.wantsBroadcast)
    message.server = own
    message.mask = leases.interface.mask
    message.router = own
    message.clientIdentifier = request.clientIdentifier
    if kind == .ack { message.clientAddress = request.clientAddress }
    if let address {
      message.yourAddress = address
      message.leaseSeconds = leases.leaseSeconds
    }
    if request.clientAddress != .unspecified {
      return Reply(message: message, address: request.clientAddress, hardwareAddress: request.hardwareAddress)
    }
    if request.wantsBroadcast || address == nil {
      return Reply(message: message, address: .broadcast, hardwareAddress: .broadcast)
    }
    return Reply(message: message, address: address!, hardwareAddress: request.hardwareAddress)
  }
}
