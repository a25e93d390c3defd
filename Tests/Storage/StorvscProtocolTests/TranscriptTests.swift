import SCSI
import StorvscProtocol
import TestVectors
import Testing
import WireBytes

/// One packet in a ring, as the VMBus reference lays it out: descriptor, payload, trailer.
private func frame(
  type: UInt16, id: UInt64, flags: UInt16, extra: [UInt64] = [], payload: [UInt8], position: UInt32
) -> [UInt8] {
  let head = 16 + 8 * extra.count
  return [UInt8](zeroed: head + payload.count + 8) { bytes in
    bytes.storeLE(type, at: 0)
    bytes.storeLE(UInt16(head / 8), at: 2)
    bytes.storeLE(UInt16((head + payload.count) / 8), at: 4)
    bytes.storeLE(flags, at: 6)
    bytes.storeLE(id, at: 8)
    for (index, word) in extra.enumerated() {
      bytes.storeLE(word, at: 16 + 8 * index)
    }
    bytes.store(payload.rawSpan, at: head)
    bytes.storeLE(position, at: head + payload.count + 4)
  }
}

/// A whole vstor packet.
private func packet(
  _ header: StorvscPacket, _ version: StorvscVersion = .v6_0, _ fill: (inout MutableRawSpan) -> Void = { _ in }
) -> [UInt8] {
  [UInt8](zeroed: version.packetByteCount) { bytes in
    header.store(into: &bytes)
    fill(&bytes)
  }
}

private let initializationID: UInt64 = 0xffff_ffff_ffff_fffd
private let resetID: UInt64 = 0xffff_ffff_ffff_fffc

private func golden(_ name: String) -> GoldenVector {
  GoldenVector.named(name, in: storvscVectors)
}

/// A step of a guest's initialization, or its reset.
private func step(
  _ name: String, _ operation: StorvscOperation, id: UInt64 = initializationID,
  _ fill: (inout MutableRawSpan) -> Void = { _ in }
) -> [UInt8] {
  frame(
    type: 6, id: id, flags: 1, payload: packet(.request(operation), .v6_0, fill), position: golden(name).position)
}

/// A host's answer to a step.
private func answer(
  _ name: String, _ status: NTStatus = .success, id: UInt64 = initializationID,
  _ fill: (inout MutableRawSpan) -> Void = { _ in }
) -> [UInt8] {
  frame(type: 11, id: id, flags: 0, payload: packet(.completion(status), .v6_0, fill), position: golden(name).position)
}

/// A SCSI request, in-band or with one range of guest pages.
private func request(
  _ name: String, id: UInt64, _ request: SCSIRequest, version: StorvscVersion = .v6_0,
  offset: UInt32 = 0, pages: [UInt64] = []
) -> [UInt8] {
  let payload = packet(.request(.executeSRB), version) { request.store(into: &$0, version: version) }
  let range = UInt64(offset) << 32 | UInt64(request.dataTransferByteCount)
  return frame(
    type: pages.isEmpty ? 6 : 9, id: id, flags: 1, extra: pages.isEmpty ? [] : [UInt64(1) << 32, range] + pages,
    payload: payload, position: golden(name).position)
}

/// The completion of a SCSI request.
private func completion(_ name: String, id: UInt64, _ request: SCSIRequest) -> [UInt8] {
  let payload = packet(.completion(request.srbStatus.headerStatus)) { request.store(into: &$0, version: .v6_0) }
  return frame(type: 11, id: id, flags: 0, payload: payload, position: golden(name).position)
}

/// `request` as Linux sends it while it probes a device that is not yet known to queue commands.
private func untagged(_ request: SCSIRequest) -> SCSIRequest {
  var request = request
  request.queueTag = 0
  request.queueAction = 0
  request.flags.remove([.queueActionEnable, .noQueueFreeze])
  return request
}

@Suite struct TranscriptTests {
  @Test func vectorsAreWhole() {
    let all = storvscVectors.split(separator: "\n").map { GoldenVector($0) }
    #expect(all.count == 34)
    for vector in all {
      #expect(vector.bytes.count == vector.count, "\(vector.name)")
      #expect(GoldenVector.crc32(vector.bytes) == vector.checksum, "\(vector.name)")
    }
  }

  @Test func initialization() {
    #expect(step("V01", .beginInitialization) == golden("V01").bytes)
    #expect(answer("V02") == golden("V02").bytes)
    #expect(step("V03", .queryProtocolVersion) { VersionBlock(.v6_2).store(into: &$0) } == golden("V03").bytes)
    #expect(answer("V04", .revisionMismatch) { VersionBlock(.v6_2).store(into: &$0) } == golden("V04").bytes)
    #expect(step("V05", .queryProtocolVersion) { VersionBlock(.v6_0).store(into: &$0) } == golden("V05").bytes)
    #expect(answer("V06") { VersionBlock(.v6_0).store(into: &$0) } == golden("V06").bytes)
    #expect(step("V07", .queryProperties) == golden("V07").bytes)
    let properties = ChannelProperties(maximumSubChannelCount: 3, maximumTransferByteCount: 0x40000)
    #expect(answer("V08") { properties.store(into: &$0) } == golden("V08").bytes)
    #expect(step("V09", .endInitialization) == golden("V09").bytes)
    #expect(answer("V10") == golden("V10").bytes)
    #expect(step("V11", .createSubChannels) { SubChannelCount(3).store(into: &$0) } == golden("V11").bytes)
    #expect(answer("V12") == golden("V12").bytes)
  }

  @Test func resetAndNotice() {
    #expect(step("V29", .resetBus, id: resetID) == golden("V29").bytes)
    #expect(answer("V30", id: resetID) == golden("V30").bytes)
    let notice = frame(
      type: 6, id: 0, flags: 0, payload: packet(StorvscPacket(operation: .enumerateBus)),
      position: golden("V31").position)
    #expect(notice == golden("V31").bytes)
  }

  @Test func requests() {
    let inquiry = SCSIRequest(.inquiry(allocation: 36), lun: 0, direction: .read, dataByteCount: 36)
    #expect(request("V13", id: 1, untagged(inquiry), offset: 0x100, pages: [0x12340]) == golden("V13").bytes)
    let ready = SCSIRequest(.testUnitReady, lun: 0, direction: .none, dataByteCount: 0)
    #expect(request("V15", id: 2, untagged(ready)) == golden("V15").bytes)
    let read = SCSIRequest(.read16(lba: 0x1000, blocks: 16), lun: 0, direction: .read, dataByteCount: 8192)
    #expect(
      request("V17", id: 3, read, offset: 0x200, pages: [0x12345, 0x12399, 0xabcde]) == golden("V17").bytes)
    let write = SCSIRequest(
      .write10(lba: 0x800, blocks: 8, fua: true), lun: 0, direction: .write, dataByteCount: 4096)
    #expect(request("V19", id: 4, write, pages: [0x54321]) == golden("V19").bytes)
    let flush = SCSIRequest(
      CommandDescriptorBlock(GoldenVector.expand("35 [9]").rawSpan)!, lun: 0, direction: .none, dataByteCount: 0)
    #expect(request("V21", id: 5, flush) == golden("V21").bytes)
    let unmap = SCSIRequest(.unmap(listLength: 24), lun: 0, direction: .write, dataByteCount: 24)
    #expect(request("V23", id: 6, unmap, offset: 0x40, pages: [0x777]) == golden("V23").bytes)
    let past = SCSIRequest(.read16(lba: 0x0800_0000, blocks: 8), lun: 0, direction: .read, dataByteCount: 4096)
    #expect(request("V25", id: 7, past, pages: [0x888]) == golden("V25").bytes)
    let absent = SCSIRequest(.testUnitReady, lun: 9, direction: .none, dataByteCount: 0)
    #expect(request("V27", id: 8, untagged(absent)) == golden("V27").bytes)
    var short = SCSIRequest(.read10(lba: 0, blocks: 8), lun: 0, direction: .read, dataByteCount: 4096)
    short.senseByteCount = UInt8(StorvscVersion.v4_2.senseByteCount)
    #expect(request("V32", id: 1, short, version: .v4_2, pages: [0x999]) == golden("V32").bytes)
  }

  @Test func completions() {
    #expect(completion("V14", id: 1, .success(dataByteCount: 36)) == golden("V14").bytes)
    #expect(completion("V16", id: 2, .checkCondition(.capacityChanged)) == golden("V16").bytes)
    #expect(completion("V18", id: 3, .success(dataByteCount: 8192)) == golden("V18").bytes)
    #expect(completion("V20", id: 4, .checkCondition(.writeProtected)) == golden("V20").bytes)
    #expect(completion("V22", id: 5, .success(dataByteCount: 0)) == golden("V22").bytes)
    #expect(completion("V24", id: 6, .success(dataByteCount: 24)) == golden("V24").bytes)
    #expect(completion("V26", id: 7, .checkCondition(.lbaOutOfRange)) == golden("V26").bytes)
    #expect(completion("V28", id: 8, .completion(.invalidLUN, .checkCondition)) == golden("V28").bytes)
  }

  @Test func fibreChannelAndIDE() throws {
    let names = WorldWideNames(
      primaryPortIsActive: true, primaryPort: 0xc003_ff01_0203_0000, primaryNode: 0xc003_ff01_0203_ffff,
      secondaryPort: 0xc003_ff01_0203_0002, secondaryNode: 0xc003_ff01_0203_ffff)
    #expect(answer("V33") { names.store(into: &$0) } == golden("V33").bytes)
    #expect(try WorldWideNames(parsing: Array(golden("V33").bytes[16..<80]).rawSpan) == names)
    let ide = IDEUserData(pathID: 1, targetID: 0)
    let bytes = [UInt8](zeroed: IDEUserData.byteCount) { ide.store(into: &$0) }
    #expect(bytes == golden("D18").bytes)
    #expect(try IDEUserData(parsing: bytes.rawSpan) == ide)
    #expect(throws: StorvscError.tooShort(byteCount: 23, needed: 24)) {
      try IDEUserData(parsing: Array(bytes.dropLast()).rawSpan)
    }
  }

  @Test func parsedBack() throws {
    func payload(_ name: String) -> [UInt8] { Array(golden(name).bytes[16..<80]) }
    let refused = try StorvscPacket(parsing: payload("V04").rawSpan)
    #expect(refused == .completion(.revisionMismatch))
    #expect(try VersionBlock(parsing: payload("V04").rawSpan).version == .v6_2)
    let properties = try ChannelProperties(parsing: payload("V08").rawSpan)
    #expect(properties == ChannelProperties(maximumSubChannelCount: 3, maximumTransferByteCount: 0x40000))
    #expect(properties.flags.contains(.multiChannel))
    #expect(try SubChannelCount(parsing: payload("V11").rawSpan) == SubChannelCount(3))

    let attention = try SCSIRequest(parsing: payload("V16").rawSpan, version: .v6_0)
    #expect(attention.sense == .capacityChanged)
    #expect(attention.srbStatus.status == .error && attention.srbStatus.hasAutosense)
    let gone = try SCSIRequest(parsing: payload("V28").rawSpan, version: .v6_0)
    #expect(gone.sense == nil && gone.srbStatus == .invalidLUN)

    // V17 has five extra words before the packet, V32 three.
    let read = Array(golden("V17").bytes[56..<120])
    #expect(try StorvscPacket(parsing: read.rawSpan) == .request(.executeSRB))
    let request = try SCSIRequest(parsing: read.rawSpan, version: .v6_0)
    #expect(request.command == .read16(lba: 0x1000, blocks: 16))
    #expect(request.direction == .read && request.dataTransferByteCount == 8192 && request.timeout == 60)
    #expect(request.flags.rawValue == 0x14a && request.queueTag == 0xff && request.queueAction == 0x20)
    let short = Array(golden("V32").bytes[40..<88])
    #expect(
      try SCSIRequest(parsing: short.rawSpan, version: .v4_2).command == .read10(lba: 0, blocks: 8))
  }
}
