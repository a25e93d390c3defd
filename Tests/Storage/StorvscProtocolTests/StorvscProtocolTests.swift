import SCSI
import StorvscProtocol
import TestVectors
import Testing
import WireBytes

@Suite struct StorvscProtocolTests {
  @Test func versions() {
    let facts: [(StorvscVersion, UInt16, String, Int, Int, Int, Bool, Bool)] = [
      (.v2_0, 0x0200, "2.0", 48, 36, 18, false, false), (.v4_2, 0x0402, "4.2", 48, 36, 18, false, true),
      (.v5_1, 0x0501, "5.1", 64, 52, 20, true, true), (.v6_0, 0x0600, "6.0", 64, 52, 20, true, true),
      (.v6_2, 0x0602, "6.2", 64, 52, 20, true, true),
    ]
    for (version, number, text, packet, request, sense, subChannels, enumeration) in facts {
      #expect(version.rawValue == number && "\(version)" == text && version.isKnown)
      #expect(version.packetByteCount == packet && version.requestByteCount == request)
      #expect(version.senseByteCount == sense)
      #expect(version.hasSubChannels == subChannels && version.hasBusEnumeration == enumeration)
    }
    #expect(StorvscVersion.newestFirst == facts.map { $0.0 }.reversed())
    #expect(!StorvscVersion(rawValue: 0x0601).isKnown)
  }

  @Test(arguments: [(48, 48), (50, 50), (56, 56), (64, 64), (72, 64), (4096, 64), (12, 12)])
  func replySizes(request: Int, reply: Int) {
    #expect(StorvscPacket.replyByteCount(requestByteCount: request) == reply)
  }

  @Test func minimumPayloads() {
    #expect(StorvscOperation.executeSRB.minimumPayloadByteCount == 36)
    #expect(StorvscOperation.queryProtocolVersion.minimumPayloadByteCount == 4)
    #expect(StorvscOperation.createSubChannels.minimumPayloadByteCount == 2)
    #expect(StorvscOperation.beginInitialization.minimumPayloadByteCount == 0)
    #expect("\(StorvscOperation.enumerateBus) \(StorvscOperation(rawValue: 99))" == "ENUMERATE_BUS vstor operation 63")
  }

  @Test(arguments: [
    (SRBStatus.success, 0x01, NTStatus.success), (.busy, 0x05, .deviceBusy), (.invalidLUN, 0x20, .deviceDoesNotExist),
    (.invalidTargetID, 0x21, .deviceDoesNotExist), (.noDevice, 0x08, .deviceDoesNotExist),
    (.noHBA, 0x11, .deviceDoesNotExist), (.timeout, 0x09, .ioTimeout), (.commandTimeout, 0x0b, .ioTimeout),
    (.selectionTimeout, 0x0a, .deviceNotConnected), (.badFunction, 0x22, .invalidDeviceRequest),
    (.badSRBBlockLength, 0x15, .invalidDeviceRequest), (.dataOverrun, 0x12, .bufferOverflow),
    (.requestFlushed, 0x16, .unsuccessful), (.aborted, 0x02, .cancelled), (.pending, 0x00, .ioDeviceError),
    (.abortFailed, 0x03, .ioDeviceError), (.error, 0x04, .ioDeviceError), (.invalidRequest, 0x06, .ioDeviceError),
    (.invalidPathID, 0x07, .ioDeviceError), (.messageRejected, 0x0d, .ioDeviceError),
    (.busReset, 0x0e, .ioDeviceError), (.parityError, 0x0f, .ioDeviceError),
    (.requestSenseFailed, 0x10, .ioDeviceError), (.unexpectedBusFree, 0x13, .ioDeviceError),
    (.phaseSequenceFailure, 0x14, .ioDeviceError), (.errorRecovery, 0x23, .ioDeviceError),
    (.notPowered, 0x24, .ioDeviceError), (.linkDown, 0x25, .ioDeviceError), (.internalError, 0x30, .ioDeviceError),
  ])
  func srbStatus(status: SRBStatus, number: Int, header: NTStatus) {
    let code = UInt8(number)
    #expect(status.rawValue == code)
    for flags: UInt8 in [0, 0x40, 0x80, 0xc0] {
      let flagged = SRBStatus(rawValue: code | flags)
      #expect(flagged.headerStatus == header && flagged.status == status)
      #expect(flagged.isQueueFrozen == (flags & 0x40 != 0) && flagged.hasAutosense == (flags & 0x80 != 0))
    }
  }

  @Test func headerStatusValues() {
    let values: [(NTStatus, UInt32)] = [
      (.success, 0), (.bufferOverflow, 0x8000_0005), (.deviceBusy, 0x8000_0011), (.unsuccessful, 0xc000_0001),
      (.invalidParameter, 0xc000_000d), (.invalidDeviceRequest, 0xc000_0010), (.revisionMismatch, 0xc000_0059),
      (.deviceNotConnected, 0xc000_009d), (.ioTimeout, 0xc000_00b5), (.deviceDoesNotExist, 0xc000_00c0),
      (.cancelled, 0xc000_0120), (.invalidDeviceState, 0xc000_0184), (.ioDeviceError, 0xc000_0185),
    ]
    for (status, value) in values {
      #expect(status.rawValue == value)
    }
    #expect("\(NTStatus(rawValue: 0xc000_0022))" == "NTSTATUS c0000022")
    #expect("\(SRBStatus(rawValue: 0xc6))" == "invalid request, queue frozen, autosense")
  }

  /// The cases of a completion: header status, SRB status, SCSI status, length, sense.
  @Test func meaningsOfACompletion() {
    func check(
      _ request: SCSIRequest, _ header: NTStatus, _ srb: UInt8, _ scsi: UInt8, _ count: UInt32, _ sense: SenseData?
    ) {
      #expect(request.srbStatus.headerStatus == header && request.srbStatus.rawValue == srb)
      #expect(request.scsiStatus.rawValue == scsi && request.dataTransferByteCount == count && request.sense == sense)
    }
    check(.success(dataByteCount: 512), .success, 0x01, 0x00, 512, nil)
    check(.checkCondition(.invalidOpcode), .ioDeviceError, 0x86, 0x02, 0, .invalidOpcode)
    check(.checkCondition(.capacityChanged), .ioDeviceError, 0x84, 0x02, 0, .capacityChanged)
    check(
      .completion(.dataOverrun, .checkCondition, sense: .invalidFieldInCDB), .bufferOverflow, 0x92, 0x02, 0,
      .invalidFieldInCDB)
    check(.completion(.invalidLUN, .checkCondition), .deviceDoesNotExist, 0x20, 0x02, 0, nil)
    check(.completion(.error, .reservationConflict), .ioDeviceError, 0x04, 0x18, 0, nil)
    check(.completion(.aborted, .taskAborted, sense: .aborted), .cancelled, 0x82, 0x40, 0, .aborted)
    check(.completion(.busy, .taskSetFull), .deviceBusy, 0x05, 0x28, 0, nil)
  }

  @Test func senseNeedsItsAnnouncement() {
    var request = SCSIRequest.checkCondition(.writeProtected)
    request.scsiStatus = .good
    #expect(request.sense == nil)
    request.scsiStatus = .checkCondition
    request.senseByteCount = 255
    #expect(request.sense == .writeProtected)
    request.senseByteCount = 2
    #expect(request.sense == nil)
    request.senseByteCount = 20
    request.srbStatus = .error
    #expect(request.sense == nil)
  }

  @Test func commandLengths() {
    var request = SCSIRequest(.read16(lba: 1, blocks: 1), lun: 0, direction: .read, dataByteCount: 512)
    #expect(request.command?.byteCount == 16)
    request.cdbByteCount = 17
    #expect(request.command == nil)
    request.cdbByteCount = 0
    #expect(request.command == nil)
    request.cdbByteCount = 6
    #expect(request.command?.byteCount == 6)
  }

  @Test func shortRequestsReadAsZeros() throws {
    let full = [UInt8](repeating: 0xa5, count: 64)
    for count in 0...64 {
      let bytes = Array(full.prefix(count))
      guard count >= 48 else {
        #expect(throws: StorvscError.self) { try SCSIRequest(parsing: bytes.rawSpan, version: .v6_0) }
        continue
      }
      let request = try SCSIRequest(parsing: bytes.rawSpan, version: .v6_0)
      #expect(request.queueTag == (count >= 52 ? 0xa5 : 0))
      #expect(request.flags.rawValue == (count >= 56 ? 0xa5a5_a5a5 : 0))
      #expect(request.timeout == (count >= 60 ? 0xa5a5_a5a5 : 0))
      #expect(request.queueSortKey == (count >= 64 ? 0xa5a5_a5a5 : 0))
      #expect(try SCSIRequest(parsing: bytes.rawSpan, version: .v4_2).flags == [])
    }
  }

  @Test func propertiesOfAnotherReading() throws {
    // FreeBSD's host reading fills the reserved fields: they are not looked at.
    let bytes = GoldenVector.expand("[12] 02 06 01 02 07 00 09 00 01 00 00 00 00 00 20 00 01 02 03 04 05 06 07 08 [28]")
    let properties = try ChannelProperties(parsing: bytes.rawSpan)
    #expect(properties.maximumSubChannelCount == 7 && properties.maximumTransferByteCount == 2 << 20)
  }
}

@Suite struct FuzzTests {
  @Test func packets() {
    var generator = SeededGenerator(seed: 4)
    let seeds = storvscVectors.split(separator: "\n").map { Array(GoldenVector($0).bytes.dropFirst(16)) }
    var accepted = 0
    for _ in 0..<20_000 {
      let bytes = generator.mutation(of: seeds.randomElement(using: &generator)!)
      if let header = try? StorvscPacket(parsing: bytes.rawSpan) {
        let back = [UInt8](zeroed: 12) { header.store(into: &$0) }
        #expect(back == Array(bytes.prefix(12)))
        _ = header.operation.description
      }
      for version in StorvscVersion.newestFirst {
        guard let request = try? SCSIRequest(parsing: bytes.rawSpan, version: version) else { continue }
        accepted += 1
        let stored = [UInt8](zeroed: version.packetByteCount) { request.store(into: &$0, version: version) }
        #expect(try! SCSIRequest(parsing: stored.rawSpan, version: version) == request)
        // All comes back but the length field, which is written from the version, and a word that was cut off.
        let end = min(bytes.count, stored.count) & ~3
        #expect(stored[14..<end] == bytes[14..<end])
        if let command = request.command {
          #expect(command.byteCount == Int(request.cdbByteCount))
          _ = try? Command(parsing: command)
        }
        if let sense = request.sense { #expect(sense.key.rawValue < 16) }
      }
    }
    #expect(accepted > 10_000)
  }

  @Test func initializationPayloads() {
    var generator = SeededGenerator(seed: 5)
    let seed = Array(GoldenVector.named("V33", in: storvscVectors).bytes[16..<80])
    for _ in 0..<10_000 {
      let bytes = generator.mutation(of: seed)
      if let block = try? VersionBlock(parsing: bytes.rawSpan) {
        #expect([UInt8](zeroed: 16) { block.store(into: &$0) }[12...] == bytes[12..<16])
      }
      if let properties = try? ChannelProperties(parsing: bytes.rawSpan) {
        let back = [UInt8](zeroed: 36) { properties.store(into: &$0) }
        #expect(try! ChannelProperties(parsing: back.rawSpan) == properties)
      }
      if let count = try? SubChannelCount(parsing: bytes.rawSpan) {
        #expect([UInt8](zeroed: 14) { count.store(into: &$0) }[12...] == bytes[12..<14])
      }
      if let names = try? WorldWideNames(parsing: bytes.rawSpan) {
        let back = [UInt8](zeroed: 48) { names.store(into: &$0) }
        #expect(try! WorldWideNames(parsing: back.rawSpan) == names)
      }
      if let ide = try? IDEUserData(parsing: bytes.rawSpan) {
        let back = [UInt8](zeroed: 24) { ide.store(into: &$0) }
        #expect(try! IDEUserData(parsing: back.rawSpan) == ide)
      }
      #expect((try? ChannelProperties(parsing: bytes.rawSpan)) != nil || bytes.count < 36)
    }
  }
}
