import Support
import Testing
import VMBusProtocol
import VMBusServer

/// Random conversations: nothing traps, what is sent parses, and everything ends when the guest does.
@Suite struct FuzzTests {
  @Test(arguments: 0..<24) func randomConversation(seed: Int) throws {
    var random = RandomNumbers(seed: UInt64(seed))
    var limits = ServerLimits()
    limits.gpadlCount = 16
    limits.gpadlPageCount = 2000
    limits.allocatesMonitors = seed & 1 == 0
    let talk = Conversation(limits: limits, devices: [GUID(9, 9, 9, 1), GUID(9, 9, 9, 2)])
    var opening: [ChannelKey] = []
    var closing: [ChannelKey] = []
    var devices: [UInt64] = [1, 2]
    var connects = 0
    var opens = 0
    for step in 0..<3000 {
      let relid = UInt32(random.next() % 5)
      let gpadl = UInt32(random.next() % 8)
      switch random.next() % 24 {
      case 0:
        if random.next() & 31 == 0 || !talk.connection.isConnected {
          let version = ProtocolVersion.known[Int(random.next() % UInt64(ProtocolVersion.known.count))]
          _ = talk.contact(version, pages: MonitorPageAddresses(parentToChild: 0x200000, childToParent: 0x201000))
          _ = talk.post(.requestOffers)
        }
      case 1: if random.next() & 15 == 0 { talk.post(.unload) }
      case 2, 3, 4: try talk.announce(gpadl, relid: relid, pages: Int(random.next() % 60) + 1)
      case 5, 6, 7: talk.post(talk.request(relid, gpadl: gpadl, downstream: UInt32(random.next() % 8) + 1))
      case 8: talk.post(.closeChannel(relid: relid))
      case 9: talk.post(.relidReleased(relid: relid))
      case 10: talk.post(.gpadlTeardown(relid: relid, gpadl: gpadl))
      case 11: talk.post(.gpadlBody(GPADLBody(gpadl: gpadl, words: [random.next()])))
      case 12:
        talk.note(talk.connection.add(.make(UInt64(step + 10)), Conversation.description(GUID(9, 9, 9, UInt64(relid)))))
        devices.append(UInt64(step + 10))
      case 13:
        if devices.count > 1 {
          let index = Int(random.next() % UInt64(devices.count))
          talk.note(talk.connection.remove(.make(devices.remove(at: index))))
        }
      case 14: talk.note(talk.connection.offerSubChannels(.make(devices[0]), count: Int(gpadl)))
      case 15, 16:
        if let key = opening.popLast() {
          talk.note(talk.connection.openFinished(key, succeeded: random.next() & 3 != 0))
        }
      case 17, 18: if let key = closing.popLast() { talk.note(talk.connection.closeFinished(key)) }
      case 19:
        talk.holdsMappings = seed % 2 == 1
        if let key = talk.held.popLast() { talk.note(talk.connection.withdrawn(key)) }
        // Reports that nobody waits for change nothing.
        talk.note(talk.connection.closeFinished(ChannelKey(number: 1 << 40)))
      default:
        var bytes = mutated(&random, relid: relid, gpadl: gpadl)
        if random.next() & 7 == 0 { bytes = Array(bytes.prefix(Int(random.next() % 50))) }
        talk.note(talk.connection.receive(bytes, connectionID: UInt32(random.next() % 5)))
      }
      opens += talk.opens.count
      opening += talk.opens.map(\.key)
      closing += talk.closes
      talk.opens = []
      talk.closes = []
      if talk.connection.isConnected { connects += 1 }
      _ = talk.take()
    }
    #expect(connects > 0 && opens > 0)
    // The end: every end that was made, or is being made, is asked to close, once.
    talk.note(talk.connection.end())
    for key in opening { talk.note(talk.connection.openFinished(key, succeeded: true)) }
    for key in closing + talk.closes { talk.note(talk.connection.closeFinished(key)) }
    #expect(talk.connection.isIdle)
    #expect(talk.take().isEmpty)
  }

  private func mutated(_ random: inout RandomNumbers, relid: UInt32, gpadl: UInt32) -> [UInt8] {
    let messages: [Message] = [
      .requestOffers, .modifyChannel(relid: relid, targetVP: 1), .closeChannel(relid: relid),
      .tlConnect(TLConnect(endpoint: .zero, service: .zero)),
      random.next() & 31 == 0 ? .initiateContact(InitiateContact(version: .v5_3)) : .requestOffers,
      .gpadlHeader(GPADLHeader(relid: relid, gpadl: gpadl, rangeByteCount: 24, rangeCount: 1, words: [4096, 0x100])),
      .openReservedChannel(
        OpenReservedChannel(relid: relid, targetVP: 0, sint: 2, ringGPADL: gpadl, downstreamPageOffset: 2)),
    ]
    var bytes = messages[Int(random.next() % UInt64(messages.count))].encoded()
    for _ in 0..<(random.next() % 4) {
      bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
    }
    return bytes
  }
}
