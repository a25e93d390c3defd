import SCSI
import TestVectors
import Testing
import WireBytes

@Suite struct SenseDataTests {
  @Test func fixedFormat() {
    let bytes = encoded { SenseData.lbaOutOfRange.encode(into: &$0) }
    #expect(bytes == GoldenVector.named("D15", in: vectors).bytes)
    #expect(SenseData(parsing: bytes.rawSpan) == .lbaOutOfRange)
    let deferred = SenseData(.mediumError, 0x0c, 0x01, isDeferred: true)
    #expect(SenseData(parsing: encoded { deferred.encode(into: &$0) }.rawSpan) == deferred)
  }

  @Test func descriptorFormat() {
    #expect(
      SenseData(parsing: ([0x72, 0x06, 0x2a, 0x09, 0, 0, 0, 0] as [UInt8]).rawSpan) == .capacityChanged)
    #expect(
      SenseData(parsing: ([0x73, 0x03, 0x11, 0x00] as [UInt8]).rawSpan)
        == SenseData(.mediumError, 0x11, 0x00, isDeferred: true))
  }

  @Test func truncatedAndForeignData() {
    let full = encoded { SenseData.capacityChanged.encode(into: &$0) }
    #expect(SenseData(parsing: Array(full.prefix(2)).rawSpan) == nil)
    #expect(SenseData(parsing: Array(full.prefix(3)).rawSpan) == SenseData(.unitAttention, 0, 0))
    #expect(SenseData(parsing: Array(full.prefix(13)).rawSpan) == SenseData(.unitAttention, 0x2a, 0))
    var short = full
    short[7] = 4
    #expect(SenseData(parsing: short.rawSpan) == SenseData(.unitAttention, 0, 0))
    #expect(SenseData(parsing: [UInt8](repeating: 0, count: 18).rawSpan) == nil)
    #expect(SenseData(parsing: ([0x7f, 5, 0x24, 0] as [UInt8]).rawSpan) == nil)
    #expect(SenseData(parsing: [UInt8]().rawSpan) == nil)
    // The valid bit and the flags in the byte of the key do not matter.
    var flagged = full
    flagged[0] |= 0x80
    flagged[2] |= 0xf0
    #expect(SenseData(parsing: flagged.rawSpan) == .capacityChanged)
  }

  @Test func descriptions() {
    #expect("\(SenseData.lbaOutOfRange)" == "ILLEGAL REQUEST, LBA out of range (5/21/00)")
    #expect("\(SenseData.capacityChanged)" == "UNIT ATTENTION, capacity data changed (6/2A/09)")
    #expect("\(SenseData(.abortedCommand, 0x77, 0xab))" == "ABORTED COMMAND (B/77/AB)")
    #expect("\(SCSIStatus.taskSetFull) \(SCSIStatus(rawValue: 0x7e))" == "task set full SCSI status 7e")
  }

  @Test(arguments: [
    (SenseData.invalidOpcode, 0x5_20_00), (.lbaOutOfRange, 0x5_21_00), (.invalidFieldInCDB, 0x5_24_00),
    (.lunNotSupported, 0x5_25_00), (.invalidFieldInParameterList, 0x5_26_00), (.parameterListLengthError, 0x5_1a_00),
    (.writeProtected, 0x7_27_00), (.spaceAllocationFailed, 0x7_27_07), (.capacityChanged, 0x6_2a_09),
    (.modeParametersChanged, 0x6_2a_01), (.powerOnOrReset, 0x6_29_00), (.inquiryDataChanged, 0x6_3f_03),
    (.lunDataChanged, 0x6_3f_0e), (.unrecoveredReadError, 0x3_11_00), (.writeFault, 0x3_03_00),
    (.writeError, 0x3_0c_00), (.internalTargetFailure, 0x4_44_00), (.aborted, 0xb_00_00), (.becomingReady, 0x2_04_01),
    (.noMedium, 0x2_3a_00), (.mediumChanged, 0x6_28_00), (.mediumRemovalPrevented, 0x5_53_02),
    (.reservationsPreempted, 0x6_2a_03), (.registrationsPreempted, 0x6_2a_05),
    (.savingParametersNotSupported, 0x5_39_00),
  ])
  func catalogue(sense: SenseData, code: Int) {
    #expect(Int(sense.key.rawValue) << 16 | Int(sense.asc) << 8 | Int(sense.ascq) == code)
  }
}
