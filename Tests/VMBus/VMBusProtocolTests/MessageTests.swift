import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct MessageTests {
  @Test func vectorsCoverV01ToV32() {
    #expect(Set(GoldenMessage.all.map(\.name)).count == 32)
  }

  @Test(arguments: GoldenMessage.all) func goldenVectorsBothWays(vector: GoldenMessage) throws {
    #expect(vector.message.encoded() == vector.bytes)
    #expect(try parse(vector.bytes) == vector.message)
  }

  @Test(arguments: GoldenMessage.others) func otherMessagesRoundTrip(message: Message) throws {
    let bytes = message.encoded()
    #expect(bytes.count == message.byteCount)
    #expect(try parse(bytes) == message)
  }

  @Test func everyTypeIsTested() {
    let types = Set((GoldenMessage.all.map(\.message) + GoldenMessage.others).map(\.type.rawValue))
    #expect(types.isSuperset(of: 1...29))
  }

  @Test func layoutsOfReservedAndConnectionMessages() {
    #expect(
      GoldenMessage.others[0].encoded()
        == hex("12 00*7 01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00 05 00 00 00"))
    #expect(GoldenMessage.others[1].encoded() == hex("13 00*7 01 00 00 00 02 00 00 00 03 00 00 00"))
    #expect(GoldenMessage.others[4].encoded() == hex("19 00*7 00 10 01 00 00*4 00 20 01 00 00*4"))
    #expect(GoldenMessage.others[5].encoded() == hex("1a 00*7 01"))
  }

  /// Smallest sizes of the types 1 to 29, in bytes.
  static let minimums = [
    196, 12, 8, 8, 148, 20, 12, 20, 16, 20, 16, 12, 12, 40, 10, 8, 8, 28, 20, 12, 40, 16, 44, 16, 24, 9, 8, 8, 8,
  ]

  @Test func shorterMessagesAreRefusedAndTheShortestAccepted() throws {
    for (index, minimum) in Self.minimums.enumerated() {
      let type = MessageType(rawValue: UInt32(index + 1))
      #expect(type.minimumByteCount == minimum)
      let whole = [UInt8(index + 1)] + Array(repeating: UInt8(0), count: minimum - 1)
      #expect(try parse(whole).type == type)
      for count in 0..<8 {
        #expect(throws: MessageError.noHeader(has: count)) { try parse(Array(whole.prefix(count))) }
      }
      for count in 8..<minimum {
        #expect(throws: MessageError.tooShort(type: type, needs: minimum, has: count)) {
          try parse(Array(whole.prefix(count)))
        }
      }
    }
  }

  @Test func paddedMessagesAreAcceptedAndLongerOnesRefused() throws {
    for vector in GoldenMessage.all where ![8, 9].contains(vector.message.type.rawValue) {
      let padded = vector.bytes + Array(repeating: UInt8(0), count: 240 - vector.bytes.count)
      #expect(try parse(padded).type == vector.message.type)
      #expect(throws: MessageError.tooLong(has: 241)) { try parse(padded + [0]) }
    }
    let padded = Golden.v15 + Array(repeating: UInt8(0), count: 240 - Golden.v15.count)
    #expect(try parse(padded) == parse(Golden.v15), "padding is no range data")
  }

  @Test func clientFeatureNeedsTheLongForm() {
    #expect(throws: MessageError.tooShort(type: .initiateContact, needs: 56, has: 40)) {
      try parse(Array(Golden.v03.prefix(40)))
    }
    #expect(InitiateContact(version: .v6_0, features: .clientID).features == [])
  }

  @Test func versionResponseFormsAreToldApartBySize() throws {
    for (count, selection) in [(10, nil), (15, nil), (16, 0x24)] as [(Int, UInt32?)] {
      guard case .versionResponse(let response) = try parse(Array(Golden.v06.prefix(count))) else {
        Issue.record("not a VERSION_RESPONSE")
        return
      }
      #expect(response.isSupported && response.state == .successful && response.selection == selection)
      #expect(response.features == nil && response.monitorPages == nil)
    }
    // Monitor pages that no feature flag announces are no monitor pages.
    let padded = Golden.v07 + Array(repeating: UInt8(0xee), count: 220)
    #expect(
      try parse(padded)
        == .versionResponse(.accepted(.v6_0, messageConnectionID: 0x24, features: FeatureFlags(rawValue: 0x26))))
  }

  @Test func messageConnectionFollowsTheVersion() {
    let response = VersionResponse.accepted(.v5_3, messageConnectionID: 0x24)
    #expect(response.messageConnectionID(for: .v5_3) == 0x24)
    #expect(response.messageConnectionID(for: .v4_1) == 1)
  }

  @Test func offerFieldsAndSocketParameters() throws {
    guard case .offer(let nic) = try parse(Golden.v11), case .offer(let socket) = try parse(Golden.v12) else {
      Issue.record("not an OFFER_CHANNEL")
      return
    }
    #expect(nic.monitor == 2 && nic.isPrimary && nic.isDedicatedInterrupt && nic.socket == nil && nic.pipeType == nil)
    #expect(socket.monitor == nil && socket.monitorID == 0xff)
    #expect(socket.pipeType == .byteStream)
    #expect(socket.socket == SocketOffer(isGuestAccept: true))
    #expect(socket.interfaceClass.socketServicePort == 1024)
    var hostile = nic
    hostile.monitorID = 200
    #expect(hostile.monitor == nil, "only 128 monitor ids exist")
  }

  @Test func offerOffsetsOfTheFieldsThatVectorsLeaveZero() {
    var offer = ChannelOffer(
      interfaceClass: .scsi, instance: .zero, mmioMegabytes: 0x1122, optionalMMIOMegabytes: 0x3344,
      userDefined: [0x55], subChannelIndex: 0x6677, relid: 1, isDedicatedInterrupt: false, connectionID: 2)
    offer.userDefined += [1, 2, 3]
    let bytes = Message.offer(offer).encoded()
    #expect(bytes.count == 196)
    #expect(bytes[58...60] == [0x22, 0x11, 0x55] && bytes[180...183] == [0x77, 0x66, 0x44, 0x33])
    #expect(bytes[188...191] == [0xff, 0, 0, 0])
  }

  @Test func availabilityFollowsVersionAndFeatures() {
    #expect(MessageType.modifyChannel.isAllowed(at: .v4_1) && !MessageType.modifyChannel.isAllowed(at: .v4_0))
    #expect(!MessageType.pause.isAllowed(at: .v6_0) && MessageType.pause.isAllowed(at: .v6_0, features: .pauseResume))
    #expect(!MessageType(rawValue: 30).isAllowed(at: .v6_0))
    let fromHost = MessageType.known.filter { $0.isSentByHost == true }.map(\.rawValue)
    #expect(fromHost == [1, 2, 4, 6, 10, 12, 15, 17, 20, 23, 24, 26, 28])
    #expect(MessageType.openChannelResult.description == "OPEN_CHANNEL_RESULT")
    #expect(MessageType(rawValue: 99).description == "message type 99")
  }

  @Test func mutatedMessagesNeverTrapAndReparseEqual() throws {
    var random = SeededGenerator(seed: 1)
    var accepted = 0
    for round in 0..<6000 {
      let seed = GoldenMessage.all[round % GoldenMessage.all.count].bytes
      let bytes = round % 3 == 0 ? random.bytes(Int.random(in: 0...250, using: &random)) : random.mutation(of: seed)
      guard let message = try? parse(bytes) else { continue }
      accepted += 1
      let encoded = message.encoded()
      #expect(encoded.count <= 240)
      #expect(try parse(encoded) == message)
    }
    #expect(accepted > 1000)
  }
}
