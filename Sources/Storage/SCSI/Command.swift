/// A command that a disk target understands, with its checked fields.
///
/// `lba` and `blocks` count logical blocks and are not checked against a capacity; `allocation` and `listLength` are
/// bytes. The field names are those of T10 SPC-4 and SBC-3.
public enum Command: Equatable, BitwiseCopyable, Sendable {
  /// TEST UNIT READY.
  case testUnitReady
  /// REQUEST SENSE; `descriptorFormat` is DESC.
  case requestSense(descriptorFormat: Bool, allocation: Int)
  /// INQUIRY of the standard data (no page) or of a VPD page.
  case inquiry(page: VPDPage?, allocation: Int)
  /// REPORT LUNS; `select` is 0, 1 or 2.
  case reportLUNs(select: UInt8, allocation: Int)
  /// READ CAPACITY(10).
  case readCapacity10
  /// READ CAPACITY(16).
  case readCapacity16(allocation: Int)
  /// MODE SENSE(6), or (10) if `ten`; `dbd` asks for no block descriptors.
  case modeSense(page: ModePage, subpage: UInt8, control: PageControl, allocation: Int, ten: Bool, dbd: Bool)
  /// MODE SELECT(6), or (10) if `ten`.
  case modeSelect(pageFormat: Bool, savePages: Bool, listLength: Int, ten: Bool)
  /// READ(6), (10), (12) or (16). 0 blocks is legal and moves nothing.
  case read(lba: UInt64, blocks: UInt32, fua: Bool, dpo: Bool)
  /// WRITE(6), (10), (12) or (16). 0 blocks is legal and moves nothing.
  case write(lba: UInt64, blocks: UInt32, fua: Bool, dpo: Bool)
  /// SYNCHRONIZE CACHE(10) or (16); 0 blocks reach to the end of the disk.
  case synchronizeCache(lba: UInt64, blocks: UInt32, immediate: Bool)
  /// UNMAP.
  case unmap(listLength: Int, anchor: Bool)
  /// WRITE SAME(10), or (16) if `sixteen`; 0 blocks reach to the end of the disk.
  case writeSame(lba: UInt64, blocks: UInt32, unmap: Bool, ndob: Bool, anchor: Bool, sixteen: Bool)
  /// VERIFY, or WRITE AND VERIFY if `writing`; `byteCheck` is BYTCHK: 0, 1 or 3.
  case verify(lba: UInt64, blocks: UInt32, byteCheck: UInt8, dpo: Bool, writing: Bool)
  /// START STOP UNIT.
  case startStop(start: Bool, loadEject: Bool, noFlush: Bool, powerCondition: UInt8, immediate: Bool)
  /// PREVENT ALLOW MEDIUM REMOVAL.
  case preventAllow(prevent: Bool)
  /// PERSISTENT RESERVE IN.
  case persistentReserveIn(action: PersistentReserveInAction, allocation: Int)
  /// PERSISTENT RESERVE OUT; scope and type are not checked here, since some actions ignore them.
  case persistentReserveOut(
    action: PersistentReserveOutAction, scope: UInt8, type: ReservationType, listLength: Int)
  /// GET LBA STATUS.
  case getLBAStatus(lba: UInt64, allocation: Int)
  /// REPORT SUPPORTED OPERATION CODES; `options` is 0-3, `timeouts` is RCTD.
  case reportSupportedOpcodes(
    options: UInt8, opcode: Opcode, serviceAction: UInt16, timeouts: Bool, allocation: Int)
  /// RESERVE(6).
  case reserve6
  /// RELEASE(6).
  case release6
  /// SEND DIAGNOSTIC; `selfTest` is the default self-test, `code` the self-test code (0 with the default one).
  case sendDiagnostic(selfTest: Bool, code: UInt8, listLength: Int)
}

extension Command {
  /// Which way data go between initiator and target.
  public enum TransferDirection: Equatable, BitwiseCopyable, Sendable {
    /// The command has no data.
    case none
    /// The initiator receives: READ, INQUIRY and so on.
    case fromTarget
    /// The initiator sends: WRITE, UNMAP and so on.
    case toTarget
  }

  /// Which way the data of this command go; a length of 0 counts as no data.
  public var transferDirection: TransferDirection {
    switch self {
    case .testUnitReady, .synchronizeCache, .startStop, .preventAllow, .reserve6, .release6:
      .none
    case .requestSense(_, let length), .inquiry(_, let length), .reportLUNs(_, let length),
      .readCapacity16(let length), .modeSense(_, _, _, let length, _, _), .persistentReserveIn(_, let length),
      .getLBAStatus(_, let length), .reportSupportedOpcodes(_, _, _, _, let length):
      length == 0 ? .none : .fromTarget
    case .readCapacity10:
      .fromTarget
    case .read(_, let blocks, _, _):
      blocks == 0 ? .none : .fromTarget
    case .write(_, let blocks, _, _):
      blocks == 0 ? .none : .toTarget
    case .modeSelect(_, _, let length, _), .unmap(let length, _), .persistentReserveOut(_, _, _, let length),
      .sendDiagnostic(_, _, let length):
      length == 0 ? .none : .toTarget
    case .writeSame(_, _, _, let ndob, _, _):
      ndob ? .none : .toTarget
    case .verify(_, let blocks, let byteCheck, _, let writing):
      blocks == 0 || (byteCheck == 0 && !writing) ? .none : .toTarget
    }
  }
}

/// Which values MODE SENSE asks for (T10 SPC-4: PC); two bits.
public enum PageControl: UInt8, BitwiseCopyable, Sendable {
  /// The values in force.
  case current = 0
  /// A mask of what MODE SELECT may change.
  case changeable = 1
  /// The values after a reset.
  case defaults = 2
  /// The values kept over a reset.
  case saved = 3
}

/// What PERSISTENT RESERVE IN asks for (T10 SPC-4).
public enum PersistentReserveInAction: UInt8, BitwiseCopyable, Sendable {
  /// READ KEYS.
  case readKeys = 0
  /// READ RESERVATION.
  case readReservation = 1
  /// REPORT CAPABILITIES.
  case reportCapabilities = 2
  /// READ FULL STATUS.
  case readFullStatus = 3
}

/// What PERSISTENT RESERVE OUT does (T10 SPC-4).
public enum PersistentReserveOutAction: UInt8, BitwiseCopyable, Sendable {
  /// REGISTER.
  case register = 0
  /// RESERVE.
  case reserve = 1
  /// RELEASE.
  case release = 2
  /// CLEAR.
  case clear = 3
  /// PREEMPT.
  case preempt = 4
  /// PREEMPT AND ABORT.
  case preemptAndAbort = 5
  /// REGISTER AND IGNORE EXISTING KEY.
  case registerAndIgnoreExistingKey = 6
  /// REGISTER AND MOVE.
  case registerAndMove = 7
}

/// Why a command descriptor block is refused.
public enum CommandError: Error, Equatable, BitwiseCopyable, Sendable {
  /// The target has no such command.
  case invalidOpcode(Opcode)
  /// A field has a value that is reserved or not supported; the number is that of its byte in the block.
  case invalidField(byte: Int)
  /// The command has no such service action.
  case invalidServiceAction(UInt8)
  /// The block ends before the command does; the numbers are bytes.
  case tooShort(byteCount: Int, needed: Int)

  /// What the target answers: 5/20/00, or 5/24/00.
  public var senseData: SenseData {
    switch self {
    case .invalidOpcode: .invalidOpcode
    case .invalidField, .invalidServiceAction, .tooShort: .invalidFieldInCDB
    }
  }
}

extension CommandError: CustomStringConvertible {
  /// What is wrong, and where.
  public var description: String {
    switch self {
    case .invalidOpcode(let opcode): "command not supported: \(opcode)"
    case .invalidField(let byte): "invalid field in byte \(byte) of the command block"
    case .invalidServiceAction(let action): "service action 0x\(action.hexadecimal(digits: 2)) not supported"
    case .tooShort(let byteCount, let needed): "command block of \(byteCount) bytes, needs \(needed)"
    }
  }
}
