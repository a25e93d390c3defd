import Block
import SCSI
import StorvscProtocol
@testable import Storvsp
import TestVectors
import Testing
import WireBytes

@Suite struct CommandTests {
  let disk: TestDisk
  let controller: SCSIController
  let guest: TestGuest

  init() throws {
    disk = TestDisk(byteCount: 64 << 30)
    controller = try .with(disk)
    guest = try TestGuest(controller)
    guest.start()
  }

  private func data(_ name: String) -> [UInt8] { GoldenVector.named(name, in: dataVectors).bytes }

  /// A command block of big-endian parts.
  private func cdb16(_ opcode: UInt8, _ flags: UInt8, _ lba: UInt64, _ count: UInt32) -> [UInt8] {
    [UInt8](zeroed: 16) { bytes in
      bytes.storeBE(opcode, at: 0)
      bytes.storeBE(flags, at: 1)
      bytes.storeBE(lba, at: 2)
      bytes.storeBE(count, at: 10)
    }
  }

  private func cdb10(_ opcode: UInt8, _ flags: UInt8, _ lba: UInt32, _ count: UInt16) -> [UInt8] {
    [UInt8](zeroed: 10) { bytes in
      bytes.storeBE(opcode, at: 0)
      bytes.storeBE(flags, at: 1)
      bytes.storeBE(lba, at: 2)
      bytes.storeBE(count, at: 7)
    }
  }

  private func expectSense(_ result: TestGuest.Result, _ sense: SenseData, _ comment: String = "") {
    #expect(result.sense == sense, "\(comment)")
    #expect(result.completion.dataTransferByteCount == 0 && result.completion.scsiStatus == .checkCondition)
    let isIllegal = sense.key == .illegalRequest
    #expect(result.completion.srbStatus.rawValue == (isIllegal ? 0x86 : 0x84), "\(comment)")
    #expect(result.header == .ioDeviceError)
  }

  @Test func identity() throws {
    #expect(guest.run([0x12, 0, 0, 0, 36, 0], in: 36).data == Array(data("D02").prefix(36)))
    #expect(guest.run([0x12, 0, 0, 0, 255, 0], in: 255).data == data("D02"))
    #expect(guest.run([0x12, 0, 0, 0, 4, 0], in: 255).data == Array(data("D02").prefix(4)))
    #expect(guest.run([0x12, 0, 0, 0, 0, 0]).isGood)
    #expect(guest.run([0x12, 1, 0x00, 0, 255, 0], in: 255).data == data("D04"))
    #expect(guest.run([0x12, 1, 0x83, 0, 255, 0], in: 255).data == data("D05"))
    #expect(guest.run([0x12, 1, 0x80, 0, 255, 0], in: 255).data == [0, 0x80, 0, 7] + Array("SG-0001".utf8))
    let limits = try BlockLimits(parsing: guest.run([0x12, 1, 0xb0, 0, 255, 0], in: 255).data.rawSpan)
    let reference = try BlockLimits(parsing: data("D06").rawSpan)
    #expect(limits.maximumTransferLength == 2048 && limits.unmapGranularity == 8)
    #expect(limits.maximumUnmapBlocks == reference.maximumUnmapBlocks && limits.unmapAlignment == 0)
    #expect(limits.maximumWriteSameLength == reference.maximumWriteSameLength)
    #expect(guest.run([0x12, 1, 0xb1, 0, 255, 0], in: 255).data == data("D07"))
    // D08, with LBPRZ and WRITE SAME added.
    #expect(guest.run([0x12, 1, 0xb2, 0, 255, 0], in: 255).data == [0, 0xb2, 0, 4, 1, 0xe4, 2, 0])
    expectSense(guest.run([0x12, 1, 0x84, 0, 255, 0], in: 255), .invalidFieldInCDB)
    expectSense(guest.run([0x12, 0, 0x80, 0, 255, 0], in: 255), .invalidFieldInCDB)
    // Without an identity there is no page 83, without a serial number no page 80.
    try controller.addDisk(lun: 1, device: TestDisk(BlockDeviceInfo(byteCount: 1 << 20)))
    #expect(guest.run([0x12, 1, 0, 0, 255, 0], lun: 1, in: 255).data == [0, 0, 0, 4, 0, 0xb0, 0xb1, 0xb2])
    expectSense(guest.run([0x12, 1, 0x83, 0, 255, 0], lun: 1, in: 255), .invalidFieldInCDB)
  }

  @Test func capacity() throws {
    #expect(guest.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], in: 8).data == data("D09"))
    var sixteen = data("D10")
    sixteen[14] = 0xc0
    #expect(guest.run(cdb16(0x9e, 0x10, 0, 32), in: 32).data == sixteen)
    #expect(guest.run(cdb16(0x9e, 0x10, 0, 12), in: 12).data == Array(sixteen.prefix(12)))
    let overrun = guest.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], in: 4)
    #expect(overrun.completion.srbStatus.rawValue == 0x92 && overrun.header == .bufferOverflow)
    #expect(overrun.sense == .invalidFieldInCDB)
    try controller.addDisk(lun: 2, device: TestDisk(byteCount: 1 << 20, sectorByteCount: 4096))
    #expect(guest.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], lun: 2, in: 8).data == [0, 0, 0, 0xff, 0, 0, 0x10, 0])
    #expect(guest.run(cdb16(0x9e, 0x10, 0, 32), lun: 2, in: 32).data[13] == 0)
    // A disk without blocks.
    try controller.addDisk(lun: 3, device: TestDisk(byteCount: 0))
    for command in [
      [0, 0, 0, 0, 0, 0], [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], cdb10(0x28, 0, 0, 1), cdb10(0x2a, 0, 0, 0),
    ] {
      expectSense(guest.run(command, lun: 3, in: command[0] == 0x2a ? 0 : 512), .noMedium)
    }
  }

  @Test func modes() {
    #expect(guest.run([0x1a, 8, 0x08, 0, 255, 0], in: 255).data == data("D11"))
    #expect(guest.run([0x1a, 8, 0x3f, 0, 4, 0], in: 4).data == [0x0f, 0, 0x10, 0])
    #expect(
      guest.run([0x1a, 8, 0x48, 0, 255, 0], in: 255).data == [0x0f, 0, 0x10, 0, 8, 10]
        + [UInt8](repeating: 0, count: 10))
    expectSense(guest.run([0x1a, 8, 0xc8, 0, 255, 0], in: 255), .savingParametersNotSupported)
    expectSense(guest.run([0x1a, 8, 0x01, 0, 255, 0], in: 255), .invalidFieldInCDB)
    expectSense(guest.run([0x1a, 8, 0x08, 1, 255, 0], in: 255), .invalidFieldInCDB)
    // MODE SELECT of what MODE SENSE gave.
    var list = data("D11")
    #expect(guest.run([0x15, 0x10, 0, 0, 16, 0], out: list).isGood)
    expectSense(guest.run([0x15, 0x11, 0, 0, 16, 0], out: list), .invalidFieldInCDB)
    list[6] = 0
    expectSense(guest.run([0x15, 0x10, 0, 0, 16, 0], out: list), .invalidFieldInParameterList)
    expectSense(guest.run([0x15, 0x10, 0, 0, 15, 0], out: list), .parameterListLengthError)
    expectSense(guest.run([0x15, 0x10, 0, 0, 17, 0], out: list), .parameterListLengthError)
    disk.change {
      $0.isReadOnly = true
    }
    try? controller.diskResized(lun: 0)
    guest.primary.endpoint.run()
    _ = guest.primary.receive()
    expectSense(guest.run([0, 0, 0, 0, 0, 0]), .capacityChanged)
    #expect(guest.run([0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0], in: 255).data == data("D12"))
  }

  /// READ and WRITE of each size, and FUA.
  @Test func transfers() {
    let block = (0..<1024).map { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
    let writes: [[UInt8]] = [
      [0x0a, 0, 0, 16, 2, 0], cdb10(0x2a, 0, 32, 2), [0xaa, 0, 0, 0, 0, 48, 0, 0, 0, 2, 0, 0], cdb16(0x8a, 0, 64, 2),
    ]
    for (index, command) in writes.enumerated() {
      let result = guest.run(command, out: block, offset: 0x333)
      #expect(result.isGood && result.completion.dataTransferByteCount == 1024)
      #expect(disk.bytes(at: UInt64(16 * (index + 1) * 512), count: 1024) == block)
    }
    let reads: [[UInt8]] = [
      [0x08, 0, 0, 16, 2, 0], cdb10(0x28, 0x18, 32, 2), [0xa8, 0, 0, 0, 0, 48, 0, 0, 0, 2, 0, 0], cdb16(0x88, 0, 64, 2),
    ]
    for command in reads { #expect(guest.run(command, in: 1024, offset: 0x10101).data == block) }
    // A longer buffer moves what the command says.
    let short = guest.run(cdb10(0x28, 0, 32, 1), in: 4096)
    #expect(short.isGood && short.completion.dataTransferByteCount == 512)
    // READ(6) of 0 blocks are 256; elsewhere 0 blocks move nothing, also right behind the end.
    #expect(guest.run([0x08, 0, 0, 16, 0, 0], in: 131072).completion.dataTransferByteCount == 131072)
    #expect(guest.run(cdb16(0x88, 0, 128 << 20, 0)).isGood)
    disk.clearLog()
    #expect(guest.run(cdb16(0x8a, 8, 0, 2), out: block).isGood)
    #expect(disk.log == [.init(operation: .write, offset: 0, byteCount: 1024, flags: 1)])
    let statistics = controller.sessions[0].statistics
    #expect(statistics.writes == 5 && statistics.writtenBytes == 5 * 1024 && statistics.failures == 0)
    #expect(statistics.reads == 6)
  }

  /// FUA on a device that does not know it: a write, then a flush, then the answer.
  @Test func emulatedFUA() {
    disk.change { $0.supportsForceUnitAccess = false }
    try? controller.diskResized(lun: 0)
    guest.primary.endpoint.run()
    _ = guest.primary.receive()
    guest.run([0, 0, 0, 0, 0, 0])
    #expect(guest.run([0x1a, 8, 0x08, 0, 255, 0], in: 255).data[2] == 0)
    disk.clearLog()
    #expect(guest.run(cdb16(0x8a, 8, 0, 2), out: [UInt8](repeating: 1, count: 1024)).isGood)
    #expect(disk.log.map(\.operation) == [.write, .flush] && disk.log[0].flags == 0)
    disk.fail(.flush, .noSpace)
    expectSense(guest.run(cdb16(0x8a, 8, 0, 2), out: [UInt8](repeating: 1, count: 1024)), .spaceAllocationFailed)
  }

  /// Transfers beyond what the device takes at once.
  @Test func slices() {
    disk.change { $0.maximumTransferByteCount = 8192 }
    try? controller.diskResized(lun: 0)
    guest.primary.endpoint.run()
    _ = guest.primary.receive()
    guest.run([0, 0, 0, 0, 0, 0])
    disk.clearLog()
    let data = (0..<50 * 512).map { UInt8(truncatingIfNeeded: $0 * 3 + $0 / 512) }
    #expect(guest.run(cdb16(0x8a, 0, 7, 50), out: data, offset: 0x123).isGood)
    #expect(disk.log.map(\.byteCount) == [8192, 8192, 8192, 1024])
    #expect(disk.bytes(at: 7 * 512, count: data.count) == data)
    let back = guest.run(cdb16(0x88, 0, 7, 50), in: data.count, offset: 0x20777)
    #expect(back.data == data && back.isGood)
  }

  @Test func refusedTransfers() {
    let last: UInt64 = 128 << 20
    for opcode in [0x88, 0x8a] as [UInt8] {
      let out = opcode == 0x8a ? [UInt8](repeating: 9, count: 1024) : nil
      for (lba, count) in [(last, 1), (last - 1, 2), (UInt64.max, 1), (UInt64.max - 1, 2), (1 << 63, 2)]
        as [(UInt64, UInt32)]
      {
        expectSense(guest.run(cdb16(opcode, 0, lba, count), out: out, in: 1024), .lbaOutOfRange, "\(lba)")
      }
      expectSense(guest.run(cdb16(opcode, 0x20, 0, 2), out: out, in: 1024), .invalidFieldInCDB)
      expectSense(guest.run(cdb16(opcode, 1, 0, 2), out: out, in: 1024), .invalidFieldInCDB)
      // Fewer bytes than blocks.
      let overrun = guest.run(cdb16(opcode, 0, 0, 3), out: out, in: 1024)
      #expect(overrun.completion.srbStatus.rawValue == 0x92 && overrun.completion.dataTransferByteCount == 0)
      // The wrong way round: nothing of the guest's memory changes.
      let before = guest.region.slice.slice(at: 0, count: 4096).bytes()
      let wrong = guest.run(cdb16(opcode, 0, 0, 2), in: 1024, direction: opcode == 0x88 ? .write : .read)
      #expect(wrong.completion.srbStatus.status == .invalidRequest)
      #expect(guest.region.slice.slice(at: 0, count: 4096).bytes() == before)
    }
    // Five bits of the first byte are LBA in READ(6).
    expectSense(guest.run([0x08, 0x20, 0, 0, 1, 0], in: 512), .invalidFieldInCDB)
    #expect(disk.log.isEmpty)
  }

  @Test func readOnly() throws {
    try controller.addDisk(lun: 7, device: disk, readOnly: true)
    let block = [UInt8](repeating: 1, count: 512)
    expectSense(guest.run(cdb10(0x2a, 0, 0, 1), lun: 7, out: block), .writeProtected)
    expectSense(guest.run(cdb16(0x93, 0, 0, 1), lun: 7, out: block), .writeProtected)
    expectSense(guest.run(cdb10(0x42, 0, 0, 24), lun: 7, out: data("D14")), .writeProtected)
    #expect(guest.run(cdb10(0x35, 0, 0, 0), lun: 7).isGood)
    #expect(guest.run([0x1a, 8, 0x08, 0, 255, 0], lun: 7, in: 255).data[2] == 0x90)
    #expect(disk.log.isEmpty)
  }

  @Test func flushes() {
    for command in [cdb10(0x35, 2, 0, 0), cdb16(0x91, 0, 5, 9), [0x1b, 1, 0, 0, 0, 0]] {
      disk.clearLog()
      #expect(guest.run(command).isGood)
      #expect(disk.log.map(\.operation) == [.flush])
    }
    disk.clearLog()
    #expect(guest.run([0x1b, 0, 0, 0, 1, 0]).isGood)
    #expect(disk.log.isEmpty)
    expectSense(guest.run(cdb16(0x91, 0, 128 << 20, 1)), .lbaOutOfRange)
    expectSense(guest.run([0x1b, 0, 0, 0, 2, 0]), .invalidFieldInCDB)
    expectSense(guest.run([0x1b, 0, 0, 0, 0x31, 0]), .invalidFieldInCDB)
    disk.fail(.flush, .medium)
    expectSense(guest.run(cdb10(0x35, 0, 0, 0)), .writeError)
  }

  @Test func unmapping() {
    func list(_ ranges: [(UInt64, UInt32)]) -> [UInt8] {
      [UInt8](zeroed: 8 + 16 * ranges.count) { bytes in
        UnmapList.storeHeader(descriptors: ranges.count, into: &bytes)
        for (index, range) in ranges.enumerated() {
          UnmapList.store(BlockExtent(lba: range.0, blocks: range.1), at: index, into: &bytes)
        }
      }
    }
    // Several ranges, one empty, one longer than a step.
    let ranges: [(UInt64, UInt32)] = [(8, 8), (100, 0), (1 << 20, 5 << 20), (128 << 20, 0)]
    let bytes = list(ranges)
    let result = guest.run(cdb10(0x42, 0, 0, UInt16(bytes.count)), out: bytes)
    #expect(result.isGood && result.completion.dataTransferByteCount == UInt32(bytes.count))
    let mebibyte: UInt64 = 1 << 20
    #expect(disk.log.map(\.offset) == [4096, 512 * mebibyte, 1536 * mebibyte, 2560 * mebibyte])
    #expect(disk.log.map(\.byteCount) == [4096, 1024 * mebibyte, 1024 * mebibyte, 512 * mebibyte])
    #expect(disk.log.allSatisfy { $0.operation == .discard })
    disk.clearLog()
    // A later command in the same slot has nothing of that list.
    #expect(guest.run(cdb10(0x42, 0, 0, 24), out: list([(0, 8)])).isGood)
    #expect(disk.log == [.init(operation: .discard, offset: 0, byteCount: 4096, flags: 0)])
    disk.clearLog()
    expectSense(guest.run(cdb10(0x42, 0, 0, 40), out: list([(0, 8), (128 << 20, 1)])), .lbaOutOfRange)
    expectSense(guest.run(cdb10(0x42, 1, 0, 24), out: list([(0, 8)])), .invalidFieldInCDB)
    expectSense(guest.run(cdb10(0x42, 0, 0, 23), out: list([(0, 8)])), .parameterListLengthError)
    expectSense(guest.run(cdb10(0x42, 0, 0, 25), out: list([(0, 8)])), .parameterListLengthError)
    #expect(guest.run(cdb10(0x42, 0, 0, 0)).isGood)
    // Bytes after the list do not matter.
    #expect(guest.run(cdb10(0x42, 0, 0, 32), out: list([(0, 0)]) + [UInt8](repeating: 7, count: 8)).isGood)
    #expect(disk.log.isEmpty)
    disk.fail(.discard, .medium)
    expectSense(guest.run(cdb10(0x42, 0, 0, 24), out: list([(0, 8)])), .writeError)
    disk.change { $0.supportsDiscard = false }
    try? controller.diskResized(lun: 0)
    guest.primary.endpoint.run()
    _ = guest.primary.receive()
    guest.run([0, 0, 0, 0, 0, 0])
    expectSense(guest.run(cdb10(0x42, 0, 0, 24), out: list([(0, 8)])), .invalidOpcode)
    #expect(guest.run([0x12, 1, 0xb2, 0, 255, 0], in: 255).data[5] == 0x60)
  }

  @Test func writeSame() {
    let zeros = [UInt8](repeating: 0, count: 512)
    let pattern = (0..<512).map { UInt8(truncatingIfNeeded: $0) }
    var result = guest.run(cdb16(0x93, 8, 16, 64), out: zeros)
    #expect(result.isGood && result.completion.dataTransferByteCount == 512)
    #expect(disk.log == [.init(operation: .writeZeroes, offset: 8192, byteCount: 32768, flags: 2)])
    disk.clearLog()
    result = guest.run(cdb16(0x93, 1, 16, 16384))
    #expect(result.isGood && result.completion.dataTransferByteCount == 0)
    #expect(disk.log == [.init(operation: .writeZeroes, offset: 8192, byteCount: 8 << 20, flags: 0)])
    disk.clearLog()
    #expect(guest.run(cdb10(0x41, 0, 3, 300), out: pattern).isGood)
    #expect(disk.log.map(\.byteCount) == [65536, 65536, 22528])
    #expect(disk.bytes(at: 3 * 512, count: 300 * 512) == (0..<300).flatMap { _ in pattern })
    #expect(disk.bytes(at: 303 * 512, count: 512) == zeros && disk.bytes(at: 2 * 512, count: 512) == zeros)
    disk.clearLog()
    expectSense(guest.run(cdb16(0x93, 0, 0, 16385), out: zeros), .invalidFieldInCDB)
    expectSense(guest.run(cdb16(0x93, 0, 0, 0), out: zeros), .invalidFieldInCDB)
    expectSense(guest.run(cdb16(0x93, 0x10, 0, 1), out: zeros), .invalidFieldInCDB)
    expectSense(guest.run(cdb16(0x93, 0, 128 << 20, 1), out: zeros), .lbaOutOfRange)
    expectSense(guest.run(cdb16(0x93, 0, 128 << 20, 0), out: zeros), .lbaOutOfRange)
    expectSense(guest.run(cdb16(0x93, 0, 0, 1), out: Array(zeros.prefix(511))), .invalidFieldInCDB)
    #expect(disk.log.isEmpty)
    // 0 blocks reach to the end.
    #expect(guest.run(cdb16(0x93, 0, (128 << 20) - 8, 0), out: zeros).isGood)
    #expect(disk.log.map(\.byteCount) == [4096])
  }

  @Test func smallCommands() {
    #expect(guest.run([0, 0, 0, 0, 0, 0]).isGood)
    #expect(guest.run([0x1e, 0, 0, 0, 1, 0]).isGood)
    #expect(guest.run([0x1d, 4, 0, 0, 0, 0]).isGood)
    expectSense(guest.run([0x1d, 0x20, 0, 0, 0, 0]), .invalidFieldInCDB)
    #expect(guest.run(cdb10(0x2f, 0, 0, 8)).isGood)
    expectSense(guest.run(cdb10(0x2f, 2, 0, 8)), .invalidFieldInCDB)
    expectSense(guest.run(cdb16(0x8f, 0, 128 << 20, 1)), .lbaOutOfRange)
    expectSense(guest.run(cdb10(0x2e, 0, 0, 1), out: [UInt8](repeating: 1, count: 512)), .invalidOpcode)
    for opcode in [0x04, 0x89, 0xc0, 0xff, 0x7f] as [UInt8] {
      expectSense(guest.run(cdb16(opcode, 0, 0, 0)), .invalidOpcode, "\(opcode)")
    }
    expectSense(guest.run(cdb16(0x9e, 0x11, 0, 32), in: 32), .invalidFieldInCDB)
    expectSense(guest.run([0x28, 0, 0, 0, 0, 0], in: 512), .invalidFieldInCDB)
    #expect(
      guest.run([0x03, 0, 0, 0, 18, 0], in: 18).data == [0x70, 0, 0, 0, 0, 0, 0, 10] + [UInt8](repeating: 0, count: 10))
    controller.disks[0].post(.capacityChanged)
    #expect(
      guest.run([0x03, 0, 0, 0, 18, 0], in: 18).data.prefix(14) == [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2a, 9])
    #expect(guest.run([0, 0, 0, 0, 0, 0]).isGood)
  }

  @Test func lbaStatus() {
    disk.store([1], at: 0x1000 * 512)
    var result = guest.run(cdb16(0x9e, 0x12, 0x1000, 24), in: 24)
    #expect(result.data == [0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 8, 0, 0, 0, 0])
    result = guest.run(cdb16(0x9e, 0x12, 0, 24), in: 24)
    #expect(result.data[20] == 1)
    #expect(guest.run(cdb16(0x9e, 0x12, 0, 9), in: 9).completion.dataTransferByteCount == 9)
    expectSense(guest.run(cdb16(0x9e, 0x12, 128 << 20, 24), in: 24), .lbaOutOfRange)
    disk.fail(.extent, .notSupported)
    // A device that can't tell: all of the disk counts as stored.
    #expect(guest.run(cdb16(0x9e, 0x12, 0x1000, 24), in: 24).data[16...] == [0x07, 0xff, 0xf0, 0, 0, 0, 0, 0])
  }

  @Test func supportedOpcodes() {
    func report(_ options: UInt8, _ opcode: UInt8, _ action: UInt8 = 0) -> TestGuest.Result {
      guest.run([0xa3, 0x0c, options, opcode, 0, action, 0, 0, 4, 0, 0, 0], in: 1024)
    }
    let all = report(0, 0).data
    #expect(all.rawSpan.be32(at: 0) == UInt32(all.count - 4) && (all.count - 4) % 8 == 0 && all.count > 300)
    // Each opcode of the list is known by itself too, with the same length, and is accepted by the parser.
    for offset in stride(from: 4, to: all.count, by: 8) {
      let hasAction = all[offset + 5] & 1 != 0
      let one = report(hasAction ? 2 : 1, all[offset], all[offset + 3]).data
      #expect(one[1] == 3 && one[3] == all[offset + 7] && one.count == 4 + Int(one[3]) && one[4] == all[offset])
      #expect(Opcode(rawValue: all[offset]).blockByteCount == Int(one[3]))
    }
    #expect(report(1, 0x04).data == [0, 1, 0, 0] && report(2, 0x5e, 9).data == [0, 1, 0, 0])
    #expect(report(1, 0x42).data[1] == 3)
    expectSense(report(1, 0x9e), .invalidFieldInCDB)
    expectSense(report(2, 0x28), .invalidFieldInCDB)
  }

  /// Each error of a device, for reads and writes: status, SCSI status and sense.
  @Test(arguments: BlockError.allCases) func deviceErrors(_ error: BlockError) {
    for isRead in [true, false] {
      disk.fail(isRead ? .read : .write, error)
      let result =
        isRead
        ? guest.run(cdb10(0x28, 0, 0, 1), in: 512)
        : guest.run(cdb10(0x2a, 0, 0, 1), out: [UInt8](repeating: 1, count: 512))
      let (srb, scsi, sense): (UInt8, UInt8, SenseData?) =
        switch error {
        case .outOfRange: (0x86, 2, .lbaOutOfRange)
        case .misaligned, .failed: (0x84, 2, .internalTargetFailure)
        case .readOnly: (0x84, 2, .writeProtected)
        case .noSpace: (0x84, 2, .spaceAllocationFailed)
        case .medium: (0x84, 2, isRead ? .unrecoveredReadError : .writeError)
        case .notSupported: (0x86, 2, .invalidOpcode)
        case .reserved: (0x04, 0x18, nil)
        case .busy, .noMemory: (0x05, 0x08, nil)
        case .timedOut: (0x84, 2, .aborted)
        case .gone: (0x84, 2, .noMedium)
        }
      #expect(result.completion.srbStatus.rawValue == srb && result.completion.scsiStatus.rawValue == scsi)
      #expect(result.sense == sense && result.completion.dataTransferByteCount == 0)
      #expect(result.header == (srb == 5 ? .deviceBusy : .ioDeviceError))
    }
  }
}
