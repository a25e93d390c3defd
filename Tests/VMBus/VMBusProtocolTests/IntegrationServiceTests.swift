import TestVectors
import Testing
import VMBusProtocol
import WireBytes

@Suite struct IntegrationServiceTests {
  private let frameworks = [ICVersion(1, 0), ICVersion(3, 0)]
  private let shutdowns = [ICVersion(1, 0), ICVersion(3, 0), ICVersion(3, 1), ICVersion(3, 2)]

  private func request(_ type: ICMessageType, _ version: ICVersion, transactionID: UInt8) -> ICHeader {
    ICHeader(
      framework: ICVersion(3, 0), type: type, messageVersion: version, bodyByteCount: 0, transactionID: transactionID,
      flags: [.transaction, .request])
  }

  @Test func negotiateV43V44() throws {
    let offer = ICNegotiate(frameworks: frameworks, messages: shutdowns)
    #expect(offer.request(transactionID: Golden.v43[24]) == Golden.v43)
    let header = try ICHeader(Golden.v43)
    #expect(header.type == .negotiate && header.flags == [.transaction, .request] && header.bodyByteCount == 32)
    let parsed = try ICNegotiate(Golden.v43, header)
    #expect(parsed == offer)
    let choice = try #require(parsed.choice(frameworks: [ICVersion(3, 0)], messages: shutdowns.reversed()))
    var reply = Golden.v43
    reply.withMutableBytes { ICNegotiate.answer(choice, header: header, in: &$0) }
    #expect(reply == Golden.v44)
    let replyHeader = try ICHeader(reply)
    #expect(
      try ICNegotiate(reply, replyHeader)
        == ICNegotiate(frameworks: [ICVersion(3, 0)], messages: [ICVersion(3, 2)]))
  }

  @Test func negotiationWithoutACommonVersion() throws {
    let header = try ICHeader(Golden.v43)
    let parsed = try ICNegotiate(Golden.v43, header)
    #expect(parsed.choice(frameworks: [ICVersion(2, 0)], messages: shutdowns) == nil)
    #expect(parsed.choice(frameworks: frameworks, messages: [ICVersion(4, 0)]) == nil)
    var reply = Golden.v43
    reply.withMutableBytes { ICNegotiate.answer(nil, header: header, in: &$0) }
    #expect(reply.count == 60 && reply[28...31] == [0, 0, 0, 0])
  }

  @Test func heartbeatV45V46() throws {
    let header = request(.heartbeat, ICVersion(3, 0), transactionID: Golden.v45[24])
    let beat = ICHeartbeat(sequence: 41)
    #expect(beat.payload(header: header) == Golden.v45)
    let received = try ICHeader(Golden.v45)
    let parsed = try ICHeartbeat(Golden.v45, received)
    #expect(parsed == beat)
    #expect(parsed.reply(state: .healthy).payload(header: received.reply()) == Golden.v46)
    let answer = try ICHeader(Golden.v46)
    #expect(answer.flags == [.transaction, .response])
    #expect(
      try ICHeartbeat(Golden.v46, answer) == ICHeartbeat(sequence: 42, state: .healthy))
  }

  @Test func timeSyncV47() throws {
    let header = try ICHeader(Golden.v47)
    let parsed = try ICTimeSync(Golden.v47, header)
    let sample = ICTimeSync(
      parentTime: 133_444_736_000_000_000, referenceTime: 0x1_2345_6789, flags: .sample, stratum: 3)
    #expect(parsed == sample)
    #expect((parsed.parentTime - ICTimeSync.unixEpoch) / 10_000_000 == 1_700_000_000)
    #expect(sample.payload(header: header) == Golden.v47)
  }

  @Test func timeSyncBeforeFourHasItsFlagsLater() throws {
    var bytes = hex("01 00*3 38 00*3 03 00 00 00 04 00 03 00 00 00 24 00 00*4 00 03 00 00 09 00*7 00*16 01 00*11")
    let header = try ICHeader(bytes)
    let parsed = try ICTimeSync(bytes, header)
    #expect(parsed.parentTime == 9 && parsed.flags == .sync && parsed.referenceTime == nil)
    bytes[18] = 24
    #expect(throws: ICError.tooShort(.timeSync, needs: 25, has: 24)) {
      try ICTimeSync(bytes, try ICHeader(bytes))
    }
  }

  @Test func shutdownLayout() throws {
    let body = ICShutdown(timeoutSeconds: 60, flags: [.force, .restart])
    let bytes = body.payload(header: request(.shutdown, ICVersion(3, 2), transactionID: 5))
    #expect(bytes.count == 28 + 2060)
    #expect(Array(bytes[28..<40]) == hex("00 00 00 80 3c 00 00 00 03 00 00 00"))
    #expect(try ICShutdown(bytes, try ICHeader(bytes)) == body)
  }

  @Test func truncatedMessagesAreRefused() throws {
    #expect(throws: ICError.tooShort(nil, needs: 28, has: 27)) {
      try ICHeader(hex("01 00*3 13 00*3 00*19"))
    }
    #expect(throws: ICError.pipe(.payload(needs: 60, has: 59))) {
      try ICHeader(Array(Golden.v43.dropLast()))
    }
    var bytes = Golden.v43
    bytes[18] = 33
    #expect(throws: ICError.tooShort(.negotiate, needs: 61, has: 60)) { try ICHeader(bytes) }
    bytes = Golden.v43
    bytes[30] = 5
    let header = try ICHeader(bytes)
    #expect(throws: ICError.tooShort(.negotiate, needs: 36, has: 32)) {
      try ICNegotiate(bytes, header)
    }
  }

  @Test func mutatedMessagesNeverTrap() {
    var random = SeededGenerator(seed: 4)
    var accepted = 0
    for round in 0..<4000 {
      let seed = [Golden.v43, Golden.v44, Golden.v45, Golden.v47][round % 4]
      var bytes = random.mutation(of: seed)
      guard let header = try? ICHeader(bytes) else { continue }
      accepted += 1
      _ = try? ICHeartbeat(bytes, header)
      _ = try? ICShutdown(bytes, header)
      _ = try? ICTimeSync(bytes, header)
      if let offer = try? ICNegotiate(bytes, header) {
        let choice = offer.choice(frameworks: frameworks, messages: shutdowns)
        bytes.withMutableBytes { ICNegotiate.answer(choice, header: header, in: &$0) }
        #expect((try? ICHeader(bytes))?.flags == [.transaction, .response])
      }
    }
    #expect(accepted > 1000)
  }
}
