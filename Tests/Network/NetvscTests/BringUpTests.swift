import Ethernet
@testable import Netvsc
import NetvscProtocol
import Testing
import VMBusChannel
import WireBytes

@Suite struct BringUpTests {
  @Test func messagesAreThoseOfTheBook() throws {
    let host = ScriptedHost()
    host.set { $0.offered = .full(coalesces: false) }
    let rig = try Rig(host)
    let raw = host.get { $0.raw }
    #expect(raw[0] == Golden.g01 && raw[1] == Golden.g03 && raw[2] == Golden.g04)
    // The same messages but for the number of the GPADL.
    #expect(raw[4] == Golden.g07)
    #expect(raw[5] == Golden.g20)
    func message(_ golden: [UInt8], id: UInt32) -> [UInt8] {
      var bytes = golden
      bytes.withMutableBytes { $0.storeLE(id, at: 8) }
      return bytes
    }
    #expect(raw[8] == message(Golden.g22, id: 4))
    #expect(Array(raw[9].prefix(32)) == message(Golden.g29, id: 5) && raw[9].count == 184)
    #expect(host.get { $0.parameters.first } == Golden.g31)
    #expect(raw.last == message(Golden.g24, id: 9))
    #expect(
      host.log == [
        "NVSP message 1", "NVSP message 125", "NVSP message 100", "NVSP message 101", "NVSP message 104", "INITIALIZE",
        "SET 1010e", "QUERY 10106", "QUERY 1010101", "QUERY fc01020d", "SET fc01020c", "QUERY 10114", "QUERY 10107",
        "SET 1010e",
      ])
    #expect(host.get { $0.filter } == 0x0d)
    let info = rig.adapter.info
    #expect(info.address == MACAddress("00:15:5d:0a:0b:0c") && info.mtu == 1500 && info.hasCarrier)
    #expect(info.bitsPerSecond == 10_000_000_000 && rig.adapter.maximumQueueCount == 1)
    #expect(host.get { $0.answers.values.allSatisfy { $0 == [1] } && $0.onTheirWay.isEmpty })
  }

  @Test(arguments: NVSPVersion.newestFirst) func everyVersionWorks(_ version: NVSPVersion) throws {
    let host = ScriptedHost()
    host.set { $0.versions = [version] }
    let rig = try Rig(host) { $0.receiveBufferByteCount = 31 << 20 }
    #expect(rig.adapter.protocolVersion == "\(version)")
    #expect(host.get { $0.sizes.allSatisfy { $0 == 40 } })
    #expect(host.log.contains("NVSP message 125") == version.hasConfiguration)
    #expect(host.log.contains("QUERY 10107") == version.hasSubChannels)
    #expect(host.get { $0.receive?.byteCount } == version.maximumReceiveBufferByteCount & ~4095)
    let capabilities = host.get { $0.raw.first { $0.rawSpan.le32(at: 0) == 125 } }
    let expected: UInt64 = version.hasReceiveCoalescing ? 0xa8 : version.hasSubChannels ? 0x28 : 0x08
    if let capabilities { #expect(capabilities.rawSpan.le64(at: 12) == expected) }
    #expect(rig.adapter.isCoalescing == version.hasReceiveCoalescing)
    let parameters = host.get { $0.parameters[0] }
    #expect(parameters.count == (version.hasSubChannels ? 28 : 22))
    #expect(parameters[6] == (version.hasSubChannels ? 4 : 0))
    let queue = try rig.adapter.makeQueue()
    #expect(queue.put([UInt8](repeating: 7, count: 60)))
    queue.flush()
    #expect(host.sent.count == 1)
    queue.close()
  }

  @Test func refusalsAreClear() throws {
    func failure(_ change: (inout ScriptedHost.State) -> Void) -> String {
      let host = ScriptedHost()
      host.set { change(&$0) }
      do {
        let rig = try Rig(host) { $0.stepMilliseconds = 200 }
        return "no failure: \(rig.adapter.info)"
      } catch {
        // Nothing stays announced, and all channels are closed.
        #expect(host.get { $0.gpadls.isEmpty } && host.log.last == "close")
        return "\(error)"
      }
    }
    #expect(failure { $0.versions = [] }.contains("every version"))
    for refusal in [NVSPStatus.versionTooNew, .failure] {
      #expect(
        failure {
          $0.versions = []
          $0.refusal = refusal
        }.contains("every version"))
    }
    #expect(failure { $0.receiveStatus = .failure }.contains("the receive buffer was refused"))
    #expect(failure { $0.sendStatus = .failure }.contains("the send buffer was refused"))
    #expect(failure { $0.sectionByteCount = 64 }.contains("sections"))
    #expect(failure { $0.sectionByteCount = 1 << 30 }.contains("sections"))
    #expect(failure { $0.sectionByteCount = 6146 }.contains("sections"))
    var section = NVSPReceiveSection(bufferByteCount: 1 << 20, subAllocationByteCount: 1856)
    section.subAllocationCount += 1
    #expect(failure { $0.receiveSection = section }.contains("division"))
    section = NVSPReceiveSection(bufferByteCount: 1 << 20, subAllocationByteCount: 64)
    #expect(failure { $0.receiveSection = section }.contains("division"))
    #expect(failure { $0.address = .broadcast }.contains("address"))
    #expect(failure { $0.maximumFrame = 3 }.contains("maximum frame"))
    for oid in [OID.permanentAddress, .offloadParameters, .currentPacketFilter] {
      #expect(failure { $0.refusedOIDs = [oid] }.contains("refused"))
    }
    // Silence.
    for type: UInt32 in [1, 101, 104, 2] {
      #expect(failure { $0.silentTypes = [type] }.contains("no answer"))
    }
    for oid in [OID.permanentAddress, .offloadHardwareCapabilities, .currentPacketFilter] {
      #expect(failure { $0.silentOIDs = [oid] }.contains("no answer"))
    }
    // Replies that are none.
    let cut: @Sendable ([UInt8]) -> [UInt8] = { Array($0.prefix(12)) }
    #expect(failure { $0.mutateReply = cut }.contains("no answer"))
    let other: @Sendable ([UInt8]) -> [UInt8] = { [5, 0, 0, 0x80] + $0[4...] }
    #expect(failure { $0.mutateReply = other }.contains("another type"))
  }

  @Test func whatAHostMayRefuse() throws {
    let host = ScriptedHost()
    host.set { $0.refusedOIDs = [.maximumFrameSize, .offloadHardwareCapabilities, .mediaConnectStatus, .linkSpeed] }
    let rig = try Rig(host)
    #expect(rig.adapter.info.hasCarrier && rig.adapter.info.mtu == 1500 && !rig.adapter.isCoalescing)
    #expect(host.get { $0.parameters.isEmpty })
  }

  @Test(arguments: [true, false], Threading.allCases) func repliesInEitherOrder(
    _ isReplyFirst: Bool, _ threading: Threading
  ) throws {
    let host = ScriptedHost()
    host.set { $0.isReplyFirst = isReplyFirst }
    let rig = try Rig(host, threading)
    try rig.adapter.setAddress(MACAddress("02:00:00:00:00:01")!)
    #expect(rig.adapter.info.address == MACAddress("02:00:00:00:00:01"))
  }

  @Test func mtuIsTheSmallerOne() throws {
    let host = ScriptedHost()
    let rig = try Rig(host) { $0.mtu = 9000 }
    #expect(host.get { $0.mtu } == 9014 && rig.adapter.info.mtu == 9000)
    rig.adapter.close()
    host.set { $0.maximumFrame = 1400 }
    try rig.adapter.reopen(device: rig.device, mtu: 4000)
    #expect(host.get { $0.mtu } == 4014 && rig.adapter.info.mtu == 1400)
  }

  @Test(arguments: [1, 2, 4]) func subChannels(_ count: Int) throws {
    let host = ScriptedHost()
    host.set { $0.queueCount = 4 }
    let rig = try Rig(host) { $0.queueCount = count }
    #expect(rig.adapter.maximumQueueCount == count)
    #expect(host.log.contains("NVSP message 133") == (count > 1))
    let scaling = host.get { $0.scaling }
    #expect(scaling.count == (count > 1 ? 2 : 0))
    if count > 1 {
      #expect(scaling[0].isDisabled && !scaling[1].isDisabled)
      #expect(scaling[1].table == (0..<128).map { UInt32($0 % count) } && scaling[1].key == ToeplitzHash.linuxKey)
      #expect(scaling[1].hashTypes == .standard && scaling[1].isUsable(queueCount: UInt32(count)))
    }
    var queues: [any EthernetQueue] = []
    for _ in 0..<count { queues.append(try rig.adapter.makeQueue()) }
    #expect(throws: EthernetError.busy) { try rig.adapter.makeQueue() }
    var sections: Set<UInt32> = []
    for (index, queue) in queues.enumerated() {
      #expect(queue.put([UInt8](repeating: UInt8(index), count: 100)))
      queue.flush()
      let sent = host.sent.last!
      let frame = try sent.parsed().frame
      #expect(sent.channel == index && frame == [UInt8](repeating: UInt8(index), count: 100))
      sections.insert(sent.packet.rawSpan.le32(at: 16 + 8))
      let sink = CollectingSink()
      host.deliver([receiveMessage([UInt8](repeating: 9, count: 64 + index))], channel: index)
      _ = queue.forward(to: sink, limit: 10)
      #expect(sink.frames == [[UInt8](repeating: 9, count: 64 + index)])
      queue.flush()
    }
    #expect(sections.count == count && host.get { $0.onTheirWay.isEmpty })
    for queue in queues { queue.close() }
  }

  @Test func fewerSubChannelsThanWanted() throws {
    let host = ScriptedHost()
    host.set {
      $0.queueCount = 8
      $0.grantedSubChannels = 1
    }
    let rig = try Rig(host) { $0.queueCount = 4 }
    #expect(rig.adapter.maximumQueueCount == 2)
    #expect(host.get { $0.scaling.last?.table.max() } == 1)
    let generous = ScriptedHost()
    generous.set {
      $0.queueCount = 8
      $0.grantedSubChannels = 9
    }
    #expect(throws: ChannelError.self) { try Rig(generous) { $0.queueCount = 4 } }
  }
}
