/// The commands of an initiator. Allocation lengths and list lengths are in bytes.
extension CommandDescriptorBlock {
  /// TEST UNIT READY.
  public static var testUnitReady: CommandDescriptorBlock {
    CommandDescriptorBlock(.testUnitReady)
  }

  /// REQUEST SENSE, for sense data of the fixed format.
  public static func requestSense(allocation: UInt8) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.requestSense)
    block[4] = allocation
    return block
  }

  /// INQUIRY of the standard data, or of a VPD page.
  public static func inquiry(page: VPDPage? = nil, allocation: UInt16) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.inquiry)
    if let page {
      block[1] = 1
      block[2] = page.rawValue
    }
    block.set16(allocation, at: 3)
    return block
  }

  /// REPORT LUNS, without well-known units.
  public static func reportLUNs(allocation: UInt32) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.reportLUNs)
    block.set32(allocation, at: 6)
    return block
  }

  /// READ CAPACITY(10).
  public static var readCapacity10: CommandDescriptorBlock {
    CommandDescriptorBlock(.readCapacity10)
  }

  /// READ CAPACITY(16).
  public static func readCapacity16(allocation: UInt32 = 32) -> CommandDescriptorBlock {
    CommandDescriptorBlock(
      .serviceActionIn16, flags: ServiceAction.readCapacity16, lba: 0, number: allocation)
  }

  /// GET LBA STATUS from `lba` on.
  public static func getLBAStatus(lba: UInt64, allocation: UInt32) -> CommandDescriptorBlock {
    CommandDescriptorBlock(.serviceActionIn16, flags: ServiceAction.getLBAStatus, lba: lba, number: allocation)
  }

  /// MODE SENSE(6) of the current values, without block descriptors.
  public static func modeSense6(page: ModePage, allocation: UInt8 = 255) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.modeSense6)
    block[1] = 0x08
    block[2] = page.rawValue & 0x3f
    block[4] = allocation
    return block
  }

  /// READ(10).
  public static func read10(lba: UInt32, blocks: UInt16, fua: Bool = false) -> CommandDescriptorBlock {
    transfer10(.read10, lba: lba, blocks: blocks, fua: fua)
  }

  /// WRITE(10); with `fua` the data are stable before the status.
  public static func write10(lba: UInt32, blocks: UInt16, fua: Bool = false) -> CommandDescriptorBlock {
    transfer10(.write10, lba: lba, blocks: blocks, fua: fua)
  }

  /// READ(16).
  public static func read16(lba: UInt64, blocks: UInt32, fua: Bool = false) -> CommandDescriptorBlock {
    CommandDescriptorBlock(.read16, flags: fua ? 0x08 : 0, lba: lba, number: blocks)
  }

  /// WRITE(16); with `fua` the data are stable before the status.
  public static func write16(lba: UInt64, blocks: UInt32, fua: Bool = false) -> CommandDescriptorBlock {
    CommandDescriptorBlock(.write16, flags: fua ? 0x08 : 0, lba: lba, number: blocks)
  }

  /// SYNCHRONIZE CACHE(16), waiting for its end; 0 `blocks` reach to the end of the disk.
  public static func synchronizeCache16(lba: UInt64 = 0, blocks: UInt32 = 0) -> CommandDescriptorBlock {
    CommandDescriptorBlock(.synchronizeCache16, flags: 0, lba: lba, number: blocks)
  }

  /// UNMAP of what a list of `listLength` bytes names.
  public static func unmap(listLength: UInt16) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.unmap)
    block.set16(listLength, at: 7)
    return block
  }

  /// WRITE SAME(16): with `unmap` blocks may be deallocated, with `ndob` no block is sent and zeros are written.
  public static func writeSame16(
    lba: UInt64, blocks: UInt32, unmap: Bool = false, ndob: Bool = false
  ) -> CommandDescriptorBlock {
    CommandDescriptorBlock(.writeSame16, flags: (unmap ? 0x08 : 0) | (ndob ? 0x01 : 0), lba: lba, number: blocks)
  }

  /// RESERVE(6).
  public static var reserve6: CommandDescriptorBlock {
    CommandDescriptorBlock(.reserve6)
  }

  /// RELEASE(6).
  public static var release6: CommandDescriptorBlock {
    CommandDescriptorBlock(.release6)
  }

  /// START STOP UNIT without a power condition.
  public static func startStop(
    start: Bool, loadEject: Bool = false, immediate: Bool = false
  ) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(.startStopUnit)
    block[1] = immediate ? 0x01 : 0
    block[4] = (loadEject ? 0x02 : 0) | (start ? 0x01 : 0)
    return block
  }

  private static func transfer10(
    _ opcode: Opcode, lba: UInt32, blocks: UInt16, fua: Bool
  ) -> CommandDescriptorBlock {
    var block = CommandDescriptorBlock(opcode)
    block[1] = fua ? 0x08 : 0
    block.set32(lba, at: 2)
    block.set16(blocks, at: 7)
    return block
  }
}

/// The service actions that this module knows; five bits in byte 1.
enum ServiceAction {
  static let readCapacity16: UInt8 = 0x10
  static let getLBAStatus: UInt8 = 0x12
  static let reportSupportedOpcodes: UInt8 = 0x0c
}
