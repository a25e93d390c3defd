import Ethernet
@testable import EthernetSwitch
import Testing

@Suite struct DHCPTests {
  private let interface = IPv4Interface("10.77.0.1/29")!
  private let own = IPv4Address("10.77.0.1")!

  private func message(_ kind: DHCPMessage.Kind, _ client: UInt64, _ change: (inout DHCPMessage) -> Void = { _ in })
    -> DHCPMessage
  {
    var message = DHCPMessage(kind: kind, isReply: false, transaction: UInt32(client), hardwareAddress: mac(client))
    change(&message)
    return message
  }

  private func acquire(_ server: inout DHCPServer, _ client: UInt64, now: UInt64) -> IPv4Address? {
    guard let offer = server.answer(message(.discover, client), now: now) else { return nil }
    #expect(offer.message.kind == .offer && offer.message.server == own)
    let request = message(.request, client) {
      $0.server = own
      $0.requestedAddress = offer.message.yourAddress
    }
    let ack = server.answer(request, now: now)
    #expect(ack?.message.kind == .ack && ack?.message.yourAddress == offer.message.yourAddress)
    #expect(ack?.message.mask?.description == "255.255.255.248" && ack?.message.router == own)
    #expect(
      ack?.message.leaseSeconds == 3600 && ack?.message.isReply == true && ack?.address == ack?.message.yourAddress)
    return ack?.message.yourAddress
  }

  @Test func everybodyGetsAnAddressOfItsOwn() {
    var server = DHCPServer(interface)
    var addresses: [IPv4Address] = []
    // Six hosts fit, and one of them is the server.
    for client in 1...5 as ClosedRange<UInt64> {
      if let address = acquire(&server, client, now: 0) { addresses.append(address) }
    }
    #expect(Set(addresses).count == 5 && addresses.allSatisfy { interface.hasHost($0) && $0 != own })
    #expect(server.answer(message(.discover, 6), now: 10) == nil)
    #expect(acquire(&server, 3, now: 10) == addresses[2])
    // Once leases have ended the oldest goes to somebody new; the others keep theirs.
    #expect(acquire(&server, 6, now: 3605) != addresses[2])
    #expect(acquire(&server, 3, now: 3605) == addresses[2])
  }

  @Test func requestsAreChecked() {
    var server = DHCPServer(interface)
    let address = acquire(&server, 1, now: 0)!
    let other = IPv4Address(value: address.value == own.value + 2 ? own.value + 3 : own.value + 2)
    func answer(_ client: UInt64, _ change: @escaping (inout DHCPMessage) -> Void) -> DHCPServer.Reply? {
      server.answer(message(.request, client, change), now: 1)
    }
    // Reboot and renewal.
    #expect(answer(1) { $0.requestedAddress = address }?.message.kind == .ack)
    let renewal = answer(1) { $0.clientAddress = address }
    #expect(renewal?.message.kind == .ack && renewal?.address == address && renewal?.hardwareAddress == mac(1))
    // Another network, somebody else's, the server's, not the own one.
    for wrong in [IPv4Address("192.168.0.5")!, own, interface.broadcast, interface.network, other] {
      let refusal = answer(1) { $0.requestedAddress = wrong }
      #expect(
        refusal?.message.kind == .nak && refusal?.address == .broadcast && refusal?.message.yourAddress == .unspecified)
    }
    #expect(answer(2) { $0.requestedAddress = address }?.message.kind == .nak)
    // A stranger keeps what is free.
    #expect(answer(2) { $0.requestedAddress = other }?.message.kind == .ack)
    // Nothing asked for, and what is for another server.
    #expect(answer(3) { _ in } == nil)
    #expect(
      answer(3) {
        $0.server = IPv4Address(value: 9); $0.requestedAddress = other
      } == nil)
  }

  @Test func otherMessages() {
    var server = DHCPServer(interface)
    let address = acquire(&server, 1, now: 0)!
    let inform = server.answer(message(.inform, 9) { $0.clientAddress = IPv4Address("10.77.0.6")! }, now: 0)
    #expect(inform?.message.kind == .ack && inform?.message.leaseSeconds == nil)
    #expect(inform?.message.yourAddress == .unspecified && inform?.address.description == "10.77.0.6")
    let broadcast = server.answer(message(.discover, 1) { $0.wantsBroadcast = true }, now: 0)
    #expect(broadcast?.address == .broadcast && broadcast?.hardwareAddress == .broadcast)
    #expect(server.answer(message(.discover, 1) { $0.relayAddress = address }, now: 0) == nil)
    #expect(server.answer(message(.discover, 1) { $0.isReply = true }, now: 0) == nil)
    #expect(server.answer(message(.init(rawValue: 99), 1), now: 0) == nil)
    // Only the owner can give it back; it gets the same again.
    let release = { (client: UInt64) in
      message(.release, client) {
        $0.server = own
        $0.clientAddress = address
      }
    }
    _ = server.answer(release(2), now: 1)
    #expect(server.answer(message(.request, 2) { $0.requestedAddress = address }, now: 1)?.message.kind == .nak)
    _ = server.answer(release(1), now: 1)
    #expect(acquire(&server, 1, now: 2) == address)
    // A declined address is left alone for a while.
    _ = server.answer(
      message(.decline, 1) {
        $0.server = own
        $0.requestedAddress = address
      }, now: 3)
    let second = acquire(&server, 1, now: 4)
    #expect(second != nil && second != address)
    #expect(server.answer(message(.request, 2) { $0.requestedAddress = address }, now: 4)?.message.kind == .nak)
    #expect(server.answer(message(.request, 2) { $0.requestedAddress = address }, now: 700)?.message.kind == .ack)
    // An offer that was not taken is free at once when the client says so.
    var fresh = DHCPServer(interface)
    let offered = fresh.answer(message(.discover, 1), now: 0)!.message.yourAddress
    _ = fresh.answer(message(.request, 1) { $0.server = IPv4Address(value: 9) }, now: 0)
    #expect(fresh.leases.count == 0)
    #expect(fresh.answer(message(.request, 2) { $0.requestedAddress = offered }, now: 0)?.message.kind == .ack)
  }

  /// However many clients ask, the table is bounded, and stays quick.
  @Test func isBounded() {
    var server = DHCPServer(IPv4Interface("10.77.0.1/8")!)
    for client in 0..<3000 as Range<UInt64> { _ = server.answer(message(.discover, client + 1), now: 0) }
    #expect(server.leases.count == 1024)
    _ = server.answer(message(.discover, 5000), now: 61)
    #expect(server.leases.count == 1024)
  }

  /// The same client gets the same address in every process.
  @Test func isStable() {
    var servers = (0..<2).map { _ in DHCPServer(IPv4Interface("10.77.0.1/24")!) }
    let first = servers[0].answer(message(.discover, 7), now: 0)?.message.yourAddress
    _ = servers[1].answer(message(.discover, 8), now: 0)
    #expect(first != nil && servers[1].answer(message(.discover, 7), now: 9)?.message.yourAddress == first)
  }
}
