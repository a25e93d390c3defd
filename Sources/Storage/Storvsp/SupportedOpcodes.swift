import SCSI
import WireBytes

/// What REPORT SUPPORTED OPERATION CODES tells (T10 SPC-4): the commands of a disk, and which bits of them mean
/// something.
struct SupportedOpcodes {
  private struct Entry {
    var opcode: Opcode
    var serviceAction: UInt16?
    /// The command block with a 1 for each bit that is looked at; byte 0 is the opcode.
    var usage: [UInt8]
  }

  private let entries: [Entry]

  /// The commands of a disk.
  init(supportsUnmap: Bool) {
    func entry(_ opcode: Opcode, _ usage: [UInt8], action: UInt16? = nil) -> Entry {
      // The control byte is checked in every command.
      Entry(opcode: opcode, serviceAction: action, usage: [opcode.rawValue] + usage + [0x07])
    }
    let lba4: [UInt8] = [0xff, 0xff, 0xff, 0xff]
    let lba8 = lba4 + lba4
    var all = [
      entry(.testUnitReady, [0, 0, 0, 0]),
      entry(.requestSense, [0, 0, 0, 0xff]),
      entry(.read6, [0xff, 0xff, 0xff, 0xff]),
      entry(.write6, [0xff, 0xff, 0xff, 0xff]),
      entry(.inquiry, [0x03, 0xff, 0xff, 0xff]),
      entry(.modeSelect6, [0x11, 0, 0, 0xff]),
      entry(.reserve6, [0, 0, 0, 0]),
      entry(.release6, [0, 0, 0, 0]),
      entry(.modeSense6, [0x08, 0xff, 0xff, 0xff]),
      entry(.startStopUnit, [0x01, 0, 0, 0xf7]),
      entry(.sendDiagnostic, [0xe4, 0, 0xff, 0xff]),
      entry(.preventAllowMediumRemoval, [0, 0, 0, 0x01]),
      entry(.readCapacity10, [0] + lba4 + [0, 0, 0x01]),
      entry(.read10, [0xff] + lba4 + [0, 0xff, 0xff]),
      entry(.write10, [0xff] + lba4 + [0, 0xff, 0xff]),
      entry(.verify10, [0xf7] + lba4 + [0, 0xff, 0xff]),
      entry(.synchronizeCache10, [0x03] + lba4 + [0, 0xff, 0xff]),
      entry(.writeSame10, [0xff] + lba4 + [0, 0xff, 0xff]),
      entry(.modeSelect10, [0x11, 0, 0, 0, 0, 0, 0xff, 0xff]),
      entry(.modeSense10, [0x08, 0xff, 0xff, 0, 0, 0, 0xff, 0xff]),
      entry(.read16, [0xff] + lba8 + lba4 + [0]),
      entry(.write16, [0xff] + lba8 + lba4 + [0]),
      entry(.verify16, [0xf7] + lba8 + lba4 + [0]),
      entry(.synchronizeCache16, [0x03] + lba8 + lba4 + [0]),
      entry(.writeSame16, [0xff] + lba8 + lba4 + [0]),
      // READ CAPACITY(16) and GET LBA STATUS.
      entry(.serviceActionIn16, [0x1f] + lba8 + lba4 + [0x01], action: 0x10),
      entry(.serviceActionIn16, [0x1f] + lba8 + lba4 + [0], action: 0x12),
      entry(.reportLUNs, [0, 0xff, 0, 0, 0] + lba4 + [0]),
      // REPORT SUPPORTED OPERATION CODES.
      entry(.maintenanceIn, [0x1f, 0x87, 0xff, 0xff, 0xff] + lba4 + [0], action: 0x0c),
      entry(.read12, [0xff] + lba4 + lba4 + [0]),
      entry(.write12, [0xff] + lba4 + lba4 + [0]),
      entry(.verify12, [0xf7] + lba4 + lba4 + [0]),
    ]
    if supportsUnmap { all.append(entry(.unmap, [0x01, 0, 0, 0, 0, 0, 0xff, 0xff])) }
    for action in 0...2 as ClosedRange<UInt16> {
      all.append(entry(.persistentReserveIn, [0x1f, 0, 0, 0, 0, 0, 0xff, 0xff], action: action))
    }
    for action in 0...6 as ClosedRange<UInt16> {
      all.append(entry(.persistentReserveOut, [0x1f, 0xff, 0, 0] + lba4, action: action))
    }
    entries = all
  }

  /// The data for the reporting options: 0 all commands, 1 one opcode, 2 one service action, 3 either. Nil when the
  /// options do not fit the opcode.
  func report(options: UInt8, _ opcode: Opcode, _ serviceAction: UInt16) -> [UInt8]? {
    if options == 0 { return all }
    let known = entries.filter { $0.opcode == opcode }
    let hasActions = known.contains { $0.serviceAction != nil }
    switch options {
    case 1:
      if hasActions { return nil }
      return one(known.first)
    case 2:
      if !known.isEmpty, !hasActions { return nil }
      return one(known.first { $0.serviceAction == serviceAction })
    default:
      return one(known.first { ($0.serviceAction ?? 0) == serviceAction })
    }
  }

  private var all: [UInt8] {
    [UInt8](zeroed: 4 + 8 * entries.count) { bytes in
      bytes.storeBE(UInt32(8 * entries.count), at: 0)
      for (index, entry) in entries.enumerated() {
        let offset = 4 + 8 * index
        bytes.storeBE(entry.opcode.rawValue, at: offset)
        bytes.storeBE(entry.serviceAction ?? 0, at: offset + 2)
        // SERVACTV.
        bytes.storeBE(UInt8(entry.serviceAction == nil ? 0 : 1), at: offset + 5)
        bytes.storeBE(UInt16(entry.usage.count), at: offset + 6)
      }
    }
  }

  private func one(_ entry: Entry?) -> [UInt8] {
    // SUPPORT: 1 not supported, 3 as the standard has it.
    guard let entry else { return [0, 1, 0, 0] }
    var usage = entry.usage
    if let action = entry.serviceAction { usage[1] = usage[1] & 0xe0 | UInt8(action) }
    return [0, 3, 0, UInt8(usage.count)] + usage
  }
}
