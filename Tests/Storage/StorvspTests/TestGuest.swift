import Block
import LinuxIO
import SCSI
import SharedMemory
import StorvscProtocol
@testable import Storvsp
import Synchronization
import Testing
import VMBusChannel
import VMBusProtocol
import VMBusRing
import WireBytes

/// A guest that has one controller open: rings that it writes byte by byte, and a piece of memory.
final class TestGuest {
  let controller: SCSIController
  let session: any HostDeviceSession
  let memory: GuestMemory
  let region: MemoryRegion
  let primary: TestChannel
  let offered: Box
  var version = StorvscVersion.v6_2
  private var nextID: UInt64 = 1

  /// Where `region` lies.
  static let base: UInt64 = 0x10_0000

  final class Box: Sendable {
    let counts = Mutex<[Int]>([])
  }

  init(
    _ controller: SCSIController, id: UInt64 = 1, ranges: [GuestMemory.Range] = [], ringByteCount: Int = 64 * 1024
  ) throws {
    self.controller = controller
    region = try MemoryRegion(anonymous: 4 << 20)
    memory = GuestMemory([GuestMemory.Range(guestAddress: Self.base, region: region)] + ranges)
    let box = Box()
    offered = box
    session = try controller.makeSession(
      for: GuestContext(guestID: id, memory: memory) { count in box.counts.withLock { $0.append(count) } })
    primary = try TestChannel(session, index: 0, ringByteCount: ringByteCount)
  }

  func openSubChannel(_ index: Int) throws -> TestChannel {
    try TestChannel(session, index: index, ringByteCount: 64 * 1024)
  }

  /// Brings the controller up.
  func start(_ version: StorvscVersion = .v6_2) {
    #expect(step(.beginInitialization).status == .success)
    #expect(step(.queryProtocolVersion, Self.word(version.rawValue)).status == .success)
    #expect(step(.queryProperties).status == .success)
    #expect(step(.endInitialization).status == .success)
    self.version = version
  }

  static func word(_ value: UInt16) -> [UInt8] { [UInt8(value & 0xff), UInt8(value >> 8)] }

  /// A step of the initialization; `payload` stands behind the header.
  @discardableResult
  func step(_ operation: StorvscOperation, _ payload: [UInt8] = [], byteCount: Int = 64, on channel: TestChannel? = nil)
    -> (status: NTStatus, bytes: [UInt8])
  {
    let packet = [UInt8](zeroed: byteCount) { bytes in
      StorvscPacket.request(operation).store(into: &bytes)
      bytes.store(payload.rawSpan, at: 12)
    }
    let answer = (channel ?? primary).transact(type: 6, id: 0xffff_ffff_ffff_fffd, packet)
    guard answer.count >= 28 else { return (NTStatus(rawValue: 0xdead_beef), []) }
    let body = Array(answer[16...])
    return (NTStatus(rawValue: body.rawSpan.le32(at: 8)), body)
  }

  /// What a command ended with.
  struct Result {
    var completion: SCSIRequest
    var header: NTStatus
    var data: [UInt8]
    var isGood: Bool { completion.srbStatus == .success && completion.scsiStatus == .good && header == .success }
    var sense: SenseData? { completion.sense }
  }

  /// Runs a command. Its data lie at `offset` of the guest's memory.
  @discardableResult
  func run(
    _ cdb: [UInt8], lun: UInt8 = 0, target: UInt8 = 0, path: UInt8 = 0, out: [UInt8]? = nil, in count: Int = 0,
    offset: Int = 0, direction: DataDirection? = nil, on channel: TestChannel? = nil
  ) -> Result {
    let id = submit(
      cdb, lun: lun, target: target, path: path, out: out, in: count, offset: offset, direction: direction, on: channel)
    (channel ?? primary).endpoint.run()
    guard let answer = (channel ?? primary).receiveCompletion() else {
      Issue.record("no answer")
      return Result(completion: .success(dataByteCount: 0), header: .cancelled, data: [])
    }
    #expect(answer.rawSpan.le64(at: 8) == id)
    return result(answer, offset: offset)
  }

  func result(_ answer: [UInt8], offset: Int = 0) -> Result {
    let body = Array(answer[16...])
    let completion = try! SCSIRequest(parsing: body.rawSpan, version: version)
    return Result(
      completion: completion, header: NTStatus(rawValue: body.rawSpan.le32(at: 8)),
      data: region.slice.slice(at: offset, count: min(1 << 20, Int(completion.dataTransferByteCount))).bytes())
  }

  /// Writes a command into the ring, and answers its id.
  @discardableResult
  func submit(
    _ cdb: [UInt8], lun: UInt8 = 0, target: UInt8 = 0, path: UInt8 = 0, out: [UInt8]? = nil, in count: Int = 0,
    offset: Int = 0, direction: DataDirection? = nil, on channel: TestChannel? = nil
  ) -> UInt64 {
    let length = out?.count ?? count
    if let out { region.slice.copyIn(out.rawSpan, at: offset) }
    var request = SCSIRequest(
      CommandDescriptorBlock(cdb.rawSpan)!, lun: lun,
      direction: direction ?? (out != nil ? .write : count > 0 ? .read : .none), dataByteCount: UInt32(length))
    request.targetID = target
    request.pathID = path
    let version = version
    let payload = [UInt8](zeroed: version.packetByteCount) { bytes in
      StorvscPacket.request(.executeSRB).store(into: &bytes)
      request.store(into: &bytes, version: version)
    }
    nextID += 1
    let id = nextID
    (channel ?? primary).send(
      type: length > 0 ? 9 : 6, id: id,
      extra: length > 0 ? Self.range(at: Self.base + UInt64(offset), byteCount: length) : [], payload)
    return id
  }

  /// The extra words of a GPA-direct packet.
  static func range(at address: UInt64, byteCount: Int) -> [UInt64] {
    let offset = address & 4095
    let pages = (offset + UInt64(byteCount) + 4095) / 4096
    return [1 << 32, offset << 32 | UInt64(byteCount)] + (0..<pages).map { address >> 12 + $0 }
  }
}

/// One channel: the guest's end as plain rings, the host's as an endpoint.
final class TestChannel {
  let toHost: MemoryRegion
  let toGuest: MemoryRegion
  let endpoint: any HostEndpoint
  private var out: OutgoingRing
  private var input: IncomingRing
  /// ENUMERATE_BUS notices that came.
  private(set) var noticeCount = 0
  private var buffer = [UInt8](repeating: 0, count: 8192)

  init(_ session: any HostDeviceSession, index: Int, ringByteCount: Int) throws {
    toHost = try MemoryRegion(anonymous: ringByteCount)
    toGuest = try MemoryRegion(anonymous: ringByteCount)
    OutgoingRing.initialize(toHost.slice)
    OutgoingRing.initialize(toGuest.slice)
    out = try OutgoingRing(toHost.slice)
    input = try IncomingRing(toGuest.slice)
    let channel = try Channel(
      relid: UInt32(index + 1), outgoing: toGuest.slice, incoming: toHost.slice, acceptedTypes: .fromGuest,
      doorbell: SilentDoorbell(), waitDescriptor: -1)
    endpoint = try session.openEndpoint(on: channel, index: index)
  }

  /// A packet without its trailer.
  static func packet(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) -> [UInt8] {
    let head = 16 + 8 * extra.count
    let total = (head + payload.count + 7) & ~7
    return [UInt8](zeroed: total) { bytes in
      bytes.storeLE(type, at: 0)
      bytes.storeLE(UInt16(head / 8), at: 2)
      bytes.storeLE(UInt16(total / 8), at: 4)
      bytes.storeLE(flags, at: 6)
      bytes.storeLE(id, at: 8)
      for (index, word) in extra.enumerated() { bytes.storeLE(word, at: 16 + 8 * index) }
      bytes.store(payload.rawSpan, at: head)
    }
  }

  func send(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) {
    #expect(sendRaw(Self.packet(type: type, id: id, flags: flags, extra: extra, payload)))
  }

  @discardableResult
  func sendRaw(_ packet: [UInt8]) -> Bool {
    guard let written = try? out.write(packet.rawSpan) else { return false }
    _ = out.publish()
    return written
  }

  /// The next packet from the host without its trailer.
  func receive() -> [UInt8]? {
    var count = 0
    buffer.withMutableBytes { bytes in count = (try? input.read(into: &bytes)) ?? -1 }
    _ = try? input.release()
    return count > 0 ? Array(buffer[..<count]) : nil
  }

  /// The next completion; notices in front of it are counted.
  func receiveCompletion() -> [UInt8]? {
    while let packet = receive() {
      if packet[0] == 11 { return packet }
      if packet[0] == 6, packet[16] == 11 { noticeCount += 1 }
    }
    return nil
  }

  /// Sends, runs the host, and answers what came; empty without an answer.
  func transact(type: UInt16, id: UInt64, flags: UInt16 = 1, extra: [UInt64] = [], _ payload: [UInt8]) -> [UInt8] {
    send(type: type, id: id, flags: flags, extra: extra, payload)
    endpoint.run()
    return receiveCompletion() ?? []
  }

  /// Bytes of the host's ring.
  func hostRing(at position: Int, count: Int) -> [UInt8] {
    toGuest.slice.slice(at: 4096 + position, count: count).bytes()
  }
}

extension SCSIController {
  /// A controller with one disk at LUN 0.
  static func with(_ disk: TestDisk, _ change: (inout SCSIControllerOptions) -> Void = { _ in }) throws
    -> SCSIController
  {
    var options = SCSIControllerOptions()
    change(&options)
    let controller = SCSIController(instance: GUID(1, 2, 3, 4), options: options)
    try controller.addDisk(lun: 0, device: disk)
    return controller
  }
}
