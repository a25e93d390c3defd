import Testing
import VMBusProtocol
import VMBusServer
import WireBytes

/// Contact, offers, unload: the connection as a whole.
@Suite struct ConnectionTests {
  @Test func goldenContact() {
    let talk = Conversation()
    // INITIATE_CONTACT 5.3, SINT 2, no monitor pages, and its answer: supported, message connection 4.
    var bytes = [UInt8](repeating: 0, count: 40)
    bytes.replaceSubrange(0..<20, with: [14, 0, 0, 0, 0, 0, 0, 0, 3, 0, 5, 0, 0, 0, 0, 0, 2, 0, 0, 0])
    let actions = talk.connection.receive(bytes, connectionID: 4)
    #expect(actions.last == .send([15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0]))
    // REQUEST_OFFERS, ALL_OFFERS_DELIVERED after the offers.
    let offers = talk.connection.receive([3, 0, 0, 0, 0, 0, 0, 0], connectionID: 4)
    #expect(offers.count == 2)
    #expect(offers.last == .send([4, 0, 0, 0, 0, 0, 0, 0]))
    // UNLOAD, UNLOAD_COMPLETE.
    let unload = talk.connection.receive([16, 0, 0, 0, 0, 0, 0, 0], connectionID: 4)
    #expect(unload == [.discardQueue, .disconnected, .send([17, 0, 0, 0, 0, 0, 0, 0])])
  }

  @Test(arguments: ProtocolVersion.offered) func acceptedVersions(version: ProtocolVersion) {
    let talk = Conversation()
    #expect(talk.contact(version) == [.versionResponse(.accepted(version, messageConnectionID: 4))])
    #expect(talk.connection.isConnected)
  }

  @Test(arguments: [.v0_13, .v1_1, .v6_0, ProtocolVersion(5, 4), ProtocolVersion(0, 0)])
  func refusedVersions(version: ProtocolVersion) {
    let talk = Conversation()
    #expect(talk.contact(version) == [.versionResponse(.unsupported)])
    #expect(!talk.connection.isConnected)
  }

  @Test func targetInformationCountsThroughItsPortOnly() {
    let talk = Conversation()
    let other = Message.initiateContact(InitiateContact(version: .v5_3, sint: 5))
    #expect(talk.post(other, connectionID: 4) == [.versionResponse(.unsupported)])
    #expect(talk.post(other, connectionID: 1) == [.versionResponse(.accepted(.v5_3, messageConnectionID: 4))])
    let paravisor = Message.initiateContact(InitiateContact(version: .v5_3, vtl: 2))
    #expect(talk.post(paravisor, connectionID: 4) == [.versionResponse(.unsupported)])
  }

  @Test(arguments: [(0x200000, 0), (0, 0x200000), (0x200010, 0x201000), (0x1000, 0x200000)] as [(UInt64, UInt64)])
  func badMonitorPages(parent: UInt64, child: UInt64) {
    let talk = Conversation()
    #expect(
      talk.contact(pages: MonitorPageAddresses(parentToChild: parent, childToParent: child))
        == [.versionResponse(.failed())])
    #expect(!talk.connection.isConnected)
  }

  @Test func offersInOrder() {
    let talk = Conversation(devices: [])
    let later = GUID(0xf000_0000, 0, 0, 0)
    let sooner = GUID(0x1000_0000, 0, 0, 0)
    for (number, (interfaceClass, instance)) in [(later, 1), (sooner, 9), (sooner, 2)].enumerated() {
      talk.note(
        talk.connection.add(
          .make(UInt64(number)), Conversation.description(GUID(UInt32(instance), 0, 0, 0), class: interfaceClass)))
    }
    #expect(talk.take().isEmpty)
    _ = talk.contact()
    let answers = talk.post(.requestOffers)
    let order = answers.compactMap { $0.asOffer?.instance.first }
    #expect(order == [9, 2, 1])
    #expect(answers.last == .allOffersDelivered)
    #expect(talk.post(.requestOffers).isEmpty)
    #expect(talk.dropped == 1)
  }

  @Test func devicesThatComeLater() throws {
    let talk = Conversation()
    _ = talk.contact()
    talk.note(talk.connection.add(.make(2), Conversation.description(GUID(1, 1, 1, 2))))
    #expect(talk.take().isEmpty)
    #expect(talk.post(.requestOffers).count == 3)
    talk.note(talk.connection.add(.make(3), Conversation.description(GUID(1, 1, 1, 3))))
    let offer = try #require(talk.take().first?.asOffer)
    #expect(offer.relid == 3)
    #expect(offer.instance == GUID(1, 1, 1, 3))
    #expect(offer.userDefined.first == 5)
    #expect(offer.monitor == nil && offer.isDedicatedInterrupt && offer.connectionID == 0x2003)
  }

  @Test func monitorsOnlyWithPages() throws {
    var limits = ServerLimits()
    limits.allocatesMonitors = true
    let pages = MonitorPageAddresses(parentToChild: 0x200000, childToParent: 0x201000)
    for (given, expected) in [(MonitorPageAddresses.none, nil), (pages, 0)] as [(MonitorPageAddresses, UInt8?)] {
      let talk = Conversation(limits: limits)
      _ = talk.contact(pages: given)
      let offer = try #require(talk.post(.requestOffers).first?.asOffer)
      #expect(offer.monitor == expected)
    }
  }

  @Test func unloadWaitsForTheEnds() throws {
    let talk = Conversation()
    let relid = try #require(talk.connect().first)
    try talk.bring(relid, to: .open)
    #expect(talk.post(.unload).isEmpty)
    #expect(talk.closes == [talk.opens[0].key])
    #expect(talk.discards == 1)
    #expect(talk.post(.requestOffers).isEmpty)
    #expect(talk.post(.relidReleased(relid: relid)).isEmpty)
    #expect(talk.closed() == [.unloadComplete])
    #expect(talk.connection.isIdle)
    // The same guest again.
    #expect(talk.connect() == [1])
  }

  @Test func contactReplacesWhatWas() throws {
    let talk = Conversation()
    let relid = try #require(talk.connect().first)
    try talk.bring(relid, to: .opening)
    #expect(talk.post(.unload).isEmpty)
    // Cut short: no UNLOAD_COMPLETE is owed, the answer waits for the end that is still being made.
    #expect(talk.contact(.v4_0).isEmpty)
    #expect(talk.opened().isEmpty)
    #expect(talk.closed() == [.versionResponse(.accepted(.v4_0, messageConnectionID: 4))])
    #expect(talk.post(.requestOffers).count == 2)
    try talk.bring(relid, to: .opening)
    #expect(talk.contact(.v5_3).isEmpty)
    // An end that was not made needs no close.
    #expect(talk.opened(false) == [.versionResponse(.accepted(.v5_3, messageConnectionID: 4))])
  }

  @Test func theEndOfTheTransport() throws {
    let talk = Conversation()
    let relid = try #require(talk.connect().first)
    try talk.bring(relid, to: .open)
    talk.note(talk.connection.end())
    #expect(!talk.connection.isIdle)
    #expect(talk.closed().isEmpty)
    #expect(talk.connection.isIdle)
  }

  @Test func messagesOutOfPlace() {
    let talk = Conversation()
    for message: Message in [.requestOffers, .unload, .closeChannel(relid: 1), .relidReleased(relid: 1), .pause] {
      #expect(talk.post(message).isEmpty)
    }
    #expect(talk.dropped == 5)
    talk.connect()
    // A host's message, newer ones, unknown ones.
    for message: Message in [
      .allOffersDelivered, .pause, .resume, .modifyConnection(.none), .unknown(MessageType(rawValue: 77)),
      .closeReservedChannel(relid: 1, targetVP: 0, sint: 2), .gpadlBody(GPADLBody(gpadl: 4, words: [1])),
      .gpadlTeardown(relid: 1, gpadl: 4), .closeChannel(relid: 99), .relidReleased(relid: 99),
    ] {
      #expect(talk.post(message).isEmpty)
    }
    #expect(talk.dropped == 15)
    talk.note(talk.connection.receive([], connectionID: 4))
    talk.note(talk.connection.receive([5, 0, 0, 0, 0, 0, 0, 0], connectionID: 4))
    #expect(talk.connection.droppedMessageCount == 17)
    let endpoint = GUID(1, 2, 3, 4)
    #expect(
      talk.post(.tlConnect(TLConnect(endpoint: endpoint, service: endpoint)))
        == [.tlConnectResult(endpoint: endpoint, service: endpoint, status: .connectionRefused)])
  }
}
