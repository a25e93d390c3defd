import SCSI
import TestVectors
import Testing
import WireBytes

/// The bytes that `fill` stores into a zeroed buffer; it returns their number.
func encoded(_ fill: (inout MutableRawSpan) -> Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0xee, count: 4096)
  let count = bytes.withMutableBytes { fill(&$0) }
  return Array(bytes[..<count])
}

private func golden(_ name: String) -> [UInt8] {
  GoldenVector.named(name, in: vectors).bytes
}

@Suite struct ParameterDataTests {
  @Test func vectorsAreWhole() {
    let all = vectors.split(separator: "\n").map { GoldenVector($0) }
    #expect(all.count == 17)
    for vector in all {
      #expect(vector.bytes.count == vector.count, "\(vector.name)")
      #expect(GoldenVector.crc32(vector.bytes) == vector.checksum, "\(vector.name)")
    }
  }

  @Test func standardInquiry() throws {
    let disk = StandardInquiry()
    #expect(encoded { disk.encode(into: &$0) } == golden("D02"))
    #expect(try StandardInquiry(parsing: golden("D02").rawSpan) == disk)
    var short = disk
    short.additionalLength = 31
    #expect(Array(encoded { short.encode(into: &$0) }.prefix(36)) == golden("D01"))
    #expect(try StandardInquiry(parsing: golden("D01").rawSpan) == short)
    #expect(Array(encoded { StandardInquiry.absent.encode(into: &$0) }.prefix(36)) == golden("D03"))
    let absent = try StandardInquiry(parsing: golden("D03").rawSpan)
    #expect(!absent.isPresent && absent.peripheralQualifier == 3 && absent.deviceType == 0x1f)
    #expect(try !StandardInquiry(parsing: [UInt8](repeating: 0, count: 36).rawSpan).isPresent)
    #expect(disk.isPresent)
    #expect(throws: ParameterDataError.tooShort(byteCount: 4, needed: 5)) {
      try StandardInquiry(parsing: ([0, 0, 5, 2] as [UInt8]).rawSpan)
    }
  }

  @Test func textsAreCutPaddedAndCleaned() throws {
    let odd = StandardInquiry(vendor: "A\u{e9}B", product: "0123456789abcdefXYZ", revision: "")
    let back = try StandardInquiry(parsing: encoded { odd.encode(into: &$0) }.rawSpan)
    #expect(back.vendor == "A??B")
    #expect(back.product == "0123456789abcdef")
    #expect(back.revision == "")
  }

  @Test func vitalProductData() throws {
    let pages = SupportedVPDPages([
      .supportedPages, .unitSerialNumber, .deviceIdentification, .blockLimits, .blockDeviceCharacteristics,
      .logicalBlockProvisioning,
    ])
    #expect(encoded { pages.encode(into: &$0) } == golden("D04"))
    #expect(try SupportedVPDPages(parsing: golden("D04").rawSpan) == pages)

    let identity = DeviceIdentification(
      identifier: DiskIdentifier(high: 0xd12d_2b96_19b4_0011, low: 0x2233_3a50_2ca6_4006))
    #expect(encoded { identity.encode(into: &$0) } == golden("D05"))
    let parsed = try DeviceIdentification(parsing: golden("D05").rawSpan)
    #expect(parsed == identity)
    #expect(parsed.unitDesignator?.bytes == GoldenVector.expand("60 02 24 80 d1 2d 2b 96 19 b4 3a 50 2c a6 40 06"))

    var limits = BlockLimits()
    limits.maximumUnmapBlocks = .max
    limits.maximumUnmapDescriptors = 4096
    limits.unmapGranularity = 1
    limits.unmapAlignment = 0
    limits.maximumWriteSameLength = 0x4000
    #expect(encoded { limits.encode(into: &$0) } == golden("D06"))
    #expect(try BlockLimits(parsing: golden("D06").rawSpan) == limits)
    limits.unmapAlignment = nil
    limits.maximumTransferLength = 2048
    limits.refusesEmptyWriteSame = true
    #expect(try BlockLimits(parsing: encoded { limits.encode(into: &$0) }.rawSpan) == limits)

    let medium = BlockDeviceCharacteristics()
    #expect(encoded { medium.encode(into: &$0) } == golden("D07"))
    #expect(try BlockDeviceCharacteristics(parsing: golden("D07").rawSpan) == medium)

    let provisioning = LogicalBlockProvisioning(supportsUnmap: true)
    #expect(encoded { provisioning.encode(into: &$0) } == golden("D08"))
    #expect(try LogicalBlockProvisioning(parsing: golden("D08").rawSpan) == provisioning)

    let serial = UnitSerialNumber("SG-0001")
    let bytes = encoded { serial.encode(into: &$0) }
    #expect(bytes == [0, 0x80, 0, 7] + Array("SG-0001".utf8))
    #expect(try UnitSerialNumber(parsing: bytes.rawSpan) == serial)
    #expect(throws: ParameterDataError.invalidField(offset: 1)) { try SupportedVPDPages(parsing: bytes.rawSpan) }
  }

  @Test func capacity() throws {
    var capacity = try #require(Capacity(blockCount: 64 << 21, blockByteCount: 512))
    #expect(encoded { capacity.encode10(into: &$0) } == golden("D09"))
    #expect(try Capacity(parsing10: golden("D09").rawSpan) == capacity)
    capacity.physicalExponent = 3
    capacity.isProvisioned = true
    #expect(encoded { capacity.encode16(into: &$0) } == golden("D10"))
    let parsed = try Capacity(parsing16: golden("D10").rawSpan)
    #expect(parsed == capacity)
    #expect(parsed.physicalByteCount == 4096 && parsed.byteCount == 64 << 30 && !parsed.isSaturated)

    #expect(Capacity(blockCount: 0, blockByteCount: 512) == nil)
    #expect(Capacity(blockCount: 1, blockByteCount: 520) == nil)
    let most = UInt64(Int64.max) / 4096
    #expect(Capacity(blockCount: most + 1, blockByteCount: 4096) == nil)
    #expect(try #require(Capacity(blockCount: most, blockByteCount: 4096)).byteCount == Int64(most * 4096))

    let large = try #require(Capacity(blockCount: 1 << 32, blockByteCount: 512))
    let saturated = encoded { large.encode10(into: &$0) }
    #expect(saturated == [0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0])
    #expect(try Capacity(parsing10: saturated.rawSpan).isSaturated)
    var hostile = golden("D10")
    hostile.replaceSubrange(0..<8, with: [UInt8](repeating: 0xff, count: 8))
    #expect(throws: ParameterDataError.invalidField(offset: 0)) { try Capacity(parsing16: hostile.rawSpan) }
    hostile[11] = 1
    #expect(throws: ParameterDataError.invalidField(offset: 8)) { try Capacity(parsing16: hostile.rawSpan) }
  }

  @Test func modeSense() throws {
    var mode = ModeParameters(
      isWriteProtected: false, supportsFUA: true, caching: .init(writeCacheEnabled: true))
    #expect(encoded { mode.encode(into: &$0, ten: false) } == golden("D11"))
    #expect(try ModeParameters(parsingSense: golden("D11").rawSpan, ten: false) == mode)
    mode.isWriteProtected = true
    #expect(encoded { mode.encode(into: &$0, ten: true) } == golden("D12"))
    #expect(try ModeParameters(parsingSense: golden("D12").rawSpan, ten: true) == mode)
    // A probe for the header alone gets four bytes.
    #expect(try ModeParameters(parsingSense: Array(golden("D11").prefix(4)).rawSpan, ten: false).caching == nil)
    // Pages before the caching page, one of them with a subpage, and a block descriptor are skipped.
    let crowded = GoldenVector.expand("1f 00 80 08 [8] 01 02 00 00 5a 01 00 02 00 00 88 0a 05 [9]")
    let parsed = try ModeParameters(parsingSense: crowded.rawSpan, ten: false)
    #expect(parsed.caching == .init(writeCacheEnabled: true, readCacheDisabled: true))
    #expect(parsed.isWriteProtected && !parsed.supportsFUA)
  }

  @Test func modeSelect() throws {
    let six = GoldenVector.expand("00 00 10 00 08 0a 04 [9]")
    #expect(
      try ModeParameters(parsingSelect: six.rawSpan, ten: false).caching == .init(writeCacheEnabled: true))
    // What MODE SENSE returned can be sent back as it is.
    #expect(try ModeParameters(parsingSelect: golden("D12").rawSpan, ten: true).caching != nil)
    var wrong = six
    wrong[5] = 12
    #expect(throws: ParameterDataError.invalidField(offset: 5)) {
      try ModeParameters(parsingSelect: wrong.rawSpan, ten: false)
    }
    wrong = six
    wrong[4] = 0x0a
    #expect(throws: ParameterDataError.invalidField(offset: 4)) {
      try ModeParameters(parsingSelect: wrong.rawSpan, ten: false)
    }
    #expect(throws: ParameterDataError.tooShort(byteCount: 15, needed: 16)) {
      try ModeParameters(parsingSelect: Array(six.dropLast()).rawSpan, ten: false)
    }
    wrong = six
    wrong[3] = 0xff
    #expect(throws: ParameterDataError.tooShort(byteCount: 16, needed: 259)) {
      try ModeParameters(parsingSelect: wrong.rawSpan, ten: false)
    }
  }

  @Test func reportLUNs() throws {
    let list = LUNList([0, 1, 5])
    #expect(encoded { list.encode(into: &$0) } == golden("D13"))
    #expect(try LUNList(parsing: golden("D13").rawSpan) == list)
    let truncated = try LUNList(parsing: Array(golden("D13").prefix(24)).rawSpan)
    #expect(truncated.luns == [0, 1] && truncated.truncatedFrom == 32)
    let wide = LUNList([255, 256, 16_383])
    #expect(try LUNList(parsing: encoded { wide.encode(into: &$0) }.rawSpan) == wide)
    // A second level and a well-known unit are left out.
    let odd = GoldenVector.expand("00 00 00 18 [4] 00 02 00 01 [4] c1 01 [6] 00 03 [6]")
    #expect(try LUNList(parsing: odd.rawSpan).luns == [3])
  }

  @Test func unmapList() throws {
    let extent = BlockExtent(lba: 0x10000, blocks: 0x800)
    let bytes = encoded { UnmapList.encode(extent, into: &$0) }
    #expect(bytes == golden("D14"))
    let two = encoded { target in
      UnmapList.storeHeader(descriptors: 2, into: &target)
      UnmapList.store(extent, at: 0, into: &target)
      UnmapList.store(BlockExtent(lba: .max, blocks: 0), at: 1, into: &target)
      return UnmapList.byteCount(descriptors: 2)
    }
    #expect(try extents(two) == [extent, BlockExtent(lba: .max, blocks: 0)])
    // Trailing bytes and an incomplete descriptor do no harm; no list at all unmaps nothing.
    #expect(try extents(bytes + [1, 2, 3]) == [extent])
    var incomplete = bytes + [UInt8](repeating: 0xff, count: 8)
    incomplete[1] = 0x1e
    incomplete[3] = 0x18
    #expect(try extents(incomplete) == [extent])
    #expect(try extents([]) == [])
    #expect(throws: ParameterDataError.tooShort(byteCount: 7, needed: 8)) { try extents(Array(bytes.prefix(7))) }
    #expect(throws: ParameterDataError.tooShort(byteCount: 23, needed: 24)) { try extents(bytes.dropLast()) }
    var wrong = bytes
    wrong[1] = 0x15
    #expect(throws: ParameterDataError.invalidField(offset: 0)) { try extents(wrong) }
  }

  @Test func lbaStatus() throws {
    let list = LBAStatusList([.init(BlockExtent(lba: 0x1000, blocks: 0x2000), .mapped)])
    #expect(encoded { list.encode(into: &$0) } == golden("D16"))
    #expect(try LBAStatusList(parsing: golden("D16").rawSpan) == list)
    #expect(try LBAStatusList(parsing: Array(golden("D16").prefix(23)).rawSpan).descriptors.isEmpty)
  }

  @Test func persistentReservations() throws {
    let register = PersistentReserveOutParameters(reservationKey: 0, serviceActionKey: 0x1122_3344_5566_7788)
    #expect(encoded { register.encode(into: &$0) } == golden("D17"))
    #expect(try PersistentReserveOutParameters(parsing: golden("D17").rawSpan) == register)
    #expect(throws: ParameterDataError.tooShort(byteCount: 25, needed: 24)) {
      try PersistentReserveOutParameters(parsing: (golden("D17") + [0]).rawSpan)
    }
    var ports = golden("D17")
    ports[20] = 0x08
    #expect(throws: ParameterDataError.invalidField(offset: 20)) {
      try PersistentReserveOutParameters(parsing: ports.rawSpan)
    }

    let keys = ReservationKeys(generation: 7, keys: [1, .max])
    let keyBytes = encoded { keys.encode(into: &$0) }
    #expect(keyBytes == GoldenVector.expand("00 00 00 07 00 00 00 10 [7] 01 ff ff ff ff ff ff ff ff"))
    #expect(try ReservationKeys(parsing: keyBytes.rawSpan) == keys)
    #expect(try ReservationKeys(parsing: Array(keyBytes.prefix(23)).rawSpan).keys == [1])

    let report = ReservationReport(generation: 7, reservation: .init(key: 9, type: .exclusiveAccess))
    let reportBytes = encoded { report.encode(into: &$0) }
    #expect(reportBytes == GoldenVector.expand("00 00 00 07 00 00 00 10 [7] 09 [5] 03 [2]"))
    #expect(try ReservationReport(parsing: reportBytes.rawSpan) == report)
    let free = ReservationReport(generation: 1, reservation: nil)
    #expect(try ReservationReport(parsing: encoded { free.encode(into: &$0) }.rawSpan) == free)

    let capabilities = ReservationCapabilities(
      allTargetPorts: true, persistsThroughPowerLoss: false,
      types: [.writeExclusive, .exclusiveAccess, .exclusiveAccessAllRegistrants])
    let bytes = encoded { capabilities.encode(into: &$0) }
    #expect(bytes == [0, 8, 4, 0x80, 0x0a, 0x01, 0, 0])
    #expect(try ReservationCapabilities(parsing: bytes.rawSpan) == capabilities)
  }
}

func extents(_ bytes: [UInt8]) throws(ParameterDataError) -> [BlockExtent] {
  let list = try UnmapList(parsing: bytes.rawSpan)
  var result: [BlockExtent] = []
  for index in 0..<list.count {
    result.append(list[index])
  }
  return result
}
