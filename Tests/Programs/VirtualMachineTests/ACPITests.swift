import TestVectors
import Testing
import WireBytes

@testable import VirtualMachine

/// The tables byte by byte: what iasl makes of the same source, and what stock kernels have booted with.
@Suite struct ACPITests {
  @Test func devices() {
    let expected = hex(
      """
      08 5f53355f 12 08 04 0a05 0a05 00 00
      10 4c0d 5f53425f
        5b82 4e07 564d4f44
          08 5f484944 0d 4143504930303034 00
          08 5f554944 00
          08 5f435253 11 1f 0a1c 87 1700 00 0c 03 00000000 000000f8 fffffffb 00000000 00000004 7900
          5b82 3c 564d4253
            08 5f484944 0d 564d427573 00
            08 5f44444e 0d 564d425553 00
            08 5f554944 00
            14 09 5f535441 00 a4 0a0f
            08 5f435253 11 09 0a06 23 2000 01 7900
        5b82 2c 434f4d31
          08 5f484944 0c 41d00501
          08 5f554944 01
          08 5f435253 11 11 0a0e 47 01 f803 f803 01 08 23 1000 01 7900
        5b82 26 52544330
          08 5f484944 0c 41d00b00
          08 5f435253 11 11 0a0e 47 01 7000 7000 01 02 23 0001 01 7900
      """)
    #expect(ACPITables.devices(serialPortCount: 1) == expected)
  }

  @Test func fixedDescription() {
    var expected = hex(
      """
      00080e00 00100e00 0000 0900 00000000 00000000 00040000 00000000 04040000 00000000 00000000 08040000
      00000000 00000000 04 02 00 04 00 00 00 00 ff0f ff0f 0000 0000 00 00 00 00 32 0500 00 35040000
      01080001 f90c000000000000 06 0000 01 00080e0000000000 00100e0000000000
      01200002 0004000000000000 [12] 01100002 0404000000000000 [12] [12] 01200003 0804000000000000
      """)
    expected += [UInt8](repeating: 0, count: 276 - 36 - expected.count)
    #expect(ACPITables.fixedDescription() == expected)
  }

  @Test func interruptControllers() {
    let expected = hex(
      """
      0000e0fe 01000000 0008 00 00 01000000 0008 01 01 01000000 010c 00 00 0000c0fe 00000000
      020a 00 00 02000000 0000 020a 00 09 09000000 0d00 0406 ff 0000 01
      """)
    #expect(ACPITables.interruptControllers(2) == expected)
  }

  @Test(arguments: [1, 2, 16]) func everyTableSumsToZeroAndFits(processorCount: Int) {
    let pieces = ACPITables(processorCount: processorCount, serialPortCount: 2).pieces
    for (index, piece) in pieces.enumerated() {
      if index != 4 { #expect(piece.bytes.reduce(UInt8(0)) { $0 &+ $1 } == 0) }
      if index + 1 < pieces.count {
        #expect(piece.address + UInt64(piece.bytes.count) <= pieces[index + 1].address)
      }
      #expect(piece.address + UInt64(piece.bytes.count) <= MachineLayout.highMemory)
    }
    #expect(pieces[0].bytes.prefix(20).reduce(UInt8(0)) { $0 &+ $1 } == 0)
    #expect(le64(pieces[0].bytes, at: 24) == pieces[1].address)
    #expect(le64(pieces[1].bytes, at: 36) == pieces[2].address)
    #expect(le64(pieces[1].bytes, at: 44) == pieces[3].address)
    #expect(le64(pieces[2].bytes, at: 140) == pieces[5].address)
    for piece in pieces.dropFirst() { #expect(Int(le32(piece.bytes, at: 4)) == piece.bytes.count) }
  }
}

func le64(_ bytes: [UInt8], at offset: Int) -> UInt64 { bytes.rawSpan.le64(at: offset) }

func le32(_ bytes: [UInt8], at offset: Int) -> UInt32 { bytes.rawSpan.le32(at: offset) }
