import Ethernet
import LinuxIO
import NetvscProtocol
@testable import Netvsp
import SharedMemory
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// A guest that has one NIC open: rings that it writes byte by byte, and memory with the two buffers in it.
final class TestGuest {
  /// Page lists by number, and the mappings of them that the host holds.
  final class Lists: Sendable {
    struct Entry {
      var slice: MemorySlice
      var live = 0
      var mappings: [WeakMapping] = []
    }
    struct WeakMapping { weak var mapping: GPADLMapping? }

    let entries = Mutex<[UInt32: Entry]>([:])
    let offered = Mutex<[Int]>([])

    func live(_ gpadl: UInt32) -> Int { entries.withLock { $0[gpadl]?.live ?? 0 } }

    func revoke(_ gpadl: UInt32) {
      let mappings = entries.withLock { $0[gpadl]?.mappings.compactMap(\.mapping) ?? [] }
      for mapping in mappings { mapping.revoke() }
    }
  }

  static let base: UInt64 = 0x10_0000
  static let receiveList: UInt32 = 0xe1e10
  static let sendList: UInt32 = 0xe1e11
  /// Where the buffers and a page for messages lie.
  static let sendOffset = 1 << 20
  static let receiveOffset = 4 << 20

  let nic: SyntheticNIC
  let port: TestPort
  let lists = Lists()
  let region: MemoryRegion
  let session: any HostDeviceSession
  var primary: TestChannel
  var version = NVSPVersion.v6_1
  var section = NVSPReceiveSection(bufferByteCount: 0, subAllocationByteCount: 1)
  var sendSectionByteCount = 0
  /// Packets of the host that were read while something else was looked for.
  var kept: [[UInt8]] = []
  /// Transfer-pages packets of the host that are not completed yet.
  var held: [[UInt8]] = []
  var nextID: UInt64 = 100
  var nextRequestID: UInt32 = 1

  init(_ nic: SyntheticNIC, id: UInt64 = 1, receiveByteCount: Int = 4 << 20, ringByteCount: Int = 64 << 10) throws {
    self.nic = nic
    port = try #require(nic.port as? TestPort)
    region = try MemoryRegion(anonymous: Self.receiveOffset + receiveByteCount)
    let memory = GuestMemory([GuestMemory.Range(guestAddress: Self.base, region: region)])
    let (lists, slice) = (lists, region.slice)
    lists.entries.withLock { entries in
      entries[Self.receiveList] = Lists.Entry(slice: slice.slice(at: Self.receiveOffset, count: receiveByteCount))
      entries[Self.sendList] = Lists.Entry(slice: slice.slice(at: Self.sendOffset, count: 1 << 20))
    }
    let region = region
    session = try nic.makeSession(
      for: GuestContext(
        guestID: id, memory: memory, offerSubChannels: { count in lists.offered.withLock { $0.append(count) } },
        mapGPADL: { gpadl throws(ChannelError) in
          let slice: MemorySlice? = lists.entries.withLock { entries in
            entries[gpadl]?.live += 1
            return entries[gpadl]?.slice
          }
          guard let slice else { throw .protocolFault("no list") }
          let mapping = GPADLMapping(slice, owner: region) { lists.entries.withLock { $0[gpadl]?.live -= 1 } }
          lists.entries.withLock { $0[gpadl]?.mappings.append(Lists.WeakMapping(mapping: mapping)) }
          return mapping
        }))
    primary = try TestChannel(session, index: 0, ringByteCount: ringByteCount)
  }

  /// A NIC and a guest of it.
  static func make(
    queues: Int = 4, receiveByteCount: Int = 4 << 20, ringByteCount: Int = 64 << 10,
    _ change: (inout SyntheticNICOptions) -> Void = { _ in }
  ) throws -> TestGuest {
    var options = SyntheticNICOptions()
    change(&options)
    let nic = SyntheticNIC(
      instance: GUID(1, 2, 3, 4), address: MACAddress("00:15:5d:0a:0b:0c")!,
      port: TestPort(maximumQueueCount: queues), options: options)
    return try TestGuest(nic, receiveByteCount: receiveByteCount, ringByteCount: ringByteCount)
  }

  var queue: TestQueue { port.queues.last { !$0.isClosed }! }
  func id() -> UInt64 {
    nextID += 1
    return nextID
  }

  // MARK: NVSP

  /// Sends an in-band message, and answers the completion: the whole packet.
  @discardableResult
  func nvsp(_ request: NVSPRequest, flags: UInt16 = 1, byteCount: Int = 40) -> [UInt8] {
    let bytes = [UInt8](zeroed: 128) { _ = request.store(into: &$0, byteCount: byteCount) }
    return primary.transact(type: 6, id: id(), flags: flags, Array(bytes[..<byteCount]))
  }

  func completion(_ packet: [UInt8]) -> NVSPCompletion? {
    guard packet.count >= 16 else { return nil }
    return try? NVSPCompletion(parsing: packet.rawSpan.extracting(droppingFirst: 16))
  }

  /// Brings the channel up to the buffers, as a stock guest does.
  func negotiate(
    _ version: NVSPVersion = .v6_1, mtu: Int = 1500, capabilities: UInt64? = nil, sendBuffer: Bool = true
  ) {
    self.version = version
    let first = completion(nvsp(.initialize(lowest: version, highest: version)))
    #expect(first == .initialize(.success, for: version))
    if version.hasConfiguration {
      let said = capabilities ?? NVSPConfiguration.Capabilities.synthetic(at: version).rawValue
      let configuration = NVSPConfiguration(
        frameByteCount: UInt32(mtu + 14), capabilities: NVSPConfiguration.Capabilities(rawValue: said))
      #expect(nvsp(.configuration(configuration), flags: 0).isEmpty)
    }
    #expect(nvsp(.ndisVersion(version.ndisVersion), flags: 0).isEmpty)
    let receive = completion(nvsp(.receiveBuffer(NVSPBuffer(gpadl: Self.receiveList, id: 0xcafe))))
    guard case .receiveBuffer(.success, let section?)? = receive else {
      Issue.record("the receive buffer was refused: \(String(describing: receive))")
      return
    }
    self.section = section
    guard sendBuffer else { return }
    let send = completion(nvsp(.sendBuffer(NVSPBuffer(gpadl: Self.sendList, id: 0))))
    guard case .sendBuffer(.success, let size)? = send else {
      Issue.record("the send buffer was refused: \(String(describing: send))")
      return
    }
    sendSectionByteCount = Int(size)
  }

  // MARK: RNDIS control

  /// Sends a control message by GPA-direct from a page of its own, and answers the reply, which is completed.
  @discardableResult
  func control(_ message: [UInt8], expectsReply: Bool = true) -> [UInt8] {
    sendControl(message)
    primary.endpoint.run()
    var completions = 0
    var replies: [[UInt8]] = []
    while let packet = primary.receive() {
      if packet[0] == 11 {
        completions += 1
        #expect(completion(packet) == .rndisPacket(.success))
      } else if packet[0] == 7 {
        replies += ranges(packet)
        complete(packet)
      }
    }
    primary.endpoint.run()
    #expect(completions == 1)
    #expect(replies.isEmpty != expectsReply)
    // The first is the reply, indications follow it.
    indications += replies.dropFirst()
    return replies.first ?? []
  }

  /// INDICATE_STATUS messages that came behind replies.
  var indications: [[UInt8]] = []

  func sendControl(_ message: [UInt8]) {
    region.slice.copyIn(message.rawSpan, at: 136)
    primary.send(
      type: 9, id: id(), extra: Self.range(at: Self.base + 136, byteCount: message.count), Self.rndis(control: true))
  }

  static func rndis(control: Bool, section: UInt32? = nil, byteCount: UInt32 = 0) -> [UInt8] {
    [UInt8](zeroed: 40) {
      NVSPRNDISPacket(control ? .control : .data, sectionIndex: section, sectionByteCount: byteCount).store(into: &$0)
    }
  }

  /// The messages in the ranges of a transfer-pages packet.
  func ranges(_ packet: [UInt8]) -> [[UInt8]] {
    let descriptor = PacketDescriptor(parsing: packet.rawSpan)
    guard descriptor.type == .transferPages,
      let list = try? TransferPageRanges(parsing: packet.rawSpan, descriptor: descriptor)
    else { return [] }
    #expect(list.pageSetID == 0xcafe)
    return (0..<list.count).map { index in
      let range = list[index]
      #expect(range.byteCount <= section.subAllocationByteCount)
      #expect(range.byteOffset % section.subAllocationByteCount == 0)
      return region.slice.slice(at: Self.receiveOffset + Int(range.byteOffset), count: Int(range.byteCount)).bytes()
    }
  }

  /// Gives a transfer-pages packet back.
  func complete(_ packet: [UInt8], on channel: TestChannel? = nil, status: UInt32 = 1) {
    let id = packet.le64(at: 8)
    (channel ?? primary).send(type: 11, id: id, flags: 0, [108, 0, 0, 0, UInt8(status), 0, 0, 0])
  }

  func initialize() {
    let reply = control([UInt8](zeroed: 24) { _ = RNDISMessage.initialize(requestID: 1).storeFields(into: &$0) })
    #expect(reply.le32(at: 0) == 0x8000_0002 && reply.count == 52)
    #expect(reply.le32(at: 12) == 0)
  }

  /// A QUERY: status and bytes.
  func query(_ oid: OID, _ input: [UInt8] = []) -> (status: RNDISStatus, bytes: [UInt8]) {
    nextRequestID += 1
    let message = RNDISMessage.query(
      RNDISRequest(requestID: nextRequestID, oid: oid, informationByteCount: input.count))
    let reply = control([UInt8](zeroed: message.byteCount) { message.store(into: &$0, information: input.rawSpan) })
    guard case .queryComplete(let result)? = try? RNDISMessage(parsing: reply.rawSpan) else {
      Issue.record("no reply to \(oid)")
      return (.failure, [])
    }
    #expect(result.requestID == nextRequestID)
    return (result.status, Array(reply[result.information]))
  }

  @discardableResult
  func set(_ oid: OID, _ input: [UInt8]) -> RNDISStatus {
    nextRequestID += 1
    let message = RNDISMessage.set(RNDISRequest(requestID: nextRequestID, oid: oid, informationByteCount: input.count))
    let reply = control([UInt8](zeroed: message.byteCount) { message.store(into: &$0, information: input.rawSpan) })
    guard case .setComplete(nextRequestID, let status)? = try? RNDISMessage(parsing: reply.rawSpan) else {
      Issue.record("no reply to \(oid)")
      return .failure
    }
    return status
  }

  func setFilter(_ filter: PacketFilter) {
    #expect(set(.currentPacketFilter, [UInt8](zeroed: 4) { $0.storeLE(filter.rawValue, at: 0) }) == .success)
  }

  func halt() {
    control([UInt8](zeroed: 12) { _ = RNDISMessage.halt(requestID: 99).storeFields(into: &$0) }, expectsReply: false)
  }

  /// Everything up to the packet filter.
  func start(_ version: NVSPVersion = .v6_1, mtu: Int = 1500, coalesces: Bool = false) {
    negotiate(version, mtu: mtu)
    initialize()
    if coalesces { self.coalesce() }
    setFilter(.up)
  }

  func coalesce(_ ip4: NDISOffloadParameters.Switch = .on, _ ip6: NDISOffloadParameters.Switch = .on) {
    var parameters = NDISOffloadParameters()
    parameters.coalescing4 = ip4
    parameters.coalescing6 = ip6
    #expect(set(.offloadParameters, [UInt8](zeroed: 28) { parameters.store(into: &$0) }) == .success)
  }

  func end() {
    primary.endpoint.close()
    session.end()
  }
}

extension GPADLMapping {
  /// A mapping of a page that nobody uses.
  static var empty: GPADLMapping {
    let region = try! MemoryRegion(anonymous: 4096)
    return GPADLMapping(region.slice, owner: region)
  }
}
