import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import WireBytes

enum Golden {
  static let initialize = hex("02000000 18000000 01000000 01000000 00000000 00400000")
}

/// RNDIS control: bytes that stock guests have seen, and every object.
@Suite struct ControlTests {
  @Test func goldenMessages() throws {
    let guest = try TestGuest.make()
    guest.negotiate()
    #expect(
      guest.control(Golden.initialize)
        == hex(
          """
          02000080 34000000 01000000 00000000 01000000 00000000 01000000 00000000 08000000 ffffffef 03000000 [8]
          """))
    #expect(
      guest.control(hex("04000000 1c000000 07000000 01010101 00000000 14000000 00000000"))
        == hex("04000080 1e000000 07000000 00000000 06000000 10000000 00155d0a 0b0c"))
    #expect(
      guest.control(hex("05000000 20000000 09000000 0e010100 04000000 14000000 00000000 0d000000"))
        == hex("05000080 10000000 09000000 00000000"))
    #expect(
      guest.control(hex("08000000 0c000000 34120000")) == hex("08000080 10000000 34120000 00000000"))
    // HARDWARE_CAPABILITIES without coalescing, then scaling.
    let plain = try TestGuest.make(queues: 8) { $0.offersCoalescing = false }
    plain.negotiate()
    plain.initialize()
    #expect(
      plain.query(.offloadHardwareCapabilities, hex("a7039c00 [152]")).bytes
        == hex(
          """
          a7039c00 02000000 55010000 02000000 55010000 02000000 55000000 02000000 55000000 [44] 02000000 3cf50000
          02000000 02000000 3cf50000 02000000 05000000 [48]
          """))
    #expect(plain.query(.receiveScaleCapabilities).bytes == hex("88021200 01030000 01000000 08000000 8000"))
    // The parameters of Linux and of DPDK.
    #expect(
      plain.set(.offloadParameters, hex("80031c00 01040404 04000002 02000000 00000000 00000202 00000000")) == .success)
    #expect(
      plain.set(.offloadParameters, hex("80031c00 03030303 03000002 02000000 00000000 00000000 00000000")) == .success)
    #expect(plain.set(.offloadParameters, hex("80031600 01040004 00000002 02000000 00000000 0000")) == .success)
    #expect(plain.set(.offloadParameters, hex("80031c00 00000000 00020000 00000000 [12]")) == .notSupported)
    #expect(plain.set(.offloadParameters, hex("80031c00 0000")) == .invalidLength)
  }

  /// The packets around control messages, byte for byte.
  @Test func goldenPackets() throws {
    let guest = try TestGuest.make()
    guest.negotiate()
    guest.sendControl(Golden.initialize)
    guest.primary.endpoint.run()
    let completion = try #require(guest.primary.receive())
    #expect(
      Array(completion[..<8]) == hex("0b000200 07000000") && Array(completion[16...]) == hex("6c000000 01000000 [32]"))
    let reply = try #require(guest.primary.receive())
    #expect(
      reply
        == hex(
          """
          07000400 09000100 00000000 00000000 feca0000 01000000 34000000 00000000 6b000000 01000000 ffffffff [28]
          """))
  }

  @Test(arguments: ChannelServer.supportedOIDs) func everyObject(oid: OID) throws {
    let guest = try TestGuest.make()
    guest.start()
    let (status, bytes) = guest.query(oid)
    let settable: Set<OID> = [
      .protocolOptions, .networkLayerAddresses, .linkParameters, .interruptModeration, .machineName,
      .rndisConfigurationParameter, .offloadEncapsulation, .addMulticastAddress, .deleteMulticastAddress,
      .offloadParameters, .receiveScaleParameters,
    ]
    #expect(status == (settable.contains(oid) ? .notSupported : .success))
    guard status == .success else { return }
    let long: [OID: Int] = [
      .supportedList: 4 * ChannelServer.supportedOIDs.count, .vendorDescription: 26, .driverVersion: 2,
      .vendorDriverVersion: 2, .receiveScaleCapabilities: 18, .maximumLinkSpeed: 16, .linkState: 40,
      .friendlyName: 30, .permanentAddress: 6, .currentAddress: 6, .multicastList: 0,
      .offloadCurrentConfiguration: 156, .offloadHardwareCapabilities: 156,
    ]
    let isCounter = oid.rawValue >> 16 == 2 && oid != .friendlyName
    #expect(bytes.count == long[oid] ?? (isCounter ? 8 : 4))
    #expect(guest.primary.endpoint.fault == nil)
  }

  @Test func values() throws {
    let guest = try TestGuest.make { $0.maximumMTU = 1400 + 100 }
    guest.start(mtu: 9000)
    func word(_ oid: OID) -> UInt32 { guest.query(oid).bytes.le32(at: 0) }
    #expect(word(.maximumFrameSize) == 1500 && word(.maximumTotalSize) == 1514)
    #expect(word(.linkSpeed) == 100_000_000 && word(.mediaConnectStatus) == 0 && word(.macOptions) == 0x24d)
    #expect(word(.currentPacketFilter) == 0x0d && word(.vendorID) == 0x155d)
    let name = guest.query(.friendlyName).bytes
    #expect(name == RNDISText.bytes("Network Adapter"))
    #expect(guest.query(OID(rawValue: 0xdead)).status == .notSupported)
    #expect(guest.set(OID(rawValue: 0xdead), []) == .notSupported)
    #expect(guest.query(.vlanID).status == .notSupported)
    // The revision that is asked for.
    for (input, count) in [("a7016c00", 112), ("a7029000", 144), ("a7049c00", 156)] {
      #expect(guest.query(.offloadHardwareCapabilities, hex(input)).bytes.count == count)
    }
    #expect(guest.query(.receiveScaleCapabilities, hex("88011000")).bytes.count == 16)
    guest.queue.arriving = [TestFrame(bytes: Frames.arp)]
    _ = guest.receive()
    #expect(guest.query(.broadcastFramesReceived).bytes == [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(guest.query(.bytesReceived).bytes == [60, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func settings() throws {
    let guest = try TestGuest.make()
    guest.start()
    // The address, in lower case as Linux writes it.
    let address = MACAddress("02:15:5d:aa:bb:cc")!
    var parameter = RNDISConfigurationParameter(address: address)
    if case .string(let digits) = parameter.value { parameter.value = .string(digits.lowercased()) }
    #expect(guest.set(.rndisConfigurationParameter, parameter.bytes) == .success)
    #expect(guest.port.filter.address == address && guest.nic.session?.address == address)
    #expect(guest.query(.currentAddress).bytes == hex("02155daabbcc"))
    #expect(guest.query(.permanentAddress).bytes == hex("00155d0a0b0c"))
    for bad in ["01155daabbcc", "000000000000", "1234", "x"] {
      let wrong = RNDISConfigurationParameter(name: "NetworkAddress", value: .string(bad))
      #expect(guest.set(.rndisConfigurationParameter, wrong.bytes) == .invalidData)
    }
    let other = RNDISConfigurationParameter(name: "*LsoV2IPv4", value: .integer(1))
    #expect(guest.set(.rndisConfigurationParameter, other.bytes) == .success)
    #expect(guest.set(.rndisConfigurationParameter, [1, 2, 3]) == .invalidData)
    // Groups.
    #expect(guest.set(.multicastList, hex("01005e000001 333300000001")) == .success)
    #expect(guest.set(.addMulticastAddress, hex("01005e000002")) == .success)
    #expect(guest.set(.deleteMulticastAddress, hex("01005e000001")) == .success)
    #expect(guest.query(.multicastList).bytes == hex("01005e000002 333300000001"))
    #expect(guest.set(.multicastList, hex("02005e000001")) == .invalidData)
    #expect(guest.set(.multicastList, [1]) == .invalidLength)
    #expect(guest.port.filter.groups.isEmpty)
    guest.setFilter([.directed, .multicast])
    #expect(guest.port.filter.groups.count == 2 && !guest.port.filter.acceptsAllMulticast)
    #expect(guest.set(.currentPacketFilter, [1]) == .invalidLength)
    #expect(guest.set(.machineName, [65, 0]) == .success && guest.set(.networkLayerAddresses, []) == .success)
  }

  @Test func link() throws {
    let guest = try TestGuest.make()
    guest.start()
    func statuses() -> [[UInt8]] {
      guest.primary.endpoint.run()
      var result: [[UInt8]] = []
      while let packet = guest.primary.receive() {
        result += guest.ranges(packet)
        guest.complete(packet)
      }
      return result
    }
    guest.nic.setMediaConnected(false)
    #expect(statuses() == [hex("07000000 14000000 0c000140 00000000 00000000")])
    #expect(guest.query(.mediaConnectStatus).bytes == [1, 0, 0, 0])
    // Nothing new.
    guest.nic.setMediaConnected(false)
    #expect(statuses().isEmpty)
    guest.nic.setMediaConnected(true)
    #expect(statuses() == [hex("07000000 14000000 0b000140 00000000 00000000")])
    guest.port.change { $0.hasCarrier = false }
    #expect(statuses() == [hex("07000000 14000000 0c000140 00000000 00000000")])
    guest.port.change { $0.hasCarrier = true }
    #expect(statuses().count == 1)
    guest.nic.setLinkSpeed(2_500_000_000)
    #expect(statuses() == [hex("07000000 18000000 13000140 04000000 0c000000 40787d01")])
    guest.nic.networkChange()
    #expect(statuses() == [hex("07000000 14000000 18000140 00000000 00000000")])
  }

  /// Control messages of a guest that takes none wait, up to a bound.
  @Test func backlog() throws {
    let guest = try TestGuest.make(ringByteCount: 1 << 20)
    guest.start()
    for count in 0..<2000 {
      guest.sendControl(hex("04000000 1c000000 07000000 01010100 00000000 14000000 00000000"))
      guest.primary.endpoint.run()
      if guest.primary.endpoint.fault != nil {
        #expect(count > 300 && count < 700)
        return
      }
    }
    Issue.record("no bound")
  }
}
