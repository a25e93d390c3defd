import IntegrationServices
import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import WireBytes

@Suite(.serialized) struct NegotiationTests {
  @Test(arguments: TestBus.Attachment.allCases) func theNewestCommonVersionIsAgreedOn(_ attachment: TestBus.Attachment)
    throws
  {
    for (versions, expected) in [
      ([ICVersion(3, 2), ICVersion(3, 1), ICVersion(3, 0), ICVersion(1, 0)], ICVersion(3, 2)),
      ([ICVersion(3, 0), ICVersion(1, 0)], ICVersion(3, 0)), ([ICVersion(1, 0)], ICVersion(1, 0)),
    ] {
      let service = ShutdownService()
      let bed = try ServiceBed(attachment, [service])
      defer { bed.stop() }
      #expect(service.phase == .closed)
      let device = try bed.device(.shutdown)
      #expect(device.offer.pipeType == .message && device.offer.instance == .shutdownInstance)
      let guest = try UtilGuest(device, .versions(versions)) { _, _ in [] }
      try service.awaitReady(milliseconds: 10_000)
      #expect(service.phase == .ready(expected))
      let first = try #require(guest.headers.all.first)
      #expect(first.framework == ICVersion(0, 0) && first.flags == [.transaction, .request])
      guest.stop()
      #expect(settled { service.phase == .closed })
      #expect(throws: ServiceError.notOpen) { try service.request(.shutdown) }
    }
  }

  @Test func noCommonVersion() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try UtilGuest(try bed.device(.shutdown), .versions([ICVersion(9, 9)])) { _, _ in [] }
    #expect(throws: ServiceError.noCommonVersion) { try service.awaitReady(milliseconds: 10_000) }
    #expect(service.phase == .refused)
    #expect(throws: ServiceError.noCommonVersion) { try service.request(.shutdown) }
    guest.stop()
    // Opened anew, versions are offered anew.
    #expect(settled { service.phase == .closed })
    let second = try UtilGuest(try bed.device(.shutdown), .versions([ICVersion(3, 1)])) { _, _ in [] }
    try service.awaitReady(milliseconds: 10_000)
    second.stop()
  }

  @Test func aVersionThatWasNotOfferedIsRefused() throws {
    let service = KeyValueService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let lie = ICNegotiate(frameworks: [ICVersion(3, 0)], messages: [ICVersion(4, 1)]).request(transactionID: 1)
    let header = try ICHeader(parsing: lie.rawSpan).reply()
    let guest = try UtilGuest(try bed.device(.keyValuePair), .bytes(UtilGuest.answer(lie, header))) { _, _ in [] }
    #expect(throws: ServiceError.noCommonVersion) { try service.awaitReady(milliseconds: 10_000) }
    guest.stop()
  }

  /// A Linux guest without a key-value daemon is silent for a minute.
  @Test func aSilentGuest() throws {
    let service = KeyValueService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try UtilGuest(try bed.device(.keyValuePair), .silence) { _, _ in [] }
    #expect(throws: ServiceError.notReady) { try service.awaitReady(milliseconds: 50) }
    #expect(service.phase == .negotiating)
    #expect(throws: ServiceError.notReady) { _ = try service.get("a") }
    guest.stop()
    #expect(guest.headers.all.count == 1)
  }

  @Test func garbageIsCountedAndDropped() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let device = try bed.device(.shutdown)
    let guest = try UtilGuest(device, .versions([ICVersion(3, 2)])) { header, payload in
      var late = header.reply()
      late.transactionID &-= 1
      var request = header
      request.flags = [.transaction, .request]
      return [
        [], [1, 2, 3], [UInt8](repeating: 0xff, count: 100), UtilGuest.answer(payload, late),
        UtilGuest.answer(payload, request), UtilGuest.answer(payload, header.reply()),
        UtilGuest.answer(payload, header.reply()),
      ]
    }
    try service.awaitReady(milliseconds: 10_000)
    try service.request(.shutdown)
    #expect(settled { service.strayCount == 3 && service.malformedCount == 3 })
    try service.request(.shutdown)
    guest.stop()
  }

  @Test func oneGuestAtATime() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let other = try VMBusClient(transport: bed.server.embeddedTransport())
    try other.connect()
    defer { other.disconnect() }
    let guest = try UtilGuest(try bed.device(.shutdown), .versions([ICVersion(3, 2)])) { _, _ in [] }
    let device = try #require(other.awaitDevice(class: .shutdown, milliseconds: 10_000))
    #expect(throws: ChannelError.self) { _ = try device.openPrimary(ringByteCount: 16384) }
    try service.awaitReady(milliseconds: 10_000)
    guest.stop()
    #expect(settled { service.phase == .closed })
    let second = try UtilGuest(device, .versions([ICVersion(3, 2)])) { _, _ in [] }
    try service.awaitReady(milliseconds: 10_000)
    second.stop()
  }

  /// A corrupt ring ends the service of that channel, nothing else.
  @Test func randomMessagesNeverTrap() throws {
    let heartbeat = HeartbeatService(intervalMilliseconds: 1)
    let pairs = KeyValueService()
    let bed = try ServiceBed(.embedded, [heartbeat, pairs])
    defer { bed.stop() }
    let random = Mutex(RandomNumbers(seed: 7))
    let broken: UtilGuest.Handler = { header, payload in
      random.withLock { random in
        var answer = UtilGuest.answer(payload, header.reply())
        for _ in 0..<Int(random.next() % 5) {
          answer[Int(random.next() % UInt64(min(answer.count, 64)))] = UInt8(truncatingIfNeeded: random.next())
        }
        if random.next() & 3 == 0 { answer.removeLast(Int(random.next() % UInt64(answer.count))) }
        // The right answer follows, so that the host does not wait.
        return [answer, UtilGuest.answer(payload, header.reply())]
      }
    }
    let first = try UtilGuest(try bed.device(.heartbeat), .versions([ICVersion(3, 0)]), handler: broken)
    let second = try UtilGuest(try bed.device(.keyValuePair), .versions([ICVersion(4, 0)]), handler: broken)
    try pairs.awaitReady(milliseconds: 10_000)
    var answers = 0
    for _ in 0..<300 {
      if (try? pairs.get("key", milliseconds: 1000)) != nil { answers += 1 }
    }
    #expect(answers > 50)
    #expect(settled { heartbeat.status.answerCount + heartbeat.status.missedCount > 100 })
    first.stop()
    second.stop()
  }
}
