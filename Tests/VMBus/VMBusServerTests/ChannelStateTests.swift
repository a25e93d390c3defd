import Testing
import VMBusProtocol
import VMBusServer

/// Every state of a channel with every message of the guest.
@Suite struct ChannelStateTests {
  let talk = Conversation()
  let relid: UInt32

  init() throws {
    relid = try #require(talk.connect().first)
  }

  func failure(_ openID: UInt32 = 3) -> Message {
    .openChannelResult(relid: relid, openID: openID, status: .unspecifiedFailure)
  }

  func success(_ openID: UInt32 = 3) -> Message {
    .openChannelResult(relid: relid, openID: openID, status: .success)
  }

  @Test(arguments: ChannelStateName.allCases) func open(state: ChannelStateName) throws {
    try talk.bring(relid, to: state)
    let before = talk.opens.count
    if state == .closed { try talk.announce(50, relid: relid) }
    #expect(talk.post(talk.request(relid, openID: 8)).isEmpty)
    switch state {
    case .closed:
      #expect(talk.opens.count == before + 1)
      #expect(talk.opens[before].rings.upstream == [0x100, 0x101, 0x102, 0x103])
      #expect(talk.opened() == [success(8)])
    case .closing:
      #expect(talk.opens.count == before)
      #expect(talk.closed().isEmpty)
      #expect(talk.opens.count == before + 1)
      #expect(talk.opened() == [success(8)])
    default: #expect(talk.opens.count == before)
    }
    #expect(talk.dropped == (state == .closed || state == .closing ? 0 : 1))
  }

  @Test(arguments: ChannelStateName.allCases) func close(state: ChannelStateName) throws {
    try talk.bring(relid, to: state)
    let before = talk.closes.count
    #expect(talk.post(.closeChannel(relid: relid)).isEmpty)
    #expect(talk.closes.count == before + (state == .open ? 1 : 0))
    #expect(talk.dropped == ([.open, .revoked, .reoffered].contains(state) ? 0 : 1))
  }

  @Test(arguments: ChannelStateName.allCases) func relidReleased(state: ChannelStateName) throws {
    try talk.bring(relid, to: state)
    let answers = talk.post(.relidReleased(relid: relid))
    switch state {
    case .closed, .revoked:
      #expect(answers.isEmpty)
      // The relid is free again; a device that the guest has let go of is not offered again.
      talk.note(talk.connection.add(.make(4), Conversation.description(GUID(4, 4, 4, 4))))
      let offer = try #require(talk.take().first?.asOffer)
      #expect(offer.relid == relid && offer.instance == GUID(4, 4, 4, 4))
    case .closing:
      #expect(answers.isEmpty && talk.closed().isEmpty)
      #expect(talk.post(.closeChannel(relid: relid)).isEmpty && talk.dropped == 1)
    case .reoffered:
      let offer = try #require(answers.first?.asOffer)
      #expect(offer.relid == relid && answers.count == 1)
      try talk.announce(51, relid: relid)
      _ = talk.post(talk.request(relid, gpadl: 51))
      #expect(talk.opened() == [success()])
    default: #expect(answers.isEmpty && talk.dropped == 1)
    }
  }

  @Test(arguments: ChannelStateName.allCases) func modify(state: ChannelStateName) throws {
    try talk.bring(relid, to: state)
    let status: MessageStatus = state == .open ? .success : .unspecifiedFailure
    #expect(
      talk.post(.modifyChannel(relid: relid, targetVP: 1)) == [.modifyChannelResponse(relid: relid, status: status)])
    #expect(
      talk.post(.modifyChannel(relid: relid, targetVP: OpenChannel.noInterrupts))
        == [.modifyChannelResponse(relid: relid, status: .unspecifiedFailure)])
    #expect(talk.retargets == (state == .open ? [1] : []))
  }

  @Test func modifyBefore53() throws {
    for version in [ProtocolVersion.v4_0, .v4_1, .v5_2] {
      let talk = Conversation()
      let relid = try #require(talk.connect(version).first)
      try talk.bring(relid, to: .open)
      #expect(talk.post(.modifyChannel(relid: relid, targetVP: 1)).isEmpty)
      #expect(talk.dropped == (version == .v4_0 ? 1 : 0))
    }
  }

  @Test(arguments: ChannelStateName.allCases) func rescind(state: ChannelStateName) throws {
    try talk.bring(relid, to: state)
    let closes = talk.closes.count
    talk.note(talk.connection.remove(.make(state == .reoffered ? 9 : 1)))
    let answers = talk.take()
    switch state {
    case .closed: #expect(answers == [.rescind(relid: relid)])
    case .opening, .closingReopen: #expect(answers == [failure()])
    case .open, .closing, .closingRelease, .revoked, .reoffered: #expect(answers.isEmpty)
    }
    #expect(talk.closes.count == closes + (state == .open || state == .opening ? 1 : 0))
    guard state != .closingRelease else { return }
    if state == .opening { #expect(talk.opened().isEmpty) }
    let hadEnd = [.opening, .open, .closing, .closingReopen].contains(state)
    if hadEnd {
      talk.note(talk.connection.add(.make(4), Conversation.description(GUID(4, 4, 4, 4))))
      let early = try #require(talk.take().first?.asOffer)
      #expect(early.relid != relid)
      // The guest is told when nobody uses its memory any more, and not if it has given the relid back by itself.
      if state == .open { #expect(talk.post(.relidReleased(relid: relid)).isEmpty) }
      #expect(talk.closed() == (state == .open ? [] : [.rescind(relid: relid)]))
    }
    // The relid is free when the guest has given it back and the end is closed.
    if state != .open { #expect(talk.post(.relidReleased(relid: relid)).isEmpty) }
    talk.note(talk.connection.add(.make(5), Conversation.description(GUID(5, 5, 5, 5))))
    let offer = try #require(talk.take().first?.asOffer)
    #expect(offer.relid == relid)
  }

  @Test func openThatFails() throws {
    #expect(talk.post(talk.request(relid)) == [failure()])
    try talk.announce(50, relid: relid)
    for downstream in [0, 1, 7, 8, 0xffff_ffff] as [UInt32] {
      #expect(talk.post(talk.request(relid, downstream: downstream)) == [failure()])
    }
    _ = talk.post(talk.request(relid))
    #expect(talk.opened(false) == [failure()])
    _ = talk.post(talk.request(relid))
    #expect(talk.opened() == [success()])
  }

  @Test func subChannels() throws {
    talk.note(talk.connection.offerSubChannels(.make(1), count: 2))
    #expect(talk.take().isEmpty)
    try talk.bring(relid, to: .open)
    talk.note(talk.connection.offerSubChannels(.make(1), count: 2))
    talk.note(talk.connection.offerSubChannels(.make(1), count: 3))
    let offers = talk.take().compactMap(\.asOffer)
    #expect(offers.map(\.subChannelIndex) == [1, 2, 3])
    #expect(offers.allSatisfy { $0.instance == GUID(9, 9, 9, 1) })
    // A closed sub-channel is taken back, so that the driver asks for it anew.
    let first = offers[0].relid
    try talk.announce(60, relid: first)
    _ = talk.post(talk.request(first, gpadl: 60))
    _ = talk.opened()
    _ = talk.post(.closeChannel(relid: first))
    _ = talk.post(.gpadlTeardown(relid: first, gpadl: 60))
    #expect(talk.closed() == [.gpadlTorndown(gpadl: 60), .rescind(relid: first)])
    talk.note(talk.connection.offerSubChannels(.make(1), count: 1))
    let again = try #require(talk.take().first?.asOffer)
    #expect(again.subChannelIndex == 1 && again.relid != first)
    // The primary takes all others with it.
    #expect(
      Set(talk.post(.closeChannel(relid: relid)).map(\.type)) == [.rescindChannelOffer])
    #expect(talk.connection.offerSubChannels(.make(1), count: .max).isEmpty)
  }
}
