extension Command {
  /// Parses and checks a command block as a disk target must.
  ///
  /// Refused are: commands that a disk target here never serves (FORMAT UNIT, COMPARE AND WRITE, unknown ones), blocks
  /// shorter than their opcode's group, protection information, relative addressing, the obsolete FUA_NV, and the NACA
  /// and link bits of the control byte. Bits that have no meaning for the command are ignored.
  /// - Throws: `CommandError`, whose ``CommandError/senseData`` is the answer to the initiator.
  public init(parsing cdb: CommandDescriptorBlock) throws(CommandError) {
    let opcode = cdb.opcode
    guard let needed = opcode.blockByteCount else { throw .invalidOpcode(opcode) }
    let command = try Command.parse(opcode, cdb)
    guard cdb.byteCount >= needed else { throw .tooShort(byteCount: cdb.byteCount, needed: needed) }
    guard cdb[needed - 1] & 0x07 == 0 else { throw .invalidField(byte: needed - 1) }
    self = command
  }

  private static func parse(
    _ opcode: Opcode, _ cdb: CommandDescriptorBlock
  ) throws(CommandError) -> Command {
    switch opcode {
    case .read16, .write16, .read10, .write10, .read12, .write12, .read6, .write6:
      return try parseTransfer(opcode, cdb)
    case .testUnitReady:
      return .testUnitReady
    case .requestSense:
      return .requestSense(descriptorFormat: cdb[1] & 0x01 != 0, allocation: Int(cdb[4]))
    case .inquiry:
      return try parseInquiry(cdb)
    case .reportLUNs:
      guard cdb[2] <= 2 else { throw .invalidField(byte: 2) }
      return .reportLUNs(select: cdb[2], allocation: Int(cdb.be32(at: 6)))
    case .modeSense6, .modeSense10, .modeSelect6, .modeSelect10:
      return parseMode(opcode, cdb)
    case .readCapacity10:
      guard cdb.be32(at: 2) == 0 else { throw .invalidField(byte: 2) }
      guard cdb[8] & 0x01 == 0 else { throw .invalidField(byte: 8) }
      return .readCapacity10
    case .serviceActionIn16, .maintenanceIn:
      return try parseServiceAction(opcode, cdb)
    case .synchronizeCache10, .synchronizeCache16, .writeSame10, .writeSame16, .verify10, .verify12, .verify16,
      .writeAndVerify10, .writeAndVerify12, .writeAndVerify16:
      return try parseRange(opcode, cdb)
    case .unmap:
      return .unmap(listLength: Int(cdb.be16(at: 7)), anchor: cdb[1] & 0x01 != 0)
    case .persistentReserveIn, .persistentReserveOut:
      return try parsePersistentReserve(opcode, cdb)
    case .startStopUnit:
      return .startStop(
        start: cdb[4] & 0x01 != 0, loadEject: cdb[4] & 0x02 != 0, noFlush: cdb[4] & 0x04 != 0,
        powerCondition: cdb[4] >> 4, immediate: cdb[1] & 0x01 != 0)
    case .preventAllowMediumRemoval:
      return .preventAllow(prevent: cdb[4] & 0x01 != 0)
    case .reserve6:
      return .reserve6
    case .release6:
      return .release6
    case .sendDiagnostic:
      return .sendDiagnostic(
        selfTest: cdb[1] & 0x04 != 0, code: cdb[1] >> 5, listLength: Int(cdb.be16(at: 3)))
    default:
      throw .invalidOpcode(opcode)
    }
  }

  /// The LBA and block count of a 10-, 12- or 16-byte command of the READ family.
  private static func extent(_ cdb: CommandDescriptorBlock, _ opcode: Opcode) -> BlockExtent {
    switch opcode.blockByteCount {
    case 16: BlockExtent(lba: cdb.be64(at: 2), blocks: cdb.be32(at: 10))
    case 12: BlockExtent(lba: UInt64(cdb.be32(at: 2)), blocks: cdb.be32(at: 6))
    default: BlockExtent(lba: UInt64(cdb.be32(at: 2)), blocks: UInt32(cdb.be16(at: 7)))
    }
  }

  private static func parseTransfer(
    _ opcode: Opcode, _ cdb: CommandDescriptorBlock
  ) throws(CommandError) -> Command {
    let extent: BlockExtent
    let dpo: Bool
    let fua: Bool
    if opcode == .read6 || opcode == .write6 {
      // 21 bits of LBA; a count of 0 means 256.
      guard cdb[1] & 0xe0 == 0 else { throw .invalidField(byte: 1) }
      extent = BlockExtent(lba: UInt64(cdb.be32(at: 0) & 0x1f_ffff), blocks: cdb[4] == 0 ? 256 : UInt32(cdb[4]))
      dpo = false
      fua = false
    } else {
      // Bits 7-5 ask for protection information, 1 is FUA_NV, 0 is RELADR: to ignore any of them would change what
      // the initiator gets.
      guard cdb[1] & 0xe7 == 0 else { throw .invalidField(byte: 1) }
      extent = Command.extent(cdb, opcode)
      dpo = cdb[1] & 0x10 != 0
      fua = cdb[1] & 0x08 != 0
    }
    switch opcode {
    case .read6, .read10, .read12, .read16:
      return .read(lba: extent.lba, blocks: extent.blocks, fua: fua, dpo: dpo)
    default:
      return .write(lba: extent.lba, blocks: extent.blocks, fua: fua, dpo: dpo)
    }
  }

  private static func parseInquiry(_ cdb: CommandDescriptorBlock) throws(CommandError) -> Command {
    guard cdb[1] & 0x02 == 0 else { throw .invalidField(byte: 1) }
    let allocation = Int(cdb.be16(at: 3))
    if cdb[1] & 0x01 != 0 {
      return .inquiry(page: VPDPage(rawValue: cdb[2]), allocation: allocation)
    }
    guard cdb[2] == 0 else { throw .invalidField(byte: 2) }
    return .inquiry(page: nil, allocation: allocation)
  }

  private static func parseMode(_ opcode: Opcode, _ cdb: CommandDescriptorBlock) -> Command {
    let ten = opcode.blockByteCount == 10
    let length = ten ? Int(cdb.be16(at: 7)) : Int(cdb[4])
    if opcode == .modeSelect6 || opcode == .modeSelect10 {
      return .modeSelect(
        pageFormat: cdb[1] & 0x10 != 0, savePages: cdb[1] & 0x01 != 0, listLength: length, ten: ten)
    }
    // Two bits: every value has a case.
    let control = PageControl(rawValue: cdb[2] >> 6) ?? .current
    return .modeSense(
      page: ModePage(rawValue: cdb[2] & 0x3f), subpage: cdb[3], control: control, allocation: length, ten: ten,
      dbd: cdb[1] & 0x08 != 0)
  }

  private static func parseServiceAction(
    _ opcode: Opcode, _ cdb: CommandDescriptorBlock
  ) throws(CommandError) -> Command {
    let action = cdb[1] & 0x1f
    switch (opcode, action) {
    case (.serviceActionIn16, ServiceAction.readCapacity16):
      guard cdb.be64(at: 2) == 0 else { throw .invalidField(byte: 2) }
      guard cdb[14] & 0x01 == 0 else { throw .invalidField(byte: 14) }
      return .readCapacity16(allocation: Int(cdb.be32(at: 10)))
    case (.serviceActionIn16, ServiceAction.getLBAStatus):
      return .getLBAStatus(lba: cdb.be64(at: 2), allocation: Int(cdb.be32(at: 10)))
    case (.maintenanceIn, ServiceAction.reportSupportedOpcodes):
      let options = cdb[2] & 0x07
      guard options <= 3 else { throw .invalidField(byte: 2) }
      return .reportSupportedOpcodes(
        options: options, opcode: Opcode(rawValue: cdb[3]), serviceAction: cdb.be16(at: 4),
        timeouts: cdb[2] & 0x80 != 0, allocation: Int(cdb.be32(at: 6)))
    default:
      throw .invalidServiceAction(action)
    }
  }

  private static func parseRange(
    _ opcode: Opcode, _ cdb: CommandDescriptorBlock
  ) throws(CommandError) -> Command {
    let extent = Command.extent(cdb, opcode)
    let flags = cdb[1]
    switch opcode {
    case .synchronizeCache10, .synchronizeCache16:
      guard flags & 0x01 == 0 else { throw .invalidField(byte: 1) }
      return .synchronizeCache(lba: extent.lba, blocks: extent.blocks, immediate: flags & 0x02 != 0)
    case .writeSame10, .writeSame16:
      // Bits 2 and 1 (PBDATA, LBDATA) ask for a pattern that changes from block to block; bit 0 is RELADR in (10).
      let sixteen = opcode == .writeSame16
      guard flags & (sixteen ? 0xe6 : 0xe7) == 0 else { throw .invalidField(byte: 1) }
      return .writeSame(
        lba: extent.lba, blocks: extent.blocks, unmap: flags & 0x08 != 0, ndob: flags & 0x01 != 0,
        anchor: flags & 0x10 != 0, sixteen: sixteen)
    default:
      let byteCheck = flags >> 1 & 0x03
      guard flags & 0xe9 == 0, byteCheck != 2 else { throw .invalidField(byte: 1) }
      let writing = opcode == .writeAndVerify10 || opcode == .writeAndVerify12 || opcode == .writeAndVerify16
      return .verify(
        lba: extent.lba, blocks: extent.blocks, byteCheck: byteCheck, dpo: flags & 0x10 != 0, writing: writing)
    }
  }

  private static func parsePersistentReserve(
    _ opcode: Opcode, _ cdb: CommandDescriptorBlock
  ) throws(CommandError) -> Command {
    let action = cdb[1] & 0x1f
    if opcode == .persistentReserveIn {
      guard let inAction = PersistentReserveInAction(rawValue: action) else { throw .invalidServiceAction(action) }
      return .persistentReserveIn(action: inAction, allocation: Int(cdb.be16(at: 7)))
    }
    guard let outAction = PersistentReserveOutAction(rawValue: action) else { throw .invalidServiceAction(action) }
    return .persistentReserveOut(
      action: outAction, scope: cdb[2] >> 4, type: ReservationType(rawValue: cdb[2] & 0x0f),
      listLength: Int(cdb.be32(at: 5)))
  }
}
