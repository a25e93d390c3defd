@testable import IntegrationServices
import LinuxIO
import Support
import Synchronization
import Testing
import VMBusChannel
import VMBusClient
import VMBusProtocol
import WireBytes

@Suite(.serialized) struct KeyValueTests {
  /// Like the daemon of Linux: pools of pairs, texts only, and one adapter.
  private final class Daemon: Sendable {
    private let pools = Mutex<[UInt8: [ICKeyValuePair]]>([
      2: [ICKeyValuePair(key: "OSName", value: .text("Debian")), ICKeyValuePair(key: "OSVersion", value: .text("12"))]
    ])

    func answer(_ header: ICHeader, _ payload: [UInt8]) -> [[UInt8]] {
      guard let body = try? ICKeyValue(parsing: payload.rawSpan, header: header) else { return [] }
      let (answer, status) = pools.withLock { Self.serve(body, &$0) }
      let bytes = answer.payload(header: header.reply(status: status))
      return (bytes.count + 7) & ~7 == payload.count ? [bytes] : []
    }

    private static func serve(_ body: ICKeyValue, _ pools: inout [UInt8: [ICKeyValuePair]]) -> (ICKeyValue, ICStatus) {
      let pairs = pools[body.pool.rawValue] ?? []
      var body = body
      switch body.operation {
      case .get(let pair):
        guard let found = pairs.first(where: { $0.key == pair.key }) else { return (body, .noMoreItems) }
        body.operation = .get(found)
      case .set(let pair): pools[body.pool.rawValue] = pairs.filter { $0.key != pair.key } + [pair]
      case .delete(let key):
        guard pairs.contains(where: { $0.key == key }) else { return (body, .noMoreItems) }
        pools[body.pool.rawValue] = pairs.filter { $0.key != key }
      case .enumerate(let index, _):
        guard index < pairs.count else { return (body, .noMoreItems) }
        body.operation = .enumerate(index: index, pairs[Int(index)])
      case .getAddresses(var addresses):
        guard addresses.adapter == "00:15:5D:00:00:01" else { return (body, .guidNotFound) }
        addresses.addresses = ["10.0.0.2", "fe80::1"]
        body.operation = .getAddresses(addresses)
      case .setAddresses: return (body, .failure)
      }
      return (body, .success)
    }
  }

  @Test(arguments: TestBus.Attachment.allCases) func pairsAndAddresses(_ attachment: TestBus.Attachment) throws {
    let service = KeyValueService()
    let bed = try ServiceBed(attachment, [service])
    defer { bed.stop() }
    let daemon = Daemon()
    let guest = try UtilGuest(try bed.device(.keyValuePair), .versions([ICVersion(4, 0), ICVersion(3, 0)])) {
      daemon.answer($0, $1)
    }
    try service.awaitReady(milliseconds: 10_000)
    #expect(
      try service.pairs(in: .auto) == [
        ICKeyValuePair(key: "OSName", value: .text("Debian")), ICKeyValuePair(key: "OSVersion", value: .text("12")),
      ])
    #expect(try service.pairs(in: .external) == [])
    #expect(try service.get("a", pool: .external) == nil)
    try service.set("a", to: "gr\u{fc}n")
    #expect(try service.get("a", pool: .external) == .text("gr\u{fc}n"))
    try service.set("a", to: "2")
    #expect(try service.pairs(in: .external) == [ICKeyValuePair(key: "a", value: .text("2"))])
    #expect(try service.delete("a"))
    #expect(try service.delete("a") == false)
    #expect(try service.addresses(ofAdapter: "00:15:5D:00:00:01").addresses == ["10.0.0.2", "fe80::1"])
    #expect(throws: ServiceError.refused(.guidNotFound)) { _ = try service.addresses(ofAdapter: "x") }
    #expect(throws: ServiceError.self) { _ = try service.get(String(repeating: "k", count: 255)) }
    #expect(throws: ServiceError.self) { try service.set("a", to: String(repeating: "v", count: 1023)) }
    #expect(guest.headers.all.allSatisfy { $0.flags == [.transaction, .request] })
    guest.stop()
  }

  /// A late answer is not taken for that of the next request.
  @Test func lateAnswers() throws {
    let service = KeyValueService(KeyValueState(patience: 100_000_000))
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let kept = Mutex<[UInt8]?>(nil)
    let guest = try UtilGuest(try bed.device(.keyValuePair), .versions([ICVersion(4, 0)])) { header, payload in
      guard let body = try? ICKeyValue(parsing: payload.rawSpan, header: header), case .get(let pair) = body.operation
      else { return [] }
      let answer = ICKeyValue(.get(ICKeyValuePair(key: pair.key, value: .text("of " + pair.key)))).payload(
        header: header.reply())
      return kept.withLock { kept in
        guard let first = kept else {
          kept = answer
          return []
        }
        return [first, answer]
      }
    }
    try service.awaitReady(milliseconds: 10_000)
    #expect(throws: ServiceError.timedOut) { _ = try service.get("first") }
    #expect(try service.get("second") == .text("of second"))
    #expect(service.strayCount == 1)
    // A caller that goes away earlier leaves nothing behind either.
    _ = try? service.get("third", milliseconds: 0)
    #expect(try service.get("fourth") == .text("of fourth"))
    guest.stop()
  }

  @Test func anAnswerToAnotherQuestion() throws {
    let service = KeyValueService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let guest = try UtilGuest(try bed.device(.keyValuePair), .versions([ICVersion(4, 0)])) { header, _ in
      [ICKeyValue(.delete(key: "x")).payload(header: header.reply())]
    }
    try service.awaitReady(milliseconds: 10_000)
    #expect(throws: ServiceError.malformed("it belongs to another request")) { _ = try service.get("a") }
    #expect(throws: ServiceError.malformed("it belongs to another request")) { _ = try service.pairs() }
    guest.stop()
  }

  @Test func manyCallersAndAGuestThatGoes() throws {
    let service = KeyValueService()
    let bed = try ServiceBed(.socket, [service])
    defer { bed.stop() }
    let daemon = Daemon()
    let isGone = Flag()
    let guest = try UtilGuest(try bed.device(.keyValuePair), .versions([ICVersion(4, 0)])) { header, payload in
      isGone.value.load(ordering: .acquiring) ? [] : daemon.answer(header, payload)
    }
    try service.awaitReady(milliseconds: 10_000)
    let good = Atomic<Int>(0)
    withThreads(8) { number in
      for round in 0..<20 {
        let key = "\(number).\(round)"
        if (try? service.set(key, to: key)) != nil, (try? service.get(key, pool: .external)) == .text(key) {
          good.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(good.load(ordering: .relaxed) == 160)
    isGone.value.store(true, ordering: .releasing)
    let lost = Atomic<Int>(0)
    withThreads(8) { number in
      if number == 0 {
        sleepThread(nanoseconds: 200_000_000)
        guest.stop()
      } else {
        do throws(ServiceError) { _ = try service.get("a") } catch {
          if error == .lost || error == .notOpen { lost.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(lost.load(ordering: .relaxed) == 7)
  }

  private func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<count).map { number in try? WorkerThread(name: "caller") { body(number) } }
    for thread in threads { thread?.join() }
  }
}
