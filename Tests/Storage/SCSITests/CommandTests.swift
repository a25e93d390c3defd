import SCSI
import TestVectors
import Testing
import WireBytes

private func block(_ text: String) -> CommandDescriptorBlock {
  CommandDescriptorBlock(GoldenVector.expand(text).rawSpan)!
}

private func parse(_ text: String) throws -> Command {
  try Command(parsing: block(text))
}

@Suite struct CommandDescriptorBlockTests {
  @Test func fieldsAtAnyOffset() {
    let cdb = CommandDescriptorBlock(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff, byteCount: 16)!
    for index in 0..<16 {
      #expect(cdb[index] == UInt8(index * 17))
      let at = { (offset: Int) in index + offset < 16 ? UInt64((index + offset) * 17) : 0 }
      #expect(UInt64(cdb.be16(at: index)) == at(0) << 8 | at(1))
      #expect(UInt64(cdb.be32(at: index)) == at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3))
      #expect(cdb.be64(at: index) == (0..<8).reduce(0) { $0 << 8 | at($1) })
    }
  }

  @Test func bytesBeyondTheEndAreZero() {
    for count in 1...16 {
      let cdb = CommandDescriptorBlock(high: .max, low: .max, byteCount: count)!
      #expect((0..<16).map { cdb[$0] } == (0..<16).map { $0 < count ? 0xff : 0 })
      #expect(cdb == CommandDescriptorBlock([UInt8](repeating: 0xff, count: count).rawSpan))
      #expect(
        encoded {
          cdb.store(into: &$0, at: 0); return count
        } == [UInt8](repeating: 0xff, count: count))
    }
    #expect(CommandDescriptorBlock(high: 0, low: 0, byteCount: 0) == nil)
    #expect(CommandDescriptorBlock(high: 0, low: 0, byteCount: 17) == nil)
    #expect(CommandDescriptorBlock([UInt8](repeating: 0, count: 17).rawSpan) == nil)
    #expect(CommandDescriptorBlock([UInt8]().rawSpan) == nil)
  }

  @Test(arguments: [
    (CommandDescriptorBlock.testUnitReady, "[6]"),
    (.requestSense(allocation: 18), "03 [3] 12 00"),
    (.inquiry(allocation: 36), "12 [3] 24 00"),
    (.inquiry(page: .blockLimits, allocation: 0x1234), "12 01 b0 12 34 00"),
    (.reportLUNs(allocation: 4096), "a0 [7] 10 00 [2]"),
    (.readCapacity10, "25 [9]"),
    (.readCapacity16(), "9e 10 [11] 20 [2]"),
    (.getLBAStatus(lba: 0x0102_0304_0506_0708, allocation: 24), "9e 12 01 02 03 04 05 06 07 08 00 00 00 18 [2]"),
    (.modeSense6(page: .caching), "1a 08 08 00 ff 00"),
    (.read10(lba: 0x01020304, blocks: 0x0506), "28 00 01 02 03 04 00 05 06 00"),
    (.write10(lba: 0x800, blocks: 8, fua: true), "2a 08 00 00 08 00 00 00 08 00"),
    (.read16(lba: 0x1000, blocks: 16), "88 [7] 10 00 00 00 00 10 [2]"),
    (.write16(lba: .max, blocks: .max, fua: true), "8a 08 ff ff ff ff ff ff ff ff ff ff ff ff 00 00"),
    (.synchronizeCache16(), "91 [15]"),
    (.unmap(listLength: 24), "42 [7] 18 00"),
    (.writeSame16(lba: 1, blocks: 2, unmap: true, ndob: true), "93 09 [7] 01 00 00 00 02 [2]"),
    (.reserve6, "16 [5]"),
    (.release6, "17 [5]"),
    (.startStop(start: true), "1b [3] 01 00"),
    (.startStop(start: false, loadEject: true, immediate: true), "1b 01 [2] 02 00"),
  ])
  func builders(cdb: CommandDescriptorBlock, text: String) {
    #expect(cdb == block(text))
  }
}

@Suite struct CommandTests {
  @Test func everyBuilderParses() throws {
    func parse(_ cdb: CommandDescriptorBlock) throws -> Command { try Command(parsing: cdb) }
    #expect(try parse(.testUnitReady) == .testUnitReady)
    #expect(try parse(.requestSense(allocation: 252)) == .requestSense(descriptorFormat: false, allocation: 252))
    #expect(try parse(.inquiry(allocation: 65535)) == .inquiry(page: nil, allocation: 65535))
    #expect(try parse(.inquiry(page: .blockLimits, allocation: 64)) == .inquiry(page: .blockLimits, allocation: 64))
    #expect(try parse(.reportLUNs(allocation: .max)) == .reportLUNs(select: 0, allocation: Int(UInt32.max)))
    #expect(try parse(.readCapacity10) == .readCapacity10)
    #expect(try parse(.readCapacity16(allocation: 12)) == .readCapacity16(allocation: 12))
    #expect(try parse(.getLBAStatus(lba: .max, allocation: 24)) == .getLBAStatus(lba: .max, allocation: 24))
    #expect(
      try parse(.modeSense6(page: .all, allocation: 4))
        == .modeSense(page: .all, subpage: 0, control: .current, allocation: 4, ten: false, dbd: true))
    for fua in [false, true] {
      for (lba, blocks) in [(0, 0), (UInt64(UInt32.max), UInt32(UInt16.max)), (0x1234_5678, 0x9abc)] {
        let read = Command.read(lba: lba, blocks: blocks, fua: fua, dpo: false)
        let write = Command.write(lba: lba, blocks: blocks, fua: fua, dpo: false)
        #expect(try parse(.read16(lba: lba, blocks: blocks, fua: fua)) == read)
        #expect(try parse(.write16(lba: lba, blocks: blocks, fua: fua)) == write)
        #expect(try parse(.read10(lba: UInt32(lba), blocks: UInt16(blocks), fua: fua)) == read)
        #expect(try parse(.write10(lba: UInt32(lba), blocks: UInt16(blocks), fua: fua)) == write)
      }
    }
    #expect(
      try parse(.write16(lba: .max, blocks: .max)) == .write(lba: .max, blocks: .max, fua: false, dpo: false))
    #expect(
      try parse(.synchronizeCache16(lba: 7, blocks: 9)) == .synchronizeCache(lba: 7, blocks: 9, immediate: false))
    #expect(try parse(.unmap(listLength: .max)) == .unmap(listLength: 65535, anchor: false))
    #expect(
      try parse(.writeSame16(lba: 1, blocks: 2, unmap: true))
        == .writeSame(lba: 1, blocks: 2, unmap: true, ndob: false, anchor: false, sixteen: true))
    #expect(
      try parse(.writeSame16(lba: 1, blocks: 2, ndob: true))
        == .writeSame(lba: 1, blocks: 2, unmap: false, ndob: true, anchor: false, sixteen: true))
    #expect(try parse(.reserve6) == .reserve6)
    #expect(try parse(.release6) == .release6)
    #expect(
      try parse(.startStop(start: true, loadEject: true, immediate: true))
        == .startStop(start: true, loadEject: true, noFlush: false, powerCondition: 0, immediate: true))
  }

  @Test func commandsOfOtherInitiators() throws {
    // The 6-byte forms: 21 bits of LBA, 0 is 256 blocks.
    #expect(try parse("08 1f ff fe 00 00") == .read(lba: 0x1ffffe, blocks: 256, fua: false, dpo: false))
    #expect(try parse("0a 01 02 03 04 00") == .write(lba: 0x010203, blocks: 4, fua: false, dpo: false))
    #expect(
      try parse("a8 18 01 02 03 04 05 06 07 08 00 00")
        == .read(lba: 0x0102_0304, blocks: 0x0506_0708, fua: true, dpo: true))
    #expect(try parse("aa [9] 1f 00") == .write(lba: 0, blocks: 0, fua: false, dpo: false))
    #expect(try parse("35 02 [8]") == .synchronizeCache(lba: 0, blocks: 0, immediate: true))
    #expect(
      try parse("41 18 00 00 00 09 00 00 07 00")
        == .writeSame(lba: 9, blocks: 7, unmap: true, ndob: false, anchor: true, sixteen: false))
    #expect(
      try parse("2f 12 00 00 00 09 00 00 07 00")
        == .verify(lba: 9, blocks: 7, byteCheck: 1, dpo: true, writing: false))
    #expect(try parse("8e [9] 00 00 00 01 [2]") == .verify(lba: 0, blocks: 1, byteCheck: 0, dpo: false, writing: true))
    #expect(
      try parse("5a 08 88 01 [3] 01 02 00")
        == .modeSense(page: .caching, subpage: 1, control: .defaults, allocation: 0x102, ten: true, dbd: true))
    #expect(
      try parse("15 11 [2] 10 00") == .modeSelect(pageFormat: true, savePages: true, listLength: 16, ten: false))
    #expect(
      try parse("55 10 [5] 01 00 00") == .modeSelect(pageFormat: true, savePages: false, listLength: 256, ten: true))
    #expect(try parse("5e 02 [5] 00 08 00") == .persistentReserveIn(action: .reportCapabilities, allocation: 8))
    #expect(
      try parse("5f 01 05 [5] 18 00")
        == .persistentReserveOut(
          action: .reserve, scope: 0, type: .writeExclusiveRegistrantsOnly, listLength: 24))
    #expect(
      try parse("a3 0c 83 9e 00 10 00 00 02 00 00 00")
        == .reportSupportedOpcodes(
          options: 3, opcode: .serviceActionIn16, serviceAction: 0x10, timeouts: true, allocation: 512))
    #expect(try parse("1d 04 [4]") == .sendDiagnostic(selfTest: true, code: 0, listLength: 0))
    #expect(try parse("1e [3] 01 00") == .preventAllow(prevent: true))
    #expect(try parse("42 01 [5] 00 18 00") == .unmap(listLength: 24, anchor: true))
    #expect(try parse("03 01 [2] 12 00") == .requestSense(descriptorFormat: true, allocation: 18))
    // Linux may hand over a longer block than the command needs.
    #expect(try parse("28 [6] 00 08 [7]") == .read(lba: 0, blocks: 8, fua: false, dpo: false))
  }

  @Test(arguments: [
    ("08 20 [4]", CommandError.invalidField(byte: 1)),
    ("0a 80 [4]", .invalidField(byte: 1)),
    ("28 01 [8]", .invalidField(byte: 1)),
    ("2a 02 [8]", .invalidField(byte: 1)),
    ("88 20 [14]", .invalidField(byte: 1)),
    ("8a 80 [14]", .invalidField(byte: 1)),
    ("a8 40 [10]", .invalidField(byte: 1)),
    ("35 01 [8]", .invalidField(byte: 1)),
    ("41 01 [8]", .invalidField(byte: 1)),
    ("93 02 [14]", .invalidField(byte: 1)),
    ("2f 04 [8]", .invalidField(byte: 1)),
    ("8f 20 [14]", .invalidField(byte: 1)),
    ("12 00 80 [3]", .invalidField(byte: 2)),
    ("12 02 [4]", .invalidField(byte: 1)),
    ("a0 00 03 [9]", .invalidField(byte: 2)),
    ("25 00 00 00 00 01 [4]", .invalidField(byte: 2)),
    ("25 [7] 01 00", .invalidField(byte: 8)),
    ("9e 10 [7] 01 [6]", .invalidField(byte: 2)),
    ("9e 10 [12] 01 00", .invalidField(byte: 14)),
    ("a3 0c 04 [9]", .invalidField(byte: 2)),
    ("00 [4] 04", .invalidField(byte: 5)),
    ("88 [14] 01", .invalidField(byte: 15)),
    ("9e 11 [14]", .invalidServiceAction(0x11)),
    ("a3 0a [10]", .invalidServiceAction(0x0a)),
    ("5e 04 [8]", .invalidServiceAction(4)),
    ("5f 08 [8]", .invalidServiceAction(8)),
    ("04 [5]", .invalidOpcode(.formatUnit)),
    ("89 [15]", .invalidOpcode(.compareAndWrite)),
    ("7f [15]", .invalidOpcode(Opcode(rawValue: 0x7f))),
    ("c0 [15]", .invalidOpcode(Opcode(rawValue: 0xc0))),
    ("85 [15]", .invalidOpcode(Opcode(rawValue: 0x85))),
    ("28 [8]", .tooShort(byteCount: 9, needed: 10)),
    ("88 [14]", .tooShort(byteCount: 15, needed: 16)),
    ("00", .tooShort(byteCount: 1, needed: 6)),
  ])
  func refused(text: String, error: CommandError) {
    #expect(throws: error) { try parse(text) }
  }

  @Test func errorsBecomeSense() {
    #expect(CommandError.invalidOpcode(.formatUnit).senseData == .invalidOpcode)
    #expect(CommandError.invalidField(byte: 1).senseData == .invalidFieldInCDB)
    #expect(CommandError.invalidServiceAction(1).senseData == .invalidFieldInCDB)
    #expect(CommandError.tooShort(byteCount: 1, needed: 6).senseData == .invalidFieldInCDB)
    #expect(ParameterDataError.tooShort(byteCount: 1, needed: 6).senseData == .parameterListLengthError)
    #expect(ParameterDataError.invalidField(offset: 1).senseData == .invalidFieldInParameterList)
    #expect("\(CommandError.invalidOpcode(Opcode(rawValue: 0xc0)))" == "command not supported: opcode c0")
  }

  @Test func transferDirections() throws {
    #expect(try Command(parsing: .read16(lba: 0, blocks: 1)).transferDirection == .fromTarget)
    #expect(try Command(parsing: .read16(lba: 0, blocks: 0)).transferDirection == .none)
    #expect(try Command(parsing: .write16(lba: 0, blocks: 1)).transferDirection == .toTarget)
    #expect(try Command(parsing: .inquiry(allocation: 36)).transferDirection == .fromTarget)
    #expect(try Command(parsing: .unmap(listLength: 24)).transferDirection == .toTarget)
    #expect(try Command(parsing: .synchronizeCache16()).transferDirection == .none)
    #expect(try Command(parsing: .writeSame16(lba: 0, blocks: 1)).transferDirection == .toTarget)
    #expect(try Command(parsing: .writeSame16(lba: 0, blocks: 1, ndob: true)).transferDirection == .none)
    #expect(try parse("2f [6] 00 01 00").transferDirection == .none)
    #expect(try parse("2f 02 [5] 00 01 00").transferDirection == .toTarget)
  }

  @Test func extentsFitWithoutOverflow() {
    #expect(BlockExtent(lba: 0, blocks: 8).fits(blockCount: 8))
    #expect(!BlockExtent(lba: 1, blocks: 8).fits(blockCount: 8))
    #expect(BlockExtent(lba: 7, blocks: 0).fits(blockCount: 8))
    #expect(!BlockExtent(lba: 8, blocks: 0).fits(blockCount: 8))
    #expect(!BlockExtent(lba: .max, blocks: 1).fits(blockCount: 8))
    #expect(!BlockExtent(lba: .max - 1, blocks: .max).fits(blockCount: .max))
  }
}
