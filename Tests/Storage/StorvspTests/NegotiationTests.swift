import Block
import SCSI
import StorvscProtocol
@testable import Storvsp
import Testing
import VMBusChannel
import WireBytes

@Suite struct NegotiationTests {
  private static let controls: [StorvscOperation] = (1...14).map { StorvscOperation(rawValue: $0) }
  private static let fromGuest: Set<UInt32> = [3, 4, 5, 6, 7, 8, 9, 10, 13]

  /// A guest that has come to `step`.
  private func guest(at step: NegotiationState.Step) throws -> TestGuest {
    let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
    let order: [(StorvscOperation, [UInt8])] = [
      (.beginInitialization, []), (.queryProtocolVersion, [2, 6]), (.queryProperties, []), (.endInitialization, []),
    ]
    let count = NegotiationState.Step.allCases.firstIndex(of: step)!
    for (operation, payload) in order.prefix(count) {
      #expect(guest.step(operation, payload).status == .success)
    }
    return guest
  }

  /// Every operation in every state; what has no place there is answered and changes nothing.
  @Test(arguments: NegotiationState.Step.allCases) func everyOperation(_ step: NegotiationState.Step) throws {
    let accepted: [NegotiationState.Step: Set<UInt32>] = [
      .begin: [7], .queryVersion: [9], .queryProperties: [10], .endInitialization: [8, 13], .ready: [3, 4, 5, 6, 13],
    ]
    for operation in Self.controls + [StorvscOperation(rawValue: 0), StorvscOperation(rawValue: 99)] {
      let guest = try guest(at: step)
      let raw = operation.rawValue
      // EXECUTE_SRB with a TEST UNIT READY of zeros: a block of length 0.
      let status = guest.step(operation, operation == .queryProtocolVersion ? [0, 6] : []).status
      if accepted[step]!.contains(raw) {
        #expect(status == (raw == 3 ? .ioDeviceError : .success), "\(operation) in \(step)")
      } else {
        let wanted: NTStatus = Self.fromGuest.contains(raw) ? .invalidDeviceState : .invalidDeviceRequest
        #expect(status == wanted, "\(operation) in \(step)")
        // The state is as before.
        let next: (StorvscOperation, [UInt8]) =
          switch step {
          case .begin: (.beginInitialization, [])
          case .queryVersion: (.queryProtocolVersion, [1, 5])
          case .queryProperties: (.queryProperties, [])
          case .endInitialization: (.endInitialization, [])
          case .ready: (.resetBus, [])
          }
        #expect(guest.step(next.0, next.1).status == .success, "after \(operation) in \(step)")
      }
      #expect(guest.primary.endpoint.fault == nil)
      guest.primary.endpoint.close()
    }
  }

  @Test func versions() throws {
    for version in StorvscVersion.newestFirst {
      let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
      guest.step(.beginInitialization)
      for refused in [0x0000, 0x0001, 0x0100, 0x0601, 0x0603, 0x0700, 0xffff] as [UInt16] {
        let answer = guest.step(.queryProtocolVersion, TestGuest.word(refused))
        #expect(answer.status == .revisionMismatch && Array(answer.bytes[12..<14]) == TestGuest.word(refused))
      }
      let answer = guest.step(.queryProtocolVersion, TestGuest.word(version.rawValue))
      #expect(answer.status == .success && Array(answer.bytes[12..<14]) == TestGuest.word(version.rawValue))
      let properties = guest.step(.queryProperties)
      let parsed = try ChannelProperties(parsing: properties.bytes.rawSpan)
      #expect(parsed.maximumSubChannelCount == (version.hasSubChannels ? 3 : 0))
      #expect(parsed.flags.contains(.multiChannel) == version.hasSubChannels)
      #expect(parsed.maximumTransferByteCount == 1 << 20)
      #expect(guest.step(.createSubChannels, [1, 0]).status == (version.hasSubChannels ? .success : .invalidParameter))
      #expect(guest.step(.endInitialization).status == .success)
      guest.primary.endpoint.close()
    }
  }

  @Test func subChannelCounts() throws {
    let guest = try guest(at: .endInitialization)
    #expect(guest.step(.createSubChannels, [4, 0]).status == .invalidParameter)
    #expect(guest.step(.createSubChannels, [2, 0]).status == .success)
    #expect(guest.step(.createSubChannels, [3, 0]).status == .invalidDeviceState)
    #expect(guest.step(.endInitialization).status == .success)
    #expect(guest.step(.createSubChannels, [1, 0]).status == .success)
    #expect(guest.step(.createSubChannels, [3, 0]).status == .success)
    #expect(guest.offered.counts.withLock { $0 } == [2, 3])
    // A disk with two queues allows one channel beside the primary.
    let narrow = try TestGuest(
      try .with(TestDisk(BlockDeviceInfo(byteCount: 1 << 20), maximumQueueCount: 2)))
    narrow.start()
    #expect(narrow.step(.createSubChannels, [2, 0]).status == .invalidParameter)
    #expect(narrow.step(.createSubChannels, [1, 0]).status == .success)
  }

  /// The length of an answer follows the request, up to 64 bytes.
  @Test func packetSizes() throws {
    for (sent, returned) in [(48, 48), (50, 56), (56, 56), (64, 64), (72, 64)] {
      let guest = try TestGuest(try .with(TestDisk(byteCount: 1 << 20)))
      guest.step(.beginInitialization)
      let answer = guest.step(.queryProtocolVersion, [0xff, 0xff], byteCount: sent)
      #expect(answer.status == .revisionMismatch && answer.bytes.count == returned)
    }
  }

  @Test func shortPackets() throws {
    let guest = try guest(at: .ready)
    // A request of 32 bytes is no SCSI request; 48 is one whose tail reads as zeros, and 40 is not.
    #expect(guest.step(.executeSRB, byteCount: 32).status == .invalidParameter)
    #expect(guest.step(.executeSRB, byteCount: 40).status == .invalidParameter)
    #expect(guest.step(.executeSRB, byteCount: 48).status == .ioDeviceError)
    let begun = try self.guest(at: .queryVersion)
    // 16 bytes hold the version.
    #expect(begun.step(.queryProtocolVersion, [0, 6], byteCount: 16).status == .success)
    #expect(guest.primary.endpoint.fault == nil)
  }

  /// Frames that can't be answered end the service of the channel.
  @Test func brokenFrames() throws {
    let request = [UInt8](zeroed: 64) { StorvscPacket.request(.resetBus).store(into: &$0) }
    for (type, flags, payload) in [
      (11, 0, request), (7, 1, request), (6, 0, request), (6, 1, Array(request[..<8])), (9, 3, request),
    ] as [(UInt16, UInt16, [UInt8])] {
      let guest = try guest(at: .ready)
      #expect(guest.primary.transact(type: type, id: 1, flags: flags, payload).isEmpty)
      #expect(guest.primary.endpoint.fault != nil)
      // Nothing is answered any more.
      #expect(guest.primary.transact(type: 6, id: 2, request).isEmpty)
      guest.primary.endpoint.close()
      guest.session.end()
    }
  }

  @Test func reopening() throws {
    let controller = try SCSIController.with(TestDisk(byteCount: 1 << 20))
    let guest = try TestGuest(controller)
    guest.start()
    guest.primary.endpoint.close()
    // The same session opened again starts from the beginning.
    let again = try TestChannel(guest.session, index: 0, ringByteCount: 65536)
    #expect(guest.step(.endInitialization, on: again).status == .invalidDeviceState)
    #expect(guest.step(.beginInitialization, on: again).status == .success)
    again.endpoint.close()
    guest.session.end()
    #expect(controller.sessions.isEmpty)
  }
}
