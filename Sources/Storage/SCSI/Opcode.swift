/// The first byte of a command descriptor block (T10 SPC-4, SBC-3).
public struct Opcode: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// TEST UNIT READY.
  @inlinable public static var testUnitReady: Opcode { Opcode(rawValue: 0x00) }

  /// REQUEST SENSE.
  @inlinable public static var requestSense: Opcode { Opcode(rawValue: 0x03) }

  /// FORMAT UNIT.
  @inlinable public static var formatUnit: Opcode { Opcode(rawValue: 0x04) }

  /// READ(6).
  @inlinable public static var read6: Opcode { Opcode(rawValue: 0x08) }

  /// WRITE(6).
  @inlinable public static var write6: Opcode { Opcode(rawValue: 0x0A) }

  /// INQUIRY.
  @inlinable public static var inquiry: Opcode { Opcode(rawValue: 0x12) }

  /// MODE SELECT(6).
  @inlinable public static var modeSelect6: Opcode { Opcode(rawValue: 0x15) }

  /// RESERVE(6).
  @inlinable public static var reserve6: Opcode { Opcode(rawValue: 0x16) }

  /// RELEASE(6).
  @inlinable public static var release6: Opcode { Opcode(rawValue: 0x17) }

  /// MODE SENSE(6).
  @inlinable public static var modeSense6: Opcode { Opcode(rawValue: 0x1A) }

  /// START STOP UNIT.
  @inlinable public static var startStopUnit: Opcode { Opcode(rawValue: 0x1B) }

  /// SEND DIAGNOSTIC.
  @inlinable public static var sendDiagnostic: Opcode { Opcode(rawValue: 0x1D) }

  /// PREVENT ALLOW MEDIUM REMOVAL.
  @inlinable public static var preventAllowMediumRemoval: Opcode { Opcode(rawValue: 0x1E) }

  /// READ CAPACITY(10).
  @inlinable public static var readCapacity10: Opcode { Opcode(rawValue: 0x25) }

  /// READ(10).
  @inlinable public static var read10: Opcode { Opcode(rawValue: 0x28) }

  /// WRITE(10).
  @inlinable public static var write10: Opcode { Opcode(rawValue: 0x2A) }

  /// WRITE AND VERIFY(10).
  @inlinable public static var writeAndVerify10: Opcode { Opcode(rawValue: 0x2E) }

  /// VERIFY(10).
  @inlinable public static var verify10: Opcode { Opcode(rawValue: 0x2F) }

  /// SYNCHRONIZE CACHE(10).
  @inlinable public static var synchronizeCache10: Opcode { Opcode(rawValue: 0x35) }

  /// WRITE SAME(10).
  @inlinable public static var writeSame10: Opcode { Opcode(rawValue: 0x41) }

  /// UNMAP.
  @inlinable public static var unmap: Opcode { Opcode(rawValue: 0x42) }

  /// MODE SELECT(10).
  @inlinable public static var modeSelect10: Opcode { Opcode(rawValue: 0x55) }

  /// MODE SENSE(10).
  @inlinable public static var modeSense10: Opcode { Opcode(rawValue: 0x5A) }

  /// PERSISTENT RESERVE IN.
  @inlinable public static var persistentReserveIn: Opcode { Opcode(rawValue: 0x5E) }

  /// PERSISTENT RESERVE OUT.
  @inlinable public static var persistentReserveOut: Opcode { Opcode(rawValue: 0x5F) }

  /// READ(16).
  @inlinable public static var read16: Opcode { Opcode(rawValue: 0x88) }

  /// COMPARE AND WRITE.
  @inlinable public static var compareAndWrite: Opcode { Opcode(rawValue: 0x89) }

  /// WRITE(16).
  @inlinable public static var write16: Opcode { Opcode(rawValue: 0x8A) }

  /// WRITE AND VERIFY(16).
  @inlinable public static var writeAndVerify16: Opcode { Opcode(rawValue: 0x8E) }

  /// VERIFY(16).
  @inlinable public static var verify16: Opcode { Opcode(rawValue: 0x8F) }

  /// SYNCHRONIZE CACHE(16).
  @inlinable public static var synchronizeCache16: Opcode { Opcode(rawValue: 0x91) }

  /// WRITE SAME(16).
  @inlinable public static var writeSame16: Opcode { Opcode(rawValue: 0x93) }

  /// SERVICE ACTION IN(16): READ CAPACITY(16) and GET LBA STATUS.
  @inlinable public static var serviceActionIn16: Opcode { Opcode(rawValue: 0x9E) }

  /// REPORT LUNS.
  @inlinable public static var reportLUNs: Opcode { Opcode(rawValue: 0xA0) }

  /// MAINTENANCE IN: REPORT SUPPORTED OPERATION CODES.
  @inlinable public static var maintenanceIn: Opcode { Opcode(rawValue: 0xA3) }

  /// READ(12).
  @inlinable public static var read12: Opcode { Opcode(rawValue: 0xA8) }

  /// WRITE(12).
  @inlinable public static var write12: Opcode { Opcode(rawValue: 0xAA) }

  /// WRITE AND VERIFY(12).
  @inlinable public static var writeAndVerify12: Opcode { Opcode(rawValue: 0xAE) }

  /// VERIFY(12).
  @inlinable public static var verify12: Opcode { Opcode(rawValue: 0xAF) }
}

extension Opcode: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .testUnitReady: "TEST UNIT READY"
    case .requestSense: "REQUEST SENSE"
    case .formatUnit: "FORMAT UNIT"
    case .read6: "READ(6)"
    case .write6: "WRITE(6)"
    case .inquiry: "INQUIRY"
    case .modeSelect6: "MODE SELECT(6)"
    case .reserve6: "RESERVE(6)"
    case .release6: "RELEASE(6)"
    case .modeSense6: "MODE SENSE(6)"
    case .startStopUnit: "START STOP UNIT"
    case .sendDiagnostic: "SEND DIAGNOSTIC"
    case .preventAllowMediumRemoval: "PREVENT ALLOW MEDIUM REMOVAL"
    case .readCapacity10: "READ CAPACITY(10)"
    case .read10: "READ(10)"
    case .write10: "WRITE(10)"
    case .writeAndVerify10: "WRITE AND VERIFY(10)"
    case .verify10: "VERIFY(10)"
    case .synchronizeCache10: "SYNCHRONIZE CACHE(10)"
    case .writeSame10: "WRITE SAME(10)"
    case .unmap: "UNMAP"
    case .modeSelect10: "MODE SELECT(10)"
    case .modeSense10: "MODE SENSE(10)"
    case .persistentReserveIn: "PERSISTENT RESERVE IN"
    case .persistentReserveOut: "PERSISTENT RESERVE OUT"
    case .read16: "READ(16)"
    case .compareAndWrite: "COMPARE AND WRITE"
    case .write16: "WRITE(16)"
    case .writeAndVerify16: "WRITE AND VERIFY(16)"
    case .verify16: "VERIFY(16)"
    case .synchronizeCache16: "SYNCHRONIZE CACHE(16)"
    case .writeSame16: "WRITE SAME(16)"
    case .serviceActionIn16: "SERVICE ACTION IN(16)"
    case .reportLUNs: "REPORT LUNS"
    case .maintenanceIn: "MAINTENANCE IN"
    case .read12: "READ(12)"
    case .write12: "WRITE(12)"
    case .writeAndVerify12: "WRITE AND VERIFY(12)"
    case .verify12: "VERIFY(12)"
    default: "opcode \(rawValue.hexadecimal(digits: 2))"
    }
  }
}

extension Opcode {
  /// The bytes of a command block of this opcode's group; nil for the groups without a fixed size (SPC-4: group code).
  @inlinable
  public var blockByteCount: Int? {
    switch rawValue >> 5 {
    case 0: 6
    case 1, 2: 10
    case 4: 16
    case 5: 12
    default: nil
    }
  }
}
