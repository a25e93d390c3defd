import NetvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct NVSPTests {
  @Test(arguments: [
    (NVSPVersion.v6_1, UInt32(0x60001), 136, 40, UInt32(30), UInt8(3), 31, "NVSP 6.1"),
    (.v6, 0x60000, 134, 28, 30, 3, 31, "NVSP 6"), (.v5, 0x50000, 134, 28, 30, 3, 31, "NVSP 5"),
    (.v4, 0x40000, 130, 28, 1, 2, 31, "NVSP 4"), (.v2, 0x30002, 127, 28, 1, 1, 15, "NVSP 2"),
    (.v1, 2, 108, 28, 1, 1, 15, "NVSP 1"),
  ])
  func versions(
    version: NVSPVersion, number: UInt32, highest: UInt32, messageByteCount: Int, minor: UInt32, revision: UInt8,
    buffer: Int, text: String
  ) {
    #expect(version.rawValue == number && "\(version)" == text && version.isKnown)
    #expect(version.highestMessageType.rawValue == highest)
    #expect(NVSPMessageType(rawValue: highest).isAllowed(at: version))
    #expect(!NVSPMessageType(rawValue: highest + 1).isAllowed(at: version))
    #expect(version.hostMessageByteCount == messageByteCount)
    #expect(version.ndisVersion == NDISVersion(major: 6, minor: minor))
    #expect(version.offloadRevision == revision && version.maximumReceiveBufferByteCount == buffer << 20)
    #expect(version.hasConfiguration == (version != .v1))
    #expect(version.hasReceiveCoalescing == (version == .v6_1))
  }

  @Test func versionOrder() {
    #expect(NVSPVersion.newestFirst.map(\.rawValue) == [0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 2])
    #expect(!NVSPVersion(rawValue: .max).isKnown)
  }

  @Test func syntheticCapabilities() {
    let facts: [(NVSPVersion, UInt64)] = [(.v6_1, 0xa8), (.v6, 0x28), (.v5, 0x28), (.v4, 8), (.v2, 8)]
    for (version, bits) in facts {
      #expect(NVSPConfiguration.Capabilities.synthetic(at: version).rawValue == bits)
    }
  }

  @Test(arguments: [
    (NetvscVectors.g01, NVSPRequest.initialize(lowest: .v6_1, highest: .v6_1)),
    (NetvscVectors.g03, .configuration(NVSPConfiguration(frameByteCount: 1514, capabilities: .synthetic(at: .v6_1)))),
    (NetvscVectors.g04, .ndisVersion(NDISVersion(major: 6, minor: 30))),
    (Array(NetvscVectors.g05[16...]), .receiveBuffer(NVSPBuffer(gpadl: 0xe1e10, id: NVSPBuffer.receiveBufferID))),
    (NetvscVectors.g07, .sendBuffer(NVSPBuffer(gpadl: 0xe1e11, id: 0))),
    (NetvscVectors.g09, .subChannels(NVSPSubChannelRequest(count: 3))),
    (NetvscVectors.g10, .indirectionTable(NVSPIndirectionTable(channelCount: 4))),
    (Array(NetvscVectors.g11[16...]), .virtualFunction(NVSPVirtualFunction(isAllocated: true, serial: 2))),
    (NetvscVectors.g12, .switchDataPath(.synthetic)),
    (NetvscVectors.g14, .revokeReceiveBuffer(0xcafe)),
    (Array(NetvscVectors.g15[40...]), .rndisPacket(NVSPRNDISPacket(.control))),
    (Array(NetvscVectors.g17[16...]), .rndisPacket(NVSPRNDISPacket(.data, sectionIndex: 5, sectionByteCount: 104))),
    (Array(NetvscVectors.g18[40...]), .rndisPacket(NVSPRNDISPacket(.data))),
    (hex("6a000000 01000000 [32]"), .revokeSendBuffer(1)),
    (
      hex("83000000 96011400 0e010100 [28]"),
      .queryOID(.currentPacketFilter, NDISObjectHeader(type: 0x96, revision: 1, byteCount: 20))
    ),
    (hex("87000000 [36]"), .other(.packetDirect)),
  ])
  func requests(bytes: [UInt8], request: NVSPRequest) throws {
    #expect(try NVSPRequest(bytes) == request)
    #expect(request.bytes() == bytes)
    // Every proper prefix of the fields is refused.
    let needed = NVSPRequest.fieldByteCount(request.type)
    for count in 0..<needed where count < 4 || needed > 4 {
      #expect(throws: NetvscError.self) { try NVSPRequest(Array(bytes[..<count])) }
    }
    #expect(try NVSPRequest(Array(bytes[..<needed])) == request)
  }

  @Test(arguments: [
    (Array(NetvscVectors.g02[16...]), NVSPCompletion.initialize(.success, for: .v6_1), 32),
    (
      NetvscVectors.g06,
      .receiveBuffer(
        .success, NVSPReceiveSection(bufferByteCount: 16 << 20, subAllocationByteCount: 1728)), 40
    ),
    (NetvscVectors.g08, .sendBuffer(.success, sectionByteCount: 6144), 40),
    (NetvscVectors.g09, .subChannels(.success, count: 3), 40),
    (Array(NetvscVectors.g13[16...]), .empty, 40),
    (Array(NetvscVectors.g16[16...]), .rndisPacket(.success), 40),
    (Array(NetvscVectors.g19[16...]), .rndisPacket(.success), 8),
    (hex("66000000 02000000 [32]"), .receiveBuffer(.failure, nil), 40),
    (hex("84000000 bb0000c0 [32]"), .queryOID(.notSupported, byteCount: 0), 40),
    (hex("02000000 02000000 22000000 [20]"), .initialize(.none, for: .v1), 32),
  ])
  func completions(bytes: [UInt8], completion: NVSPCompletion, byteCount: Int) throws {
    #expect(try NVSPCompletion(bytes) == completion)
    #expect(completion.bytes(byteCount) == bytes)
    for count in stride(from: 1, to: completion.fieldByteCount, by: 1) {
      #expect(throws: NetvscError.self) { try NVSPCompletion(Array(bytes[..<count])) }
    }
  }

  @Test func receiveCompletionOfThePacketPath() throws {
    let bytes = encoded {
      NVSPCompletion.storeReceive(.success, into: &$0)
      return NVSPCompletion.receiveByteCount
    }
    #expect(bytes == Array(NetvscVectors.g19[16...]))
    #expect(try NVSPCompletion.packetStatus(parsing: bytes) == .success)
    #expect(throws: NetvscError.unexpectedType(1, expected: 108)) {
      try NVSPCompletion.packetStatus(parsing: NetvscVectors.g01)
    }
  }

  @Test func receiveSections() {
    let section = NVSPReceiveSection(bufferByteCount: 16 << 20, subAllocationByteCount: 1728)
    #expect(section.subAllocationCount == 9709 && section.endOffset == 0xffffc0)
    #expect(section.isUsable(bufferByteCount: 16 << 20) && section.isUsable(bufferByteCount: 0xffffc0))
    #expect(!section.isUsable(bufferByteCount: 0xffffbf) && !section.isUsable(bufferByteCount: -1))
    var other = section
    other.subAllocationCount = .max
    other.subAllocationByteCount = .max
    #expect(!other.isUsable(bufferByteCount: .max >> 1 & 0xffff_ffff))
    other = section
    other.offset = 1
    #expect(!other.isUsable(bufferByteCount: 16 << 20))
    other = section
    other.subAllocationByteCount = 67
    #expect(!other.isUsable(bufferByteCount: 16 << 20))
    #expect(throws: NetvscError.count(2)) {
      try NVSPCompletion(hex("66000000 01000000 02000000 [40]"))
    }
  }

  @Test func sendSections() {
    let packet = NVSPRNDISPacket(.data, sectionIndex: 5, sectionByteCount: 104)
    #expect(packet.sectionRange(sectionByteCount: 6144, bufferByteCount: 1 << 20) == 0x7800..<0x7868)
    #expect(packet.sectionRange(sectionByteCount: 6144, bufferByteCount: 6 * 6144) != nil)
    #expect(packet.sectionRange(sectionByteCount: 6144, bufferByteCount: 6 * 6144 - 1) == nil)
    #expect(packet.sectionRange(sectionByteCount: 103, bufferByteCount: 1 << 20) == nil)
    #expect(packet.sectionRange(sectionByteCount: 0, bufferByteCount: 1 << 20) == nil)
    #expect(NVSPRNDISPacket(.data).sectionRange(sectionByteCount: 6144, bufferByteCount: 1 << 20) == nil)
  }

  @Test func indirectionTables() throws {
    let table = NVSPIndirectionTable(channelCount: 4)
    let long = encoded { table.store(into: &$0, tableOffset: 40) }
    #expect(long.count == 104 && long[8] == 0x28)
    #expect(long[40...] == NetvscVectors.g10[12...])
    #expect(try NVSPIndirectionTable(parsing: long) == table)
    // The offset that old hosts tell is wrong; the message is of the long form.
    var wrong = long
    wrong[8] = 12
    #expect(try NVSPIndirectionTable(parsing: wrong, version: .v6) == table)
    #expect(try NVSPIndirectionTable(parsing: wrong, version: .v6_1) != table)
    wrong[8] = 41
    #expect(try NVSPIndirectionTable(parsing: wrong) == table)
    var short = NetvscVectors.g10
    #expect(try NVSPIndirectionTable(parsing: short, version: .v5) == table)
    short[8] = 13
    #expect(throws: NetvscError.part(offset: 13, byteCount: 64, minimum: 12, available: 76)) {
      try NVSPIndirectionTable(parsing: short)
    }
    short[4] = 15
    #expect(throws: NetvscError.count(15)) { try NVSPIndirectionTable(parsing: short) }
    #expect(table.channel(forHash: 7, channelCount: 4) == 3 && table.channel(forHash: 7, channelCount: 2) == 1)
  }

  @Test func mutatedMessages() {
    var generator = SeededGenerator(seed: 11)
    let requests = [
      NetvscVectors.g01, NetvscVectors.g03, NetvscVectors.g04, Array(NetvscVectors.g05[16...]), NetvscVectors.g07,
      NetvscVectors.g09, NetvscVectors.g10,
      Array(NetvscVectors.g11[16...]), NetvscVectors.g12, NetvscVectors.g14, Array(NetvscVectors.g15[40...]),
      Array(NetvscVectors.g17[16...]),
    ]
    let completions = [
      Array(NetvscVectors.g02[16...]), NetvscVectors.g06, NetvscVectors.g08, NetvscVectors.g09,
      Array(NetvscVectors.g16[16...]),
    ]
    var accepted = 0
    for _ in 0..<20_000 {
      if let request = try? NVSPRequest(generator.mutation(of: requests.randomElement(using: &generator)!)) {
        accepted += 1
        #expect((try? NVSPRequest(request.bytes())) == request)
      }
      if let completion = try? NVSPCompletion(generator.mutation(of: completions.randomElement(using: &generator)!)) {
        accepted += 1
        #expect((try? NVSPCompletion(completion.bytes())) == completion)
      }
    }
    #expect(accepted > 20_000)
  }
}
