import Ethernet
import NetvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct NDISTests {
  @Test func offloadCapabilities() throws {
    let full = NDISOffload.full()
    #expect(encoded { full.store(into: &$0) } == NetvscVectors.g30)
    #expect(try NDISOffload(NetvscVectors.g30) == full)
    for (revision, byteCount) in [(UInt8(1), 112), (2, 144), (3, 156), (7, 156)] {
      let offload = NDISOffload.full(revision: revision, coalesces: true)
      let bytes = encoded { offload.store(into: &$0) }
      #expect(bytes.count == byteCount && bytes[2] == UInt8(byteCount))
      #expect(try NDISOffload(bytes) == offload)
      #expect(offload.coalesces4 == (revision >= 3))
      #expect(throws: NetvscError.self) { try NDISOffload(bytes.dropLast()) }
    }
    var bytes = NetvscVectors.g30
    bytes[2] = 111
    #expect(throws: NetvscError.object(type: 0xa7, revision: 3, byteCount: 111)) { try NDISOffload(bytes) }
    bytes = NetvscVectors.g30
    bytes[0] = 0x80
    #expect(throws: NetvscError.self) { try NDISOffload(bytes) }
    bytes = NetvscVectors.g30
    bytes[1] = 0
    #expect(throws: NetvscError.self) { try NDISOffload(bytes) }
  }

  @Test func offloadParameters() throws {
    var parameters = NDISOffloadParameters()
    parameters.ip4 = .off
    (parameters.tcp4, parameters.udp4, parameters.tcp6, parameters.udp6) = (.both, .both, .both, .both)
    (parameters.largeSend4, parameters.largeSend6) = (.on, .on)
    (parameters.coalescing4, parameters.coalescing6) = (.off, .off)
    #expect(encoded { parameters.store(into: &$0) } == NetvscVectors.g31)
    #expect(try NDISOffloadParameters(NetvscVectors.g31) == parameters)
    // The 22 bytes that guests send at NVSP 4 and below say revision 3 all the same.
    let short = encoded { parameters.store(into: &$0, byteCount: 22) }
    #expect(short[1] == 3 && short[2] == 22)
    var without = parameters
    (without.coalescing4, without.coalescing6) = (.noChange, .noChange)
    #expect(try NDISOffloadParameters(short) == without)
    #expect(try NDISOffloadParameters(Array(short[..<20])) == without)
    #expect(throws: NetvscError.tooShort(byteCount: 19, needed: 20)) {
      try NDISOffloadParameters(Array(short[..<19]))
    }
  }

  @Test func rssCapabilities() throws {
    let capabilities = RSSCapabilities(receiveQueueCount: 8)
    #expect(capabilities.flags.rawValue == 0x301)
    #expect(encoded { capabilities.store(into: &$0) } == NetvscVectors.g32)
    #expect(try RSSCapabilities(NetvscVectors.g32) == capabilities)
    var first = capabilities
    first.indirectionEntryCount = nil
    let bytes = encoded { first.store(into: &$0) }
    #expect(bytes.count == 16 && bytes[1] == 1 && bytes[2] == 16)
    #expect(try RSSCapabilities(bytes) == first)
    #expect(throws: NetvscError.self) { try RSSCapabilities(bytes.dropLast()) }
  }

  @Test func rssParameters() throws {
    let parameters = RSSParameters(table: (0..<128).map { $0 % 8 }, key: ToeplitzHash.linuxKey)
    let bytes = encoded { parameters.store(into: &$0) }
    #expect(bytes.count == 592 && parameters.byteCount == 592)
    #expect(Array(bytes[..<40]) == NetvscVectors.g33)
    #expect(Array(bytes[552...]) == ToeplitzHash.linuxKey)
    #expect(try RSSParameters(bytes) == parameters)
    #expect(parameters.isUsable(queueCount: 8) && !parameters.isUsable(queueCount: 7))
    #expect(!parameters.isDisabled)
    var off = parameters
    off.flags = .disable
    #expect(off.isDisabled)
    off = parameters
    off.hashTypes = []
    #expect(off.isDisabled)
    #expect(!RSSParameters(table: [], key: ToeplitzHash.linuxKey).isUsable(queueCount: 8))
    #expect(!RSSParameters(table: [0], key: [1]).isUsable(queueCount: 8))

    // Key first, as older FreeBSD lays it out, the header's size being that of the whole object.
    var other = Array(NetvscVectors.g33) + ToeplitzHash.linuxKey + Array(bytes[40..<552])
    other.withMutableBytes {
      $0.storeLE(UInt16(592), at: 2)
      $0.storeLE(UInt32(80), at: 16)
      $0.storeLE(UInt32(40), at: 24)
    }
    #expect(try RSSParameters(other) == parameters)
    for (offset, value) in [(12, UInt32(513)), (16, 27), (16, 200), (24, 553), (24, .max), (16, .max), (20, 41)] {
      var bad = bytes
      bad.withMutableBytes { $0.storeLE(value, at: offset) }
      #expect(throws: NetvscError.self) { try RSSParameters(bad) }
    }
  }

  @Test func configurationParameter() throws {
    let address = try #require(MACAddress("00:15:5d:0a:0b:0c"))
    let parameter = RNDISConfigurationParameter(address: address)
    #expect(parameter.bytes == Array(NetvscVectors.g28[28...]))
    #expect(try RNDISConfigurationParameter(parameter.bytes) == parameter)
    // Linux writes lower-case digits.
    let lower = RNDISConfigurationParameter(name: "NetworkAddress", value: .string("00155d0a0b0c"))
    #expect(lower.address == address && parameter.address == address)
    let number = RNDISConfigurationParameter(name: "*LsoV2IPv4", value: .integer(1))
    #expect(try RNDISConfigurationParameter(number.bytes) == number)
    #expect(number.address == nil)
    var bad = parameter.bytes
    bad[8] = 1
    #expect(throws: NetvscError.unexpectedType(1, expected: 2)) { try RNDISConfigurationParameter(bad) }
    for (offset, value) in [(0, UInt32(19)), (0, 45), (4, 256), (12, 49), (16, 25), (12, .max), (0, .max)] {
      bad = parameter.bytes
      bad.withMutableBytes { $0.storeLE(value, at: offset) }
      #expect(throws: NetvscError.self) { try RNDISConfigurationParameter(bad) }
    }
  }

  @Test func text() {
    let bytes = RNDISText.bytes("Netz \u{1F310}")
    #expect(bytes.count == 14)
    #expect(RNDISText.text(parsing: bytes) == "Netz \u{1F310}")
    let ended = bytes + [0, 0, 0x41, 0]
    #expect(RNDISText.text(parsing: ended) == "Netz \u{1F310}")
    #expect(RNDISText.text(parsing: [0x41, 0, 0x42]) == "A")
    #expect(RNDISText.text(parsing: [0, 0xd8]) == "\u{fffd}")
  }

  @Test func linkObjects() throws {
    var state = NDISLinkState(speed: NDISLinkSpeed(bitsPerSecond: 10_000_000_000))
    state.speed.receive = 5
    let bytes = encoded {
      state.store(into: &$0); return 40
    }
    #expect(bytes == hex("80012800 01000000 00000000 00000000 00e40b54 02000000 05000000 [12]"))
    #expect(try NDISLinkState(parsing: bytes) == state)
    let short = Array(bytes.dropLast())
    #expect(throws: NetvscError.self) { try NDISLinkState(parsing: short) }
    let speed = encoded {
      state.speed.store(into: &$0); return 16
    }
    #expect(try NDISLinkSpeed(parsing: speed) == state.speed)
    #expect(MACOptions.standard.rawValue == 0x24d)
  }

  @Test func filters() {
    let own = MACAddress(value: 0x0015_5d0a_0b0c)
    let other = MACAddress(value: 0x0015_5d01_0203)
    let group = MACAddress(value: 0x0100_5e00_0001)
    #expect(PacketFilter.up.rawValue == 0x0d && PacketFilter.promiscuous.rawValue == 0x20)
    let facts: [(PacketFilter, [Bool])] = [
      ([], [false, false, false, false]), (.up, [true, false, true, true]),
      ([.directed, .broadcast], [true, false, false, true]), (.promiscuous, [true, true, true, true]),
    ]
    for (filter, accepted) in facts {
      #expect([own, other, group, .broadcast].map { filter.accepts($0, own: own) } == accepted)
    }
    #expect(PacketFilter.multicast.accepts(group, own: own, isListed: true))
    #expect(!PacketFilter.multicast.accepts(group, own: own))
  }

  @Test func multicastLists() throws {
    let groups = [MACAddress(value: 0x0100_5e00_0001), MACAddress(value: 0x3333_0000_0001)]
    let bytes = encoded { MulticastList.store(groups, into: &$0) }
    #expect(bytes == hex("01005e00 00013333 00000001"))
    #expect(try MulticastList.addresses(parsing: bytes) == groups)
    let odd = bytes + [0]
    #expect(throws: NetvscError.count(13)) { try MulticastList.addresses(parsing: odd) }
    let long = [UInt8](repeating: 1, count: 6 * 513)
    #expect(throws: NetvscError.self) { try MulticastList.addresses(parsing: long) }
  }

  @Test(arguments: [
    (OID.maximumFrameSize, UInt32(0x10106)), (.linkSpeed, 0x10107), (.currentPacketFilter, 0x1010e),
    (.mediaConnectStatus, 0x10114), (.receiveScaleParameters, 0x10204), (.linkState, 0x10207),
    (.rndisConfigurationParameter, 0x1021b), (.receiveNoBuffer, 0x20105), (.directedBytesTransmitted, 0x20201),
    (.broadcastFramesTransmitted, 0x20206), (.directedBytesReceived, 0x20207), (.broadcastFramesReceived, 0x2020c),
    (.friendlyName, 0x20216), (.permanentAddress, 0x0101_0101), (.multicastList, 0x0101_0103),
    (.transmitMoreCollisions, 0x0102_0103), (.offloadHardwareCapabilities, 0xfc01_020d),
  ])
  func oids(oid: OID, number: UInt32) {
    #expect(oid.rawValue == number)
  }

  @Test(arguments: [
    (RNDISStatus.pending, UInt32(0x103)), (.notRecognized, 0x10001), (.bufferOverflow, 0x8000_0005),
    (.mediaConnect, 0x4001_000b), (.mediaDisconnect, 0x4001_000c), (.linkSpeedChange, 0x4001_0013),
    (.networkChange, 0x4001_0018), (.taskOffloadCurrentConfiguration, 0x4002_0006), (.failure, 0xc000_0001),
    (.resources, 0xc000_009a), (.notSupported, 0xc000_00bb), (.badVersion, 0xc001_0004), (.multicastFull, 0xc001_0009),
    (.invalidLength, 0xc001_0014), (.invalidData, 0xc001_0015), (.bufferTooShort, 0xc001_0016),
    (.invalidOID, 0xc001_0017),
  ])
  func statuses(status: RNDISStatus, number: UInt32) {
    #expect(status.rawValue == number)
  }

  @Test func mutatedObjects() {
    var generator = SeededGenerator(seed: 31)

    /// Parses mutations of `seed`; of those accepted, the encoding must parse to the same value.
    func check<Value: Equatable>(
      _ seed: [UInt8], _ parse: ([UInt8]) throws -> Value, _ encode: (Value) -> [UInt8]
    ) {
      var accepted = 0
      for _ in 0..<6_000 {
        guard let value = try? parse(generator.mutation(of: seed)) else { continue }
        accepted += 1
        #expect((try? parse(encode(value))) == value)
      }
      #expect(accepted > 1_000, "\(Value.self)")
    }

    let rss = RSSParameters(table: (0..<16).map { $0 }, key: ToeplitzHash.linuxKey)
    check(NetvscVectors.g30, { try NDISOffload($0) }, { value in encoded { value.store(into: &$0) } })
    check(NetvscVectors.g31, { try NDISOffloadParameters($0) }, { value in encoded { value.store(into: &$0) } })
    check(NetvscVectors.g32, { try RSSCapabilities($0) }, { value in encoded { value.store(into: &$0) } })
    check(encoded { rss.store(into: &$0) }, { try RSSParameters($0) }, { value in value.encodedBytes })
    check(Array(NetvscVectors.g28[28...]), { try RNDISConfigurationParameter($0) }, { $0.bytes })
    check(
      encoded {
        NDISLinkState(speed: NDISLinkSpeed(bitsPerSecond: 7)).store(into: &$0); return 40
      },
      { try NDISLinkState(parsing: $0) },
      { value in
        encoded {
          value.store(into: &$0); return 40
        }
      })
    check(
      hex("01005e00 00013333 00000001"), { try MulticastList.addresses(parsing: $0) },
      { value in encoded { MulticastList.store(value, into: &$0) } })
  }
}

extension RSSParameters {
  /// The object in a buffer of its own: a hostile key may be longer than the buffer of `encoded`.
  var encodedBytes: [UInt8] {
    [UInt8](zeroed: byteCount) { _ = store(into: &$0) }
  }
}
