import Testing
import VMBusProtocol
import WireBytes

@Suite struct SharedPageTests {
  /// B1 to B3.
  @Test(arguments: [(5, 0x200, 0x20), (37, 0x204, 0x20), (2047, 0x2ff, 0x80)])
  func eventFlags(relid: UInt32, byteOffset: Int, mask: UInt8) throws {
    let flag = try #require(SynIC.eventFlag(relid))
    #expect(flag == (byteOffset, mask))
  }

  @Test func flagsBeyondThePageDoNotExist() {
    #expect(SynIC.eventFlag(2048) == nil)
    #expect(SynIC.eventFlag(1, sint: 16) == nil)
    #expect(InterruptPage.guestToHostFlag(relid: 16384) == nil)
  }

  /// B4.
  @Test func interruptPageBit() throws {
    #expect(try #require(InterruptPage.guestToHostFlag(relid: 5)) == (0x800, 0x20))
    #expect(try #require(InterruptPage.guestToHostFlag(relid: 16383)) == (0xfff, 0x80))
  }

  /// B5 and B6: monitor id, pending word, bit, latency, parameter, next check.
  @Test(arguments: [[2, 0x08, 0x4, 0x244, 0x450, 0x48], [37, 0x10, 0x20, 0x28a, 0x568, 0xd4]])
  func monitorBits(values: [Int]) {
    let id = UInt8(values[0])
    #expect(MonitorPage.pendingOffset(of: id) == values[1])
    #expect(MonitorPage.bit(of: id) == UInt32(values[2]))
    #expect(MonitorPage.latencyOffset(of: id) == values[3])
    #expect(MonitorPage.parameterOffset(of: id) == values[4])
    #expect(MonitorPage.nextCheckOffset(of: id) == values[5])
  }

  @Test func monitorParameterIsTheInputOfASignal() {
    let parameter = MonitorParameter(connectionID: 0x2005, flagNumber: 3)
    #expect(parameter.word == SignalEventInput(connectionID: 0x2005, flagNumber: 3).rawValue)
    #expect(MonitorParameter(word: parameter.word) == parameter)
  }

  /// B10.
  @Test func ringPairOfAFourMebibyteMapping() throws {
    let layout = try #require(RingPairLayout(byteCount: 4 << 20))
    #expect(layout.upstreamControl == 0 && layout.upstreamData == 0x1000)
    #expect(layout.downstreamControl == 0x20_0000 && layout.downstreamData == 0x20_1000)
    #expect(layout.dataByteCount == 2_093_056 && layout.byteCount == 4 << 20)
    #expect(layout.downstreamPageOffset == 512)
    for byteCount in [0, 4096, 8192, 12288, 20480, 16385] {
      #expect(RingPairLayout(byteCount: byteCount) == nil)
    }
  }

  @Test func postMessageV33() {
    let input = PostMessageInput(connectionID: 4, payload: Golden.v02)
    #expect(input.encoded() == Golden.v33)
    #expect(PostMessageInput(Golden.v33) == input)
    var hostile = Golden.v33
    hostile[12] = 241
    #expect(PostMessageInput(hostile) == nil)
    hostile[12] = 0
    hostile[15] = 0x80
    #expect(PostMessageInput(hostile) == nil)
    #expect(PostMessageInput(Array(Golden.v33.dropLast())) == nil)
  }

  @Test func messageSlotV34() {
    let slot = MessageSlot(payload: Golden.v06)
    #expect(slot.encoded() == Golden.v34)
    #expect(MessageSlot(Golden.v34) == slot)
    #expect(SynIC.messageSlotOffset() == 0x200)
    var other = Golden.v34
    other[5] = 1
    #expect(MessageSlot(other)?.isMessagePending == true)
    other[4] = 241
    #expect(MessageSlot(other) == nil)
  }

  @Test func signalEventV35() {
    let input = SignalEventInput(connectionID: 0x2005)
    #expect([UInt8](zeroed: 8) { $0.storeLE(input.rawValue, at: 0) } == Golden.v35)
    let register = Golden.v35
    let parsed = SignalEventInput(rawValue: register.rawSpan.le64(at: 0))
    #expect(parsed.connectionID == 0x2005 && parsed.flagNumber == 0)
  }
}
