import NetvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct RNDISTests {
  static let messages: [(bytes: [UInt8], message: RNDISMessage, information: [UInt8])] = [
    (NetvscVectors.g20, .initialize(requestID: 1), []),
    (NetvscVectors.g21, .initializeComplete(RNDISInitializeResult(requestID: 1)), []),
    (NetvscVectors.g22, .query(RNDISRequest(requestID: 7, oid: .permanentAddress)), []),
    (
      NetvscVectors.g23, .queryComplete(RNDISQueryResult(requestID: 7, status: .success, informationByteCount: 6)),
      hex("00155d0a 0b0c")
    ),
    (
      NetvscVectors.g24, .set(RNDISRequest(requestID: 9, oid: .currentPacketFilter, informationByteCount: 4)),
      hex("0d000000")
    ),
    (NetvscVectors.g25, .setComplete(requestID: 9, .success), []),
    (Array(NetvscVectors.g26[..<12]), .keepalive(requestID: 0x1234), []),
    (Array(NetvscVectors.g26[12..<28]), .keepaliveComplete(requestID: 0x1234, .success), []),
    (Array(NetvscVectors.g26[28...]), .halt(requestID: 11), []),
    (Array(NetvscVectors.g27[..<20]), .indicateStatus(RNDISIndication(.mediaDisconnect)), []),
    (
      Array(NetvscVectors.g27[20...]), .indicateStatus(RNDISIndication(.linkSpeedChange, bufferByteCount: 4)),
      hex("00e1f505")
    ),
    (
      NetvscVectors.g28, .set(RNDISRequest(requestID: 13, oid: .rndisConfigurationParameter, informationByteCount: 72)),
      Array(NetvscVectors.g28[28...])
    ),
    (hex("06000000 0c000000 00000000"), .reset, []),
    (hex("06000080 10000000 00000000 01000000"), .resetComplete(.success, addressingReset: true), []),
  ]

  @Test(arguments: messages.indices)
  func controlMessages(index: Int) throws {
    let (bytes, message, information) = RNDISTests.messages[index]
    #expect(try RNDISMessage(bytes) == message)
    #expect(message.bytes(information) == bytes)
    #expect(message.byteCount == bytes.count)
    for count in 0..<bytes.count {
      #expect(throws: NetvscError.self) { try RNDISMessage(Array(bytes[..<count])) }
    }
  }

  @Test func lengthWord() throws {
    var bytes = NetvscVectors.g25
    bytes[4] = 17
    #expect(throws: NetvscError.length(17, available: 16)) { try RNDISMessage(bytes) }
    bytes[4] = 7
    #expect(throws: NetvscError.length(7, available: 16)) { try RNDISMessage(bytes) }
    // A status whose length word leaves out its buffer, as Windows Server 2012 R2 sends it.
    var indication = Array(NetvscVectors.g27[20...])
    indication[4] = 20
    guard case .indicateStatus(let parsed) = try RNDISMessage(indication) else { return #expect(Bool(false)) }
    #expect(parsed.buffer == 20..<24)
    #expect(NDISLinkSpeed.bitsPerSecond(word: indication.le32(at: parsed.buffer.lowerBound)) == 10_000_000_000)
    #expect(NDISLinkSpeed.word(bitsPerSecond: 10_000_000_000) == 100_000_000)
    #expect(NDISLinkSpeed.word(bitsPerSecond: .max) == .max)
  }

  @Test func informationBounds() throws {
    var query = NetvscVectors.g24
    query[20] = 19
    #expect(throws: NetvscError.part(offset: 19, byteCount: 4, minimum: 20, available: 24)) { try RNDISMessage(query) }
    query[20] = 21
    #expect(throws: NetvscError.part(offset: 21, byteCount: 4, minimum: 20, available: 24)) { try RNDISMessage(query) }
    query.replaceSubrange(16..<24, with: hex("ffffffff ffffffff"))
    #expect(throws: NetvscError.self) { try RNDISMessage(query) }
    // Without input the offset does not matter.
    var empty = NetvscVectors.g22
    empty[20] = 0
    #expect(try RNDISMessage(empty) == RNDISMessage(NetvscVectors.g22))
  }

  @Test func hardwareCapabilitiesQuery() {
    let head = RNDISMessage.query(
      RNDISRequest(requestID: 3, oid: .offloadHardwareCapabilities, informationByteCount: 156))
    var input = [UInt8](repeating: 0, count: 156)
    input.withMutableBytes { NDISObjectHeader(type: 0xa7, revision: 3, byteCount: 156).store(into: &$0) }
    #expect(Array(head.bytes(input)[..<32]) == NetvscVectors.g29)
  }

  @Test func alignment() {
    var result = RNDISInitializeResult(requestID: 1)
    #expect(result.alignment == 8)
    result.alignmentFactor = .max
    #expect(result.alignment == 4096)
  }

  @Test func arpPacket() throws {
    let packet = try RNDISPacket(NetvscVectors.g34)
    #expect(packet.data == 44..<104 && packet.information.isEmpty && packet.byteCount == 104 && packet.isPlain)
    #expect(packet == RNDISPacket(informationByteCount: 0, dataByteCount: 60))
    #expect(
      encoded {
        packet.store(into: &$0); return 44
      } == Array(NetvscVectors.g34[..<44]))
  }

  @Test func checksumPacket() throws {
    let packet = try RNDISPacket(NetvscVectors.g35)
    #expect(packet.data == 60..<118 && packet.information == 44..<60)
    let information = try PacketInformation(Array(NetvscVectors.g35[packet.information]))
    let request = TransmitChecksum(rawValue: try #require(information.checksum))
    #expect(request.isIPv4 && request.isTCP && !request.isIPv6 && !request.isUDP && !request.wantsIPHeader)
    #expect(request.layer4Offset == 34)
    let built = encoded {
      RNDISPacket(informationByteCount: 16, dataByteCount: 58).store(into: &$0)
      return 44 + information.store(into: &$0)
    }
    #expect(built == Array(NetvscVectors.g35[..<60]))
  }

  @Test func largeSendPacket() throws {
    let packet = try RNDISPacket(NetvscVectors.g38, available: 4530)
    #expect(packet.data == 76..<4530 && packet.information == 44..<76 && packet.byteCount == 4530)
    let information = try PacketInformation(Array(NetvscVectors.g38[packet.information]))
    #expect(information.vlan?.tagControl == 0x6064)
    let request = try #require(information.largeSend)
    #expect(request.isVersion2 && !request.isIPv6 && request.segmentByteCount == 1460 && request.layer4Offset == 34)
    #expect(information.bytes == Array(NetvscVectors.g38[44..<76]))
  }

  @Test func receivePacket() throws {
    let packet = try RNDISPacket(NetvscVectors.g40, available: 152)
    #expect(packet.data == 92..<152)
    let information = try PacketInformation(Array(NetvscVectors.g40[packet.information]))
    #expect(information.checksum == ReceiveChecksum([.tcpSucceeded, .ipSucceeded]).rawValue)
    #expect(information.hashInfo == [.toeplitz, .tcp4] && information.flowHash == 0x5285_a943)
    #expect(information.bytes == Array(NetvscVectors.g40[44...]) && information.byteCount == 48)
  }

  @Test func packetIDs() throws {
    let ids = try (0..<3).map { try PacketInformation(Array(NetvscVectors.g41[(16 * $0)..<(16 * $0 + 16)])).packetID! }
    #expect(
      ids == [
        PacketID(id: 0x77, isFirst: true, isLast: false), PacketID(id: 0x77, isFirst: false, isLast: false),
        PacketID(id: 0x77, isFirst: false, isLast: true),
      ])
    #expect(ids.allSatisfy { $0.version == 1 && $0.isFragment && $0.id == 0x77 })
    // The first of several elements of a type counts.
    let all = try PacketInformation(NetvscVectors.g41)
    #expect(all.packetID == ids[0] && all.duplicateCount == 2)
  }

  @Test func batches() throws {
    let first = try RNDISPacket(Array(NetvscVectors.g42[..<44]), available: 217)
    #expect(first.byteCount == 112 && first.data == 44..<105)
    let second = try RNDISPacket(Array(NetvscVectors.g42[44...]), available: 217 - 112)
    #expect(second.byteCount == 105 && second.data == 44..<105)
    let padding = RNDISPacket.padding(after: 105, alignment: 8)
    #expect(padding == 7)
    #expect(first == RNDISPacket(informationByteCount: 0, dataByteCount: 61, padding: padding))
    #expect([0, 1, 8, 9].map { RNDISPacket.padding(after: $0, alignment: 8) } == [0, 7, 0, 7])
  }

  @Test(arguments: [
    (4, UInt32(43)), (4, 105), (8, 35), (8, 97), (12, 0), (12, 61), (12, .max), (8, .max), (0, 2),
  ])
  func badPackets(offset: Int, value: UInt32) {
    var bytes = NetvscVectors.g34
    bytes.withMutableBytes { $0.storeLE(value, at: offset) }
    #expect(throws: NetvscError.self) { try RNDISPacket(bytes) }
  }

  @Test(arguments: [(28, UInt32(32)), (28, 37), (28, 100), (32, 75), (32, .max), (28, .max)])
  func badInformationParts(offset: Int, value: UInt32) {
    var bytes = NetvscVectors.g35
    bytes.withMutableBytes { $0.storeLE(value, at: offset) }
    #expect(throws: NetvscError.self) { try RNDISPacket(bytes) }
  }

  @Test(arguments: [16, 20, 24, 36])
  func packetsThatAreNotPlain(offset: Int) throws {
    var bytes = NetvscVectors.g34
    bytes[offset] = 1
    #expect(try !RNDISPacket(bytes).isPlain)
  }

  @Test(arguments: [
    "00000000 00000000 0c000000 00000000", "0b000000 00000000 0c000000 00000000", "14000000 00000000 0c000000 00000000",
    "10000000 00000000 0b000000 00000000", "10000000 00000000 10000000 00000000", "10000000 00000000 0d000000 00000000",
    "0e000000 00000000 0c000000 00000000", "10000000 00000000 0c000000 00000000 00000000", "ffffffff 63000000 0c000000",
  ])
  func badInformation(text: String) {
    #expect(throws: NetvscError.self) { try PacketInformation(hex(text)) }
  }

  @Test func unknownInformationIsSkipped() throws {
    let list = hex("18000000 63000000 10000000 [12] 10000000 08000000 0c000000 2a000000")
    let information = try PacketInformation(list)
    #expect(information.flowHash == 42 && information.byteCount == 16)
    #expect(try PacketInformation([]).byteCount == 0)
  }

  @Test func coalescedFrames() {
    func id(_ first: Bool, _ last: Bool) -> PacketID { PacketID(id: 1, isFirst: first, isLast: last) }
    var frame = CoalescedFrame()
    #expect(frame.take(nil, byteCount: 60) == .whole)
    #expect(frame.take(PacketID(rawValue: 1), byteCount: 60) == .whole)
    #expect(frame.take(id(true, true), byteCount: 60) == .whole)
    #expect(frame.take(id(true, false), byteCount: 1514) == .first)
    #expect(frame.take(id(false, false), byteCount: 1460) == .middle)
    #expect(frame.byteCount == 2974 && frame.fragmentCount == 2 && !frame.isComplete)
    #expect(frame.take(id(false, true), byteCount: 100) == .last)
    #expect(frame.isComplete && frame.byteCount == 0)
    #expect(frame.take(id(false, false), byteCount: 100) == .drop)
    #expect(!frame.isComplete)

    frame = CoalescedFrame()
    #expect(frame.take(id(true, false), byteCount: 14) == .first)
    for _ in 1..<562 { #expect(frame.take(id(false, false), byteCount: 100) == .middle) }
    #expect(frame.take(id(false, true), byteCount: 100) == .drop)
    #expect(frame.hasDropped && frame.fragmentCount == 0)

    frame = CoalescedFrame()
    #expect(frame.take(id(true, false), byteCount: 65_549) == .first)
    #expect(frame.take(id(false, true), byteCount: 1) == .drop)

    frame = CoalescedFrame()
    #expect(frame.take(id(true, false), byteCount: 100) == .first)
    #expect(frame.take(nil, byteCount: 100) == .whole)
    #expect(frame.hasDropped)
    #expect(frame.take(id(true, false), byteCount: .max) == .drop)
  }

  @Test func mutatedControlMessages() {
    var generator = SeededGenerator(seed: 21)
    var accepted = 0
    for _ in 0..<20_000 {
      let bytes = generator.mutation(of: RNDISTests.messages.randomElement(using: &generator)!.bytes)
      guard let message = try? RNDISMessage(bytes) else { continue }
      accepted += 1
      let part: Range<Int>
      switch message {
      case .query(let request), .set(let request): part = request.information
      case .queryComplete(let result): part = result.information
      case .indicateStatus(let indication): part = indication.buffer
      default: part = 0..<0
      }
      let information = part.isEmpty ? [] : Array(bytes[part])
      let again = message.bytes(information)
      guard let parsed = try? RNDISMessage(again) else {
        Issue.record("does not parse again: \(message)")
        continue
      }
      // The information may have moved, nothing else has.
      #expect(parsed.bytes(information) == again && parsed.byteCount == message.byteCount)
      #expect(parsed.type == message.type && parsed.requestID == message.requestID)
    }
    #expect(accepted > 5_000)
  }

  @Test func mutatedPackets() {
    var generator = SeededGenerator(seed: 22)
    let seeds = [NetvscVectors.g34, NetvscVectors.g35, NetvscVectors.g38, NetvscVectors.g40]
    var packets = 0
    var lists = 0
    for _ in 0..<20_000 {
      let bytes = generator.mutation(of: seeds.randomElement(using: &generator)!)
      let available = Bool.random(using: &generator) ? bytes.count : 5000
      guard let packet = try? RNDISPacket(bytes, available: available) else { continue }
      packets += 1
      #expect(packet.byteCount <= available && packet.data.upperBound <= packet.byteCount && !packet.data.isEmpty)
      #expect(packet.information.upperBound <= packet.byteCount && packet.information.lowerBound >= 44)
      var again = packet
      again.isPlain = true
      let header = encoded {
        packet.store(into: &$0); return 44
      }
      #expect((try? RNDISPacket(header, available: available)) == again)
      guard packet.information.upperBound <= bytes.count,
        let information = try? PacketInformation(Array(bytes[packet.information]))
      else { continue }
      lists += 1
      #expect(information.bytes.count == information.byteCount)
      var copy = information
      if information.duplicateCount > 0 { copy = try! PacketInformation(information.bytes) }
      #expect((try? PacketInformation(information.bytes)) == copy)
    }
    #expect(packets > 8_000 && lists > 5_000)
  }
}
