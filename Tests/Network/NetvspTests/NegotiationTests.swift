import Ethernet
import NetvscProtocol
@testable import Netvsp
import Testing
import VMBusChannel
import WireBytes

@Suite struct NegotiationTests {
  @Test(arguments: [NVSPVersion.v1, .v2, .v4, .v5, .v6, .v6_1], [true, false])
  func bringUp(version: NVSPVersion, hasSendBuffer: Bool) throws {
    let guest = try TestGuest.make()
    guest.negotiate(version, sendBuffer: hasSendBuffer)
    guest.initialize()
    guest.setFilter(.up)
    let status = try #require(guest.nic.session)
    #expect(status.version == version && status.channelCount == 1 && status.filter == .up && status.mtu == 1500)
    #expect(guest.port.filter.acceptsDirected && guest.port.filter.acceptsBroadcast)
    #expect(guest.section.subAllocationByteCount == 4096)
    #expect(guest.lists.live(TestGuest.receiveList) == 1)
    guest.end()
    #expect(guest.lists.live(TestGuest.receiveList) == 0 && guest.lists.live(TestGuest.sendList) == 0)
    #expect(guest.nic.session == nil && guest.port.filter.isClosed && guest.port.queues[0].isClosed)
  }

  /// Refusals on one open channel, newest first, and the sizes of the answers.
  @Test func downwards() throws {
    let guest = try TestGuest.make { $0.highestVersion = .v4 }
    for version: NVSPVersion in [.v6_1, .v6, .v5, NVSPVersion(rawValue: 0x7_0000), NVSPVersion(rawValue: 3)] {
      let answer = guest.nvsp(.initialize(lowest: version, highest: version))
      #expect(answer.count == 48)
      guard case .initialize(let status, _, _)? = guest.completion(answer) else {
        Issue.record("no answer")
        return
      }
      #expect(status != .success)
    }
    guest.negotiate(.v4)
    #expect(guest.nvsp(.subChannels(NVSPSubChannelRequest(count: 1))).isEmpty)
    #expect(guest.primary.endpoint.fault != nil)
  }

  @Test(arguments: [(NVSPVersion.v4, 48), (.v5, 48), (.v6_1, 56)])
  func sizes(version: NVSPVersion, byteCount: Int) throws {
    let guest = try TestGuest.make()
    // The answer to INIT has the old size, the later ones that of the version.
    #expect(guest.nvsp(.initialize(lowest: version, highest: version)).count == 48)
    guest.nvsp(.configuration(NVSPConfiguration(frameByteCount: 1514, capabilities: [])), flags: 0)
    #expect(guest.nvsp(.receiveBuffer(NVSPBuffer(gpadl: TestGuest.receiveList, id: 0xcafe))).count == byteCount)
    let send = guest.nvsp(.sendBuffer(NVSPBuffer(gpadl: TestGuest.sendList, id: 0)))
    #expect(send.count == byteCount)
    #expect(guest.completion(send) == .sendBuffer(.success, sectionByteCount: 6144))
  }

  @Test func restart() throws {
    let guest = try TestGuest.make()
    guest.negotiate(.v5)
    #expect(guest.lists.live(TestGuest.receiveList) == 1)
    #expect(
      guest.completion(guest.nvsp(.initialize(lowest: .v6_1, highest: .v6_1))) == .initialize(.success, for: .v6_1))
    #expect(guest.lists.live(TestGuest.receiveList) == 0 && guest.lists.live(TestGuest.sendList) == 0)
    guest.start()
    #expect(guest.nvsp(.initialize(lowest: .v6_1, highest: .v6_1)).isEmpty)
    #expect(guest.primary.endpoint.fault != nil)
    // The fault has let go of everything; a fresh open works.
    #expect(guest.lists.live(TestGuest.receiveList) == 0)
    guest.primary.endpoint.close()
    guest.primary = try TestChannel(guest.session, index: 0, ringByteCount: 65536)
    guest.start()
    #expect(guest.nic.session?.version == .v6_1)
  }

  @Test func faults() throws {
    let buffer = NVSPBuffer(gpadl: TestGuest.receiveList, id: 0xcafe)
    let configuration = NVSPRequest.configuration(NVSPConfiguration(frameByteCount: 1514, capabilities: []))
    let cases: [[NVSPRequest]] = [
      [.receiveBuffer(buffer)], [configuration, configuration], [configuration, .receiveBuffer(buffer), configuration],
      [.ndisVersion(NDISVersion(major: 6, minor: 30)), .ndisVersion(NDISVersion(major: 6, minor: 30))],
      [configuration, .receiveBuffer(buffer), .receiveBuffer(buffer)],
      [.sendBuffer(buffer), .sendBuffer(buffer)],
      [configuration, .rndisPacket(NVSPRNDISPacket(.control))],
      [.other(NVSPMessageType(rawValue: 137))], [.other(NVSPMessageType(rawValue: 110))],
      [.virtualFunction(NVSPVirtualFunction(isAllocated: true, serial: 1))],
      [.indirectionTable(NVSPIndirectionTable(channelCount: 1))], [.other(.none)],
      [.other(.sendRNDISPacketComplete)],
    ]
    for messages in cases {
      let guest = try TestGuest.make()
      guest.nvsp(.initialize(lowest: .v6_1, highest: .v6_1))
      for (index, message) in messages.enumerated() {
        #expect(guest.primary.endpoint.fault == nil, "\(messages)")
        guest.nvsp(message, flags: index == messages.count - 1 ? 0 : 1, byteCount: 80)
      }
      #expect(guest.primary.endpoint.fault != nil, "\(messages)")
      guest.primary.endpoint.run()
      guest.end()
      #expect(guest.lists.live(TestGuest.receiveList) == 0)
    }
  }

  /// Messages before a version.
  @Test func beforeTheVersion() throws {
    let guest = try TestGuest.make()
    guest.nvsp(.ndisVersion(NDISVersion(major: 6, minor: 1)))
    #expect(guest.primary.endpoint.fault != nil)
  }

  @Test func refusedBuffers() throws {
    let guest = try TestGuest.make(receiveByteCount: 17 * 1856)
    guest.nvsp(.initialize(lowest: .v6_1, highest: .v6_1))
    guest.nvsp(.configuration(NVSPConfiguration(frameByteCount: 9014, capabilities: [])), flags: 0)
    func receive(_ gpadl: UInt32) -> NVSPCompletion? {
      guest.completion(guest.nvsp(.receiveBuffer(NVSPBuffer(gpadl: gpadl, id: 0xcafe))))
    }
    #expect(receive(0x1234) == .receiveBuffer(.failure, nil))
    // Too small for 16 control messages and a frame.
    #expect(receive(TestGuest.receiveList) == .receiveBuffer(.failure, nil))
    #expect(guest.lists.live(TestGuest.receiveList) == 0)
    #expect(
      guest.completion(guest.nvsp(.sendBuffer(NVSPBuffer(gpadl: 7, id: 0))))
        == .sendBuffer(.failure, sectionByteCount: 0))
    #expect(guest.primary.endpoint.fault == nil)
  }

  /// The messages that answer themselves.
  @Test func smallAnswers() throws {
    let guest = try TestGuest.make()
    guest.start()
    #expect(guest.nvsp(.switchDataPath(.virtualFunction)).count == 16)
    #expect(guest.nvsp(.switchDataPath(.synthetic)).count == 16)
    #expect(guest.nvsp(.other(.packetDirect)).count == 16)
    #expect(guest.nvsp(.other(.packetDirectPostBatch), flags: 0).isEmpty)
    let header = NDISObjectHeader(type: 0x96, revision: 1, byteCount: 12)
    #expect(guest.completion(guest.nvsp(.queryOID(.linkSpeed, header))) == .queryOID(.notSupported, byteCount: 0))
    #expect(guest.primary.endpoint.fault == nil)
  }

  @Test(arguments: [(1500, 1 << 20, 1856), (1500, 4 << 20, 4096), (9000, 4 << 20, 9344), (576, 1 << 20, 1856)])
  func subAllocations(mtu: Int, bufferByteCount: Int, expected: Int) throws {
    let guest = try TestGuest.make(receiveByteCount: bufferByteCount)
    guest.negotiate(mtu: mtu)
    #expect(guest.section.subAllocationByteCount == UInt32(expected))
    #expect(guest.section.offset == 0 && guest.section.isUsable(bufferByteCount: bufferByteCount))
    #expect(Int(guest.section.subAllocationCount) == bufferByteCount / expected)
  }

  @Test func oneGuestAtATime() throws {
    let guest = try TestGuest.make()
    #expect(throws: ChannelError.self) { try TestGuest(guest.nic, id: 2) }
    guest.end()
    let second = try TestGuest(guest.nic, id: 2)
    #expect(second.nic.session?.guestID == 2)
  }

  /// Partitions cover all sub-allocations but those for control, without overlap.
  @Test func partitions() {
    var plan = ChannelPlan()
    #expect(plan.partition(0).isEmpty)
    for count in [17, 18, 100, 9039] {
      for channels in 1...9 {
        plan.receive = ChannelPlan.ReceiveBuffer(
          mapping: .empty, id: 1,
          section: NVSPReceiveSection(bufferByteCount: UInt32(count * 64), subAllocationByteCount: 64))
        plan.channelCount = channels
        var next = 16
        for index in 0..<channels {
          let part = plan.partition(index)
          #expect(part.lowerBound == next && part.upperBound >= next)
          next = part.upperBound
        }
        #expect(next == count)
      }
    }
  }
}
