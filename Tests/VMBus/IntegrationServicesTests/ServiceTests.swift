import IntegrationServices
import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import WireBytes

@Suite(.serialized) struct ServiceTests {
  // MARK: Heartbeat

  @Test(arguments: TestBus.Attachment.allCases) func heartbeat(_ attachment: TestBus.Attachment) throws {
    let service = HeartbeatService(intervalMilliseconds: 10)
    let bed = try ServiceBed(attachment, [service])
    defer { bed.stop() }
    #expect(service.status.ageMilliseconds == nil)
    let isAnswering = Flag()
    isAnswering.value.store(true, ordering: .releasing)
    let guest = try UtilGuest(try bed.device(.heartbeat), .versions([ICVersion(3, 0)])) { header, payload in
      guard isAnswering.value.load(ordering: .acquiring),
        let beat = try? ICHeartbeat(parsing: payload.rawSpan, header: header)
      else { return [] }
      return [beat.reply(state: .healthy).payload(header: header.reply())]
    }
    #expect(settled { service.status.answerCount >= 5 })
    #expect(service.status.applicationState == .healthy && service.status.missedCount == 0)
    #expect(try #require(service.status.ageMilliseconds) < 5000)
    // A guest that hangs is not flooded: one heartbeat waits.
    isAnswering.value.store(false, ordering: .releasing)
    sleepThread(nanoseconds: 50_000_000)
    let count = guest.headers.all.count
    sleepThread(nanoseconds: 200_000_000)
    #expect(guest.headers.all.count <= count + 1)
    #expect(try #require(service.status.ageMilliseconds) >= 150)
    guest.stop()
    #expect(settled { service.status.ageMilliseconds == nil })
  }

  @Test func heartbeatsComeInTheirInterval() throws {
    let service = HeartbeatService(intervalMilliseconds: 100)
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try UtilGuest(try bed.device(.heartbeat), .versions([ICVersion(1, 0)])) { header, payload in
      guard let beat = try? ICHeartbeat(parsing: payload.rawSpan, header: header) else { return [] }
      return [beat.reply(state: .unknown).payload(header: header.reply())]
    }
    try service.awaitReady(milliseconds: 10_000)
    sleepThread(nanoseconds: 1_000_000_000)
    let count = service.status.answerCount
    #expect(count >= 3 && count <= 11, "\(count) heartbeats in a second")
    guest.stop()
  }

  // MARK: Shutdown

  private func shutdownGuest(
    _ bed: ServiceBed, _ version: ICVersion, status: ICStatus, _ bodies: Bodies
  ) throws -> UtilGuest {
    try UtilGuest(try bed.device(.shutdown), .versions([version])) { header, payload in
      if let body = try? ICShutdown(parsing: payload.rawSpan, header: header) { bodies.add(body) }
      return [UtilGuest.answer(payload, header.reply(status: status))]
    }
  }

  private final class Bodies: Sendable {
    private let list = Mutex<[ICShutdown]>([])
    func add(_ body: ICShutdown) { list.withLock { $0.append(body) } }
    var all: [ICShutdown] { list.withLock { $0 } }
  }

  @Test(arguments: TestBus.Attachment.allCases) func shutdownAndRestart(_ attachment: TestBus.Attachment) throws {
    let service = ShutdownService()
    let bed = try ServiceBed(attachment, [service])
    defer { bed.stop() }
    let bodies = Bodies()
    let guest = try shutdownGuest(bed, ICVersion(3, 2), status: .success, bodies)
    try service.awaitReady(milliseconds: 10_000)
    try service.request(.shutdown, timeoutSeconds: 7)
    try service.request(.restart, force: true)
    #expect(
      bodies.all == [ICShutdown(timeoutSeconds: 7), ICShutdown(timeoutSeconds: 60, flags: [.force, .restart])])
    guest.stop()
  }

  @Test func aRestartNeedsAVersion() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let bodies = Bodies()
    let guest = try shutdownGuest(bed, ICVersion(3, 0), status: .success, bodies)
    try service.awaitReady(milliseconds: 10_000)
    #expect(throws: ServiceError.notSupported(ICVersion(3, 0))) { try service.request(.restart) }
    try service.request(.shutdown)
    #expect(bodies.all.count == 1)
    guest.stop()
  }

  @Test func theGuestRefuses() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try shutdownGuest(bed, ICVersion(3, 2), status: .failure, Bodies())
    try service.awaitReady(milliseconds: 10_000)
    #expect(throws: ServiceError.refused(.failure)) { try service.request(.shutdown) }
    guest.stop()
  }

  @Test func aGuestThatNeverAnswersAndOneThatIsTakenTheServiceFrom() throws {
    let service = ShutdownService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try UtilGuest(try bed.device(.shutdown), .versions([ICVersion(3, 2)])) { _, _ in [] }
    try service.awaitReady(milliseconds: 10_000)
    #expect(throws: ServiceError.timedOut) { try service.request(.shutdown, milliseconds: 100) }
    // The next one waits behind it, until the device is rescinded.
    let thread = try WorkerThread(name: "rescind") {
      sleepThread(nanoseconds: 100_000_000)
      bed.server.remove(bed.keys[0])
    }
    #expect(throws: ServiceError.lost) { try service.request(.shutdown) }
    thread.join()
    guest.stop()
    #expect(service.phase == .closed)
    // Offered again, everything works again.
    _ = bed.server.add(service)
    let again = try shutdownGuest(bed, ICVersion(3, 2), status: .success, Bodies())
    try service.awaitReady(milliseconds: 10_000)
    try service.request(.shutdown)
    again.stop()
  }

  // MARK: Time

  private final class Times: Sendable {
    private let list = Mutex<[ICTimeSync]>([])
    func add(_ time: ICTimeSync) { list.withLock { $0.append(time) } }
    var all: [ICTimeSync] { list.withLock { $0 } }
  }

  private func timeGuest(_ bed: ServiceBed, _ versions: [ICVersion], _ times: Times) throws -> UtilGuest {
    try UtilGuest(try bed.device(.timeSync), .versions(versions)) { header, payload in
      if let time = try? ICTimeSync(parsing: payload.rawSpan, header: header) { times.add(time) }
      // Linux answers everything, asked or not.
      return [UtilGuest.answer(payload, header.reply())]
    }
  }

  @Test(arguments: TestBus.Attachment.allCases) func timeOfVersionFour(_ attachment: TestBus.Attachment) throws {
    let service = TimeSyncService(
      intervalMilliseconds: 20, referenceTime: { 0x1234 }, wallTime: { 1_700_000_000_000_000_000 })
    let bed = try ServiceBed(attachment, [service])
    defer { bed.stop() }
    let times = Times()
    let guest = try timeGuest(bed, [ICVersion(4, 0), ICVersion(3, 0), ICVersion(1, 0)], times)
    #expect(settled { times.all.count >= 4 })
    #expect(service.phase == .ready(ICVersion(4, 0)))
    let parent = UInt64(133_444_736_000_000_000)
    #expect(times.all[0] == ICTimeSync(parentTime: parent, referenceTime: 0x1234, flags: .sync))
    #expect(times.all[1...].allSatisfy { $0 == ICTimeSync(parentTime: parent, referenceTime: 0x1234, flags: .sample) })
    let before = times.all.count
    service.setClock()
    #expect(settled { times.all[before...].contains { $0.flags == .sync } })
    #expect(service.counts.set == 2)
    guest.stop()
  }

  /// Without a reference counter the guest is not made to believe in one.
  @Test func timeOfVersionThree() throws {
    let service = TimeSyncService(intervalMilliseconds: 20)
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let times = Times()
    let guest = try timeGuest(bed, [ICVersion(4, 0), ICVersion(3, 0), ICVersion(1, 0)], times)
    #expect(settled { times.all.count >= 2 })
    #expect(service.phase == .ready(ICVersion(3, 0)))
    #expect(times.all[0].flags == .sync && times.all[0].referenceTime == nil && times.all[1].flags == .sample)
    let now = ICTimeSync.unixEpoch + realTimeNanoseconds() / 100
    #expect(times.all[0].parentTime <= now && now - times.all[0].parentTime < 600_000_000)
    guest.stop()
  }

  /// Samples want no answer: a guest that stands still finds a full ring at most, and goes on from there.
  @Test func aGuestThatStandsStillWhileSamplesCome() throws {
    let service = TimeSyncService(intervalMilliseconds: 1)
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let isHeld = Flag()
    let times = Times()
    let guest = try UtilGuest(try bed.device(.timeSync), .versions([ICVersion(3, 0)])) { header, payload in
      while isHeld.value.load(ordering: .acquiring) { sleepThread(nanoseconds: 1_000_000) }
      if let time = try? ICTimeSync(parsing: payload.rawSpan, header: header) { times.add(time) }
      return [UtilGuest.answer(payload, header.reply())]
    }
    #expect(settled { times.all.count > 3 })
    isHeld.value.store(true, ordering: .releasing)
    sleepThread(nanoseconds: 600_000_000)
    let count = service.counts.samples
    #expect(count < 400, "the ring takes no more than it holds")
    isHeld.value.store(false, ordering: .releasing)
    #expect(settled { service.counts.samples > count + 100 })
    guest.stop()
  }
}
