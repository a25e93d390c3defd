import Ethernet
import NetvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct OffloadTests {
  let offloads = TransmitOffloads(NDISOffload.full())
  static let ethernet = hex("00155d01 02030015 5d0a0b0c")

  /// A whole TCP frame over IPv6, fd00::2 to fd00::1, real lengths and a seed with length.
  static func frame6(payload: Int) -> [UInt8] {
    let addresses = hex("fd00 [13] 02 fd00 [13] 01")
    let length = 20 + payload
    var frame = ethernet + hex("86dd 60000000") + [UInt8(length >> 8), UInt8(length & 255), 6, 64] + addresses
    frame += hex("9c401451 01020304 05060708 50180200 00000000") + [UInt8](repeating: 0x55, count: payload)
    let headers = FrameHeaders(parsing: frame)!
    let seed = headers.pseudoHeaderSum(frame, protocolNumber: 6, layer4ByteCount: length)
    frame.withMutableBytes { $0.storeBE(seed, at: 70) }
    return frame
  }

  private func header(_ bytes: some Collection<UInt8>) -> VirtioNetHeader {
    VirtioNetHeader(low: Array(bytes).le64(at: 0), high: Array(bytes).le16(at: 8))
  }

  private func bytes(_ header: VirtioNetHeader) -> [UInt8] {
    encoded {
      $0.storeLE(header.low, at: 0)
      $0.storeLE(header.high, at: 8)
      return 12
    }
  }

  private func plan(_ offload: FrameOffload, _ frame: inout [UInt8], _ byteCount: Int? = nil) -> TransmitOffloads.Plan {
    let count = byteCount ?? frame.count
    return frame.withMutableBytes { offloads.plan(offload, headers: &$0, frameByteCount: count) }
  }

  private func transmit(
    _ information: PacketInformation, _ frame: inout [UInt8], _ byteCount: Int? = nil
  ) throws(NetvscError) -> FrameOffload {
    let count = byteCount ?? frame.count
    return try frame.withMutableBytes { (span) throws(NetvscError) in
      try information.transmitOffload(headers: &span, frameByteCount: count)
    }
  }

  private func receive(
    _ checksum: ReceiveChecksum, _ frame: inout [UInt8], _ byteCount: Int? = nil, mtu: Int = 1500
  ) -> FrameOffload {
    let count = byteCount ?? frame.count
    var information = PacketInformation()
    information.checksum = checksum.rawValue
    return frame.withMutableBytes { information.receiveOffload(headers: &$0, frameByteCount: count, mtu: mtu) }
  }

  @Test func pseudoHeaderSums() throws {
    let frame = Array(NetvscVectors.g35[60...])
    let headers = FrameHeaders(parsing: frame)!
    func sum(_ count: Int) -> UInt16 {
      headers.pseudoHeaderSum(frame, protocolNumber: 6, layer4ByteCount: count)
    }
    #expect(sum(0) == 0x14a3 && sum(24) == 0x14bb && sum(4420) == 0x25e7)
    let six = OffloadTests.frame6(payload: 0)
    let headers6 = FrameHeaders(parsing: six)!
    #expect(headers6.pseudoHeaderSum(six, protocolNumber: 6, layer4ByteCount: 0) == 0xfa0a)
    #expect(headers6.pseudoHeaderSum(six, protocolNumber: 6, layer4ByteCount: 4420) == 0x0b4f)
    var copy = frame
    copy.withMutableBytes { headers.storeIPChecksum(into: &$0) }
    #expect(copy == frame && Array(frame[24..<26]) == [0x13, 0xfc])
    copy[16] = 0x11
    copy[17] = 0x58
    copy.withMutableBytes { headers.storeIPChecksum(into: &$0) }
    #expect(Array(copy[24..<26]) == [0x02, 0xd0])
  }

  @Test func words() {
    #expect(TransmitChecksum(ipv6: false, udp: false, layer4Offset: 34).rawValue == 0x0022_0005)
    #expect(TransmitChecksum(ipv6: true, udp: true, layer4Offset: 54).rawValue == 0x0036_000a)
    #expect(LargeSendOffload(ipv6: false, segmentByteCount: 1460, layer4Offset: 34).rawValue == 0x4220_05b4)
    #expect(LargeSendOffload(ipv6: true, segmentByteCount: 1440, layer4Offset: 54).rawValue == 0xc360_05a0)
    #expect(PacketVLAN(tagControl: 0x6064).rawValue == 0x643)
    for tag in UInt16.min...UInt16.max where PacketVLAN(tagControl: tag).tagControl != tag {
      Issue.record("tag \(tag)")
    }
    #expect(PacketVLAN(tagControl: 0x1000).rawValue == 8)
  }

  @Test func checksumFrame() throws {
    var frame = Array(NetvscVectors.g35[60...])
    let original = frame
    let offload = try #require(FrameOffload(header(NetvscVectors.g36), frameByteCount: frame.count))
    #expect(offload == FrameOffload(checksum: .partial(start: 34, offset: 16)))
    guard case .send(let information) = plan(offload, &frame) else { return #expect(Bool(false)) }
    #expect(information.bytes == Array(NetvscVectors.g35[44..<60]) && frame == original)
    // The host's side: the same frame, the same TAP header.
    #expect(try transmit(information, &frame) == offload)
    #expect(frame == original && bytes(VirtioNetHeader(offload)) == NetvscVectors.g36)
    // A seed of zero, as DPDK leaves it, is computed.
    frame[50] = 0
    frame[51] = 0
    #expect(try transmit(information, &frame) == offload)
    #expect(frame == original)
    let done = frame.withMutableBytes { InternetChecksum.complete(&$0, offload) }
    #expect(done == FrameOffload(checksum: .verified) && Array(frame[50..<52]) == [0x54, 0x00])
  }

  @Test func largeFrame() throws {
    let byteCount = 4454
    var frame = Array(NetvscVectors.g37[12...])
    let original = frame
    var offload = try #require(FrameOffload(header(NetvscVectors.g37), frameByteCount: byteCount))
    #expect(offload.segmentation == .tcp4(segmentByteCount: 1460, headerByteCount: 54))
    offload.vlan = 0x6064
    guard case .send(let information) = plan(offload, &frame, byteCount) else { return #expect(Bool(false)) }
    #expect(frame == Array(NetvscVectors.g38[76...]))
    let head = encoded {
      RNDISPacket(informationByteCount: information.byteCount, dataByteCount: byteCount).store(into: &$0)
      return 44 + information.store(into: &$0)
    }
    #expect(head == Array(NetvscVectors.g38[..<76]))
    #expect(try transmit(information, &frame, byteCount) == offload)
    #expect(frame == original)
    // What DPDK sends: the application's length, no checksum, no seed.
    frame.replaceSubrange(16..<18, with: [0, 0])
    frame.replaceSubrange(24..<26, with: [0, 0])
    frame.replaceSubrange(50..<52, with: [0, 0])
    #expect(try transmit(information, &frame, byteCount) == offload)
    #expect(frame == original)
    // With the tag in the frame the TAP's offsets grow.
    #expect(bytes(VirtioNetHeader(offload)) == Array(NetvscVectors.g39[..<12]))
    let tagged = try #require(FrameOffload(header(NetvscVectors.g39), frameByteCount: byteCount + 4))
    #expect(tagged.removingTag(0x6064) == offload && offload.insertingTag() == tagged)
  }

  @Test func largeFrame6() throws {
    var frame = OffloadTests.frame6(payload: 4000)
    let original = frame
    let offload = FrameOffload(
      checksum: .partial(start: 54, offset: 16), segmentation: .tcp6(segmentByteCount: 1440, headerByteCount: 74))
    guard case .send(let information) = plan(offload, &frame) else { return #expect(Bool(false)) }
    #expect(information.largeSend?.rawValue == 0xc360_05a0)
    #expect(Array(frame[18..<20]) == [0, 0] && Array(frame[70..<72]) == [0xfa, 0x0a])
    #expect(try transmit(information, &frame) == offload)
    #expect(frame == original)
  }

  @Test func framesThatTheHostDoesNotHelpWith() {
    let partial = FrameOffload(checksum: .partial(start: 34, offset: 16))
    func isComplete(_ frame: [UInt8], _ offload: FrameOffload, _ offered: TransmitOffloads) -> Bool {
      var frame = frame
      let count = frame.count
      let plan = frame.withMutableBytes { offered.plan(offload, headers: &$0, frameByteCount: count) }
      if case .complete(let information) = plan { return information.checksum == nil }
      return false
    }
    let frame = Array(NetvscVectors.g35[60...])
    #expect(!isComplete(frame, partial, offloads))
    #expect(isComplete(frame, partial, TransmitOffloads()))
    #expect(isComplete(frame, FrameOffload(checksum: .partial(start: 35, offset: 16)), offloads))
    #expect(isComplete(frame, FrameOffload(checksum: .partial(start: 34, offset: 6)), offloads))
    for (offset, value) in [(12, UInt8(0x81)), (20, 0x20), (23, 132), (14, 0x46)] {
      var other = frame
      other[offset] = value
      #expect(isComplete(other, partial, offloads), "byte \(offset)")
    }
    var large = partial
    large.segmentation = .tcp4(segmentByteCount: 1460, headerByteCount: 54)
    var head = frame
    #expect(plan(large, &head, 62_781) == .segment && head == frame)
    large.segmentation = .tcp6(segmentByteCount: 1460, headerByteCount: 54)
    #expect(plan(large, &head, 4000) == .segment && head == frame)
    #expect(plan(.plain, &head) == .send(PacketInformation()))
  }

  @Test func capabilitiesAsLinuxReadsThem() {
    #expect(offloads.tcp4 && offloads.udp4 && offloads.tcp6 && offloads.udp6)
    #expect(offloads.largeSend4ByteCount == 62_780 && offloads.largeSend6ByteCount == 62_780)
    var offered = NDISOffload.full()
    offered.transmit4.features.remove(.tcpOptions)
    offered.transmit6.features.remove(.ipOptions)
    var read = TransmitOffloads(offered)
    #expect(!read.tcp4 && !read.tcp6 && read.udp4 && read.largeSend4ByteCount == 0 && read.largeSend6ByteCount == 0)
    offered = .full()
    offered.largeSend6Options = .tcpOptions
    offered.largeSend4.encapsulation = .null
    read = TransmitOffloads(offered)
    #expect(read.tcp4 && read.largeSend4ByteCount == 0 && read.largeSend6ByteCount == 0)
    #expect(TransmitOffloads(NDISOffload()) == TransmitOffloads())
  }

  @Test func badTransmitRequests() {
    let frame = Array(NetvscVectors.g37[12...])
    func error(_ word: UInt32, _ byteCount: Int = 4454, change: (inout [UInt8]) -> Void = { _ in }) -> NetvscError? {
      var frame = frame
      change(&frame)
      var information = PacketInformation()
      information.largeSend = LargeSendOffload(rawValue: word)
      do throws(NetvscError) {
        _ = try transmit(information, &frame, byteCount)
        return nil
      } catch {
        return error
      }
    }
    #expect(error(0x4220_05b4) == nil)
    #expect(error(0x4000_05b4) == nil)
    #expect(error(0x0220_05b4) == .frame(.segmentSize))
    #expect(error(0x4220_0000) == .frame(.segmentSize))
    #expect(error(0x4221_0000) == .frame(.segmentSize))
    #expect(error(0xc220_05b4) == .frame(.notIP))
    #expect(error(0x4230_05b4) == .frame(.layer4Offset))
    #expect(error(0x4220_05b4, 34) == .frame(.layer4Offset))
    #expect(error(0x4220_05b4, 53) == .frame(.notTCP))
    #expect(error(0x4220_05b4, 65_550) == .frame(.segmentSize))
    #expect(error(0x4220_05b4, 65_549) == nil)
    #expect(error(0x4220_05b4) { $0[23] = 17 } == .frame(.notTCP))
    #expect(error(0x4220_05b4) { $0[46] = 0x40 } == .frame(.notTCP))
    #expect(error(0x4220_05b4) { $0[46] = 0x60 } == .frame(.notTCP))
    #expect(error(0x4220_05b4) { $0.removeLast() } == .frame(.notTCP))
    #expect(error(0x4220_05b4) { $0[20] = 0x20 } == .frame(.notTCP))
    #expect(error(0x4220_05b4) { $0[14] = 0x44 } == .frame(.notIP))
  }

  @Test func checksumRequests() throws {
    // UDP in a frame with padding: the sum of the pseudo-header has the length that IP says.
    var frame = OffloadTests.ethernet + hex("0800 45000020 12340000 40110000 0a4d0002 0a4d0001")
    frame += hex("14511451 000c0000 61626364 [14]")
    #expect(frame.count == 60)
    var information = PacketInformation()
    information.checksum = TransmitChecksum(ipv6: false, udp: true, layer4Offset: 0, ipHeader: true).rawValue
    #expect(try transmit(information, &frame) == FrameOffload(checksum: .partial(start: 34, offset: 6)))
    let headers = FrameHeaders(parsing: frame)!
    #expect(InternetChecksum.sum(frame, 14..<34) == 0xffff)
    #expect(
      frame.be16(at: 40) == headers.pseudoHeaderSum(frame, protocolNumber: 17, layer4ByteCount: 12))
    information.checksum = TransmitChecksum(ipv6: true, udp: true, layer4Offset: 34).rawValue
    #expect(throws: NetvscError.frame(.notIP)) { try transmit(information, &frame) }
    information.checksum = TransmitChecksum(ipv6: false, udp: true, layer4Offset: 33).rawValue
    #expect(throws: NetvscError.frame(.layer4Offset)) { try transmit(information, &frame) }
    var short = Array(frame[..<41])
    information.checksum = TransmitChecksum(ipv6: false, udp: true, layer4Offset: 34).rawValue
    #expect(throws: NetvscError.frame(.layer4Offset)) { try transmit(information, &short) }
    // No request for anything leaves the frame alone.
    var arp = Array(NetvscVectors.g34[44...])
    information.checksum = 1
    #expect(try transmit(information, &arp) == .plain)
  }

  @Test func receivedFrames() throws {
    let frame = Array(NetvscVectors.g35[60...])
    var head = frame
    #expect(receive([], &head) == .plain)
    #expect(receive([.tcpSucceeded, .ipSucceeded], &head) == FrameOffload(checksum: .verified))
    #expect(receive([.tcpSucceeded, .ipFailed], &head) == .plain)
    #expect(receive([.tcpFailed], &head) == .plain)
    #expect(head == frame)
    let verified = FrameOffload(checksum: .verified)
    head[50] = 0x54
    head[51] = 0
    let seeded = head.withMutableBytes { verified.seeding(headers: &$0, frameByteCount: frame.count) }
    #expect(seeded == FrameOffload(checksum: .partial(start: 34, offset: 16)) && head == frame)
    // Nothing to seed: padding, a fragment, UDP without a checksum, no IP.
    func seeding(_ bytes: [UInt8], _ byteCount: Int) -> FrameOffload {
      var copy = bytes
      let result = copy.withMutableBytes { verified.seeding(headers: &$0, frameByteCount: byteCount) }
      #expect(copy == bytes)
      return result
    }
    #expect(seeding(frame, frame.count + 2) == .plain)
    var fragment = frame
    fragment[20] = 0x20
    #expect(seeding(fragment, frame.count) == .plain)
    var udp = frame
    udp[23] = 17
    udp[40] = 0
    udp[41] = 0
    #expect(seeding(udp, frame.count) == .plain)
    #expect(seeding(Array(NetvscVectors.g34[44...]), 60) == .plain)
  }

  @Test func coalescedFrames() throws {
    // IP and TCP fields as a coalescing host may leave them.
    var head = Array(NetvscVectors.g37[12...])
    let original = head
    head.replaceSubrange(24..<26, with: [9, 9])
    head.replaceSubrange(50..<52, with: [9, 9])
    let offload = receive(
      [.tcpSucceeded, .ipSucceeded, .tcpValueInvalid, .ipValueInvalid], &head, 4454)
    #expect(
      offload
        == FrameOffload(
          checksum: .partial(start: 34, offset: 16),
          segmentation: .tcp4(segmentByteCount: 1460, headerByteCount: 54)))
    #expect(head == original)
    #expect(bytes(VirtioNetHeader(offload)) == Array(NetvscVectors.g37[..<12]))
    var six = OffloadTests.frame6(payload: 4000)
    let original6 = six
    #expect(
      receive([.tcpSucceeded], &six, mtu: 9000) == FrameOffload(checksum: .verified))
    #expect(
      receive([.tcpSucceeded], &six)
        == FrameOffload(
          checksum: .partial(start: 54, offset: 16),
          segmentation: .tcp6(segmentByteCount: 1440, headerByteCount: 74)))
    #expect(six == original6)
    // Lengths that the IP header does not confirm.
    var stated = original
    #expect(receive([.tcpSucceeded], &stated, 4000) == FrameOffload(checksum: .verified))
    #expect(stated == original)
  }

  @Test func informationForAGuest() {
    let frame = Array(NetvscVectors.g35[60...])
    var offload = FrameOffload(checksum: .verified, vlan: 5, flowHash: 0x5285_a943)
    var information = PacketInformation(receiving: offload, headers: frame, hashInfo: [.toeplitz, .tcp4])
    #expect(information.checksum == 0x28 && information.vlan?.tagControl == 5)
    #expect(information.flowHash == 0x5285_a943 && information.hashInfo?.rawValue == 0x201)
    offload.checksum = .complete
    offload.vlan = nil
    information = PacketInformation(receiving: offload, headers: frame)
    #expect(information == PacketInformation())
    let six = OffloadTests.frame6(payload: 0)
    let seen = PacketInformation(receiving: FrameOffload(checksum: .verified), headers: six)
    #expect(seen.checksum == ReceiveChecksum.tcpSucceeded.rawValue)
    let arp = Array(NetvscVectors.g34[44...])
    #expect(PacketInformation(receiving: FrameOffload(checksum: .verified), headers: arp).checksum == nil)
  }

  @Test func mutatedFrames() {
    var generator = SeededGenerator(seed: 41)
    let frames = [Array(NetvscVectors.g35[60...]), Array(NetvscVectors.g37[12...]), OffloadTests.frame6(payload: 10)]
    let hash = ToeplitzHash(key: ToeplitzHash.linuxKey)!
    var accepted = 0
    for _ in 0..<30_000 {
      var frame = generator.mutation(of: frames.randomElement(using: &generator)!)
      let count = [frame.count, frame.count + 3000, Int.random(in: 0..<70_000, using: &generator)]
        .randomElement(using: &generator)!
      var information = PacketInformation()
      let word = UInt32.random(in: 0...UInt32.max, using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: information.largeSend = LargeSendOffload(rawValue: word)
      case 1: information.checksum = word
      case 2: information.checksum = word & 0x1f
      default: information.largeSend = LargeSendOffload(rawValue: [0x4220_05b4, 0xc360_05a0][Int(word & 1)])
      }
      _ = hash.hash(of: frame, types: .standard)
      if let offload = try? transmit(information, &frame, count) {
        accepted += 1
        if case .partial(let start, let offset) = offload.checksum {
          #expect(Int(start) + Int(offset) + 2 <= min(frame.count, count))
        }
        // What the host makes of a frame, a TAP must take, and a guest can ask for.
        #expect(FrameOffload(VirtioNetHeader(offload), frameByteCount: count) == offload)
        _ = plan(offload, &frame, count)
      }
      let received = receive(ReceiveChecksum(rawValue: word & 0x1ff), &frame, count)
      if case .partial = received.checksum {
        #expect(FrameOffload(VirtioNetHeader(received), frameByteCount: count) == received)
      }
      let seeded = frame.withMutableBytes {
        FrameOffload(checksum: .verified).seeding(headers: &$0, frameByteCount: count)
      }
      #expect(FrameOffload(VirtioNetHeader(seeded), frameByteCount: count) == seeded)
    }
    #expect(accepted > 3_000)
  }
}
