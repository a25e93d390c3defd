import Ethernet
@testable import EthernetSwitch
import Testing
import WireBytes

@Suite struct AddressTableTests {
  @Test func learnsMovesAndForgets() throws {
    let table = try AddressTable(capacity: 64, ageingSeconds: 300)
    #expect(table.member(of: mac(1), now: 0) == nil)
    #expect(table.learn(mac(1), member: 2, now: 0) == .new)
    #expect(table.learn(mac(1), member: 2, now: 10) == .known)
    #expect(table.member(of: mac(1), now: 310) == 2)
    #expect(table.member(of: mac(1), now: 311) == nil && table.count(now: 311) == 0)
    #expect(table.learn(mac(1), member: 3, now: 311) == .moved)
    #expect(table.member(of: mac(1), now: 312) == 3)
    table.removeAll(of: 3)
    #expect(table.member(of: mac(1), now: 312) == nil)
    #expect(table.member(of: .zero, now: 0) == nil)
  }

  @Test func pinnedStationsStay() throws {
    let table = try AddressTable(capacity: 64, ageingSeconds: 300)
    table.pin(mac(1), member: 2, now: 0)
    #expect(table.learn(mac(1), member: 3, now: 0) == .refused)
    #expect(table.member(of: mac(1), now: 1_000_000) == 2)
    #expect(table.learn(mac(1), member: 2, now: 5) == .known)
    #expect(table.member(of: mac(1), now: 1_000_000) == 2)
  }

  /// However many stations come, the table stays as it is, and old ones make room for new ones.
  @Test func isBounded() throws {
    let table = try AddressTable(capacity: 64, ageingSeconds: 10)
    var refused = 0
    for number in 1...10_000 where table.learn(mac(UInt64(number)), member: 2, now: 0) == .refused { refused += 1 }
    #expect(refused >= 10_000 - 64 && table.count(now: 0) <= 64)
    #expect(table.learn(mac(20_000), member: 3, now: 11) == .new)
    #expect(table.member(of: mac(20_000), now: 11) == 3)
  }

  private func hash(_ bytes: [UInt8]) -> UInt32 { FlowHash.of(bytes.rawSpan) }

  @Test func flowHashIsSymmetric() {
    let there = TestFrame.flow(from: mac(1), to: mac(2), port: 1234).bytes
    var back = there
    back.replaceSubrange(26..<30, with: there[30..<34])
    back.replaceSubrange(30..<34, with: there[26..<30])
    back.replaceSubrange(34..<36, with: there[36..<38])
    back.replaceSubrange(36..<38, with: there[34..<36])
    #expect(hash(there) == hash(back))
    let hashes = Set((0..<64).map { hash(TestFrame.flow(from: mac(1), to: mac(2), port: $0).bytes) & 3 })
    #expect(hashes.count == 4)
    let plain = TestFrame.from(mac(1), to: mac(2)).bytes
    #expect(hash(plain) == hash(TestFrame.from(mac(2), to: mac(1)).bytes))
  }

  @Test func flowHashTakesAnyBytes() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var bytes = (0..<Int.random(in: 14...128, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if bytes.count > 14, Bool.random(using: &random) {
        let isIPv6 = Bool.random(using: &random)
        bytes[12] = isIPv6 ? 0x86 : 0x08
        bytes[13] = isIPv6 ? 0xdd : 0x00
        bytes[14] = (isIPv6 ? 0x60 : 0x40) | bytes[14] & 15
      }
      _ = FlowHash.of(bytes.rawSpan)
    }
  }
}
