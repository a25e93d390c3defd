/// The conditions that a disk target reports (T10 SPC-4, SBC-3: key, ASC, ASCQ).
extension SenseData {
  /// 5/20/00: invalid command operation code.
  @inlinable public static var invalidOpcode: SenseData { SenseData(.illegalRequest, 0x20, 0x00) }

  /// 5/21/00: LBA out of range.
  @inlinable public static var lbaOutOfRange: SenseData { SenseData(.illegalRequest, 0x21, 0x00) }

  /// 5/24/00: invalid field in CDB.
  @inlinable public static var invalidFieldInCDB: SenseData { SenseData(.illegalRequest, 0x24, 0x00) }

  /// 5/25/00: logical unit not supported.
  @inlinable public static var lunNotSupported: SenseData { SenseData(.illegalRequest, 0x25, 0x00) }

  /// 5/26/00: invalid field in parameter list.
  @inlinable public static var invalidFieldInParameterList: SenseData { SenseData(.illegalRequest, 0x26, 0x00) }

  /// 5/1A/00: parameter list length error.
  @inlinable public static var parameterListLengthError: SenseData { SenseData(.illegalRequest, 0x1a, 0x00) }

  /// 5/39/00: saving parameters not supported.
  @inlinable public static var savingParametersNotSupported: SenseData { SenseData(.illegalRequest, 0x39, 0x00) }

  /// 5/53/02: medium removal prevented.
  @inlinable public static var mediumRemovalPrevented: SenseData { SenseData(.illegalRequest, 0x53, 0x02) }

  /// 7/27/00: write protected.
  @inlinable public static var writeProtected: SenseData { SenseData(.dataProtect, 0x27, 0x00) }

  /// 7/27/07: space allocation failed.
  @inlinable public static var spaceAllocationFailed: SenseData { SenseData(.dataProtect, 0x27, 0x07) }

  /// 6/2A/09: capacity data changed.
  @inlinable public static var capacityChanged: SenseData { SenseData(.unitAttention, 0x2a, 0x09) }

  /// 6/2A/01: mode parameters changed.
  @inlinable public static var modeParametersChanged: SenseData { SenseData(.unitAttention, 0x2a, 0x01) }

  /// 6/2A/03: reservations preempted.
  @inlinable public static var reservationsPreempted: SenseData { SenseData(.unitAttention, 0x2a, 0x03) }

  /// 6/2A/05: registrations preempted.
  @inlinable public static var registrationsPreempted: SenseData { SenseData(.unitAttention, 0x2a, 0x05) }

  /// 6/29/00: power on, reset, or bus device reset occurred.
  @inlinable public static var powerOnOrReset: SenseData { SenseData(.unitAttention, 0x29, 0x00) }

  /// 6/29/02: SCSI bus reset occurred.
  @inlinable public static var busReset: SenseData { SenseData(.unitAttention, 0x29, 0x02) }

  /// 6/29/03: bus device reset occurred.
  @inlinable public static var deviceReset: SenseData { SenseData(.unitAttention, 0x29, 0x03) }

  /// 6/28/00: medium may have changed.
  @inlinable public static var mediumChanged: SenseData { SenseData(.unitAttention, 0x28, 0x00) }

  /// 6/3F/03: inquiry data changed.
  @inlinable public static var inquiryDataChanged: SenseData { SenseData(.unitAttention, 0x3f, 0x03) }

  /// 6/3F/0E: reported LUN data changed.
  @inlinable public static var lunDataChanged: SenseData { SenseData(.unitAttention, 0x3f, 0x0e) }

  /// 3/11/00: unrecovered read error.
  @inlinable public static var unrecoveredReadError: SenseData { SenseData(.mediumError, 0x11, 0x00) }

  /// 3/03/00: peripheral device write fault.
  @inlinable public static var writeFault: SenseData { SenseData(.mediumError, 0x03, 0x00) }

  /// 3/0C/00: write error.
  @inlinable public static var writeError: SenseData { SenseData(.mediumError, 0x0c, 0x00) }

  /// 3/10/01: logical block guard check failed.
  @inlinable public static var guardCheckFailed: SenseData { SenseData(.mediumError, 0x10, 0x01) }

  /// 3/10/03: logical block reference tag check failed.
  @inlinable public static var referenceTagCheckFailed: SenseData { SenseData(.mediumError, 0x10, 0x03) }

  /// 3/11/02: logical block application tag check failed.
  @inlinable public static var applicationTagCheckFailed: SenseData { SenseData(.mediumError, 0x11, 0x02) }

  /// 3/00/00: no further information.
  @inlinable public static var mediumIOError: SenseData { SenseData(.mediumError, 0x00, 0x00) }

  /// 4/44/00: internal target failure.
  @inlinable public static var internalTargetFailure: SenseData { SenseData(.hardwareError, 0x44, 0x00) }

  /// B/00/00: no further information.
  @inlinable public static var aborted: SenseData { SenseData(.abortedCommand, 0x00, 0x00) }

  /// 2/04/01: in process of becoming ready.
  @inlinable public static var becomingReady: SenseData { SenseData(.notReady, 0x04, 0x01) }

  /// 2/04/0A: asymmetric access state transition.
  @inlinable public static var asymmetricAccessTransition: SenseData { SenseData(.notReady, 0x04, 0x0a) }

  /// 2/3A/00: medium not present.
  @inlinable public static var noMedium: SenseData { SenseData(.notReady, 0x3a, 0x00) }

  /// 2/3A/01: medium not present, tray closed.
  @inlinable public static var noMediumTrayClosed: SenseData { SenseData(.notReady, 0x3a, 0x01) }

  /// 2/3A/02: medium not present, tray open.
  @inlinable public static var noMediumTrayOpen: SenseData { SenseData(.notReady, 0x3a, 0x02) }

  /// 0/00/00: no further information.
  @inlinable public static var none: SenseData { SenseData(.noSense, 0x00, 0x00) }
}

extension SenseData: CustomStringConvertible {
  /// For instance "ILLEGAL REQUEST, LBA out of range (5/21/00)".
  public var description: String {
    let text = additionalText.map { ", \($0)" } ?? ""
    let codes = "\(key.rawValue.hexadecimal(digits: 1))/\(asc.hexadecimal(digits: 2))/\(ascq.hexadecimal(digits: 2))"
    return "\(isDeferred ? "deferred " : "")\(key)\(text) (\(codes.uppercased()))"
  }

  /// The text of a known additional sense code.
  private var additionalText: String? {
    switch (asc, ascq) {
    case (0x20, 0x00): "invalid command operation code"
    case (0x21, 0x00): "LBA out of range"
    case (0x24, 0x00): "invalid field in CDB"
    case (0x25, 0x00): "logical unit not supported"
    case (0x26, 0x00): "invalid field in parameter list"
    case (0x1a, 0x00): "parameter list length error"
    case (0x39, 0x00): "saving parameters not supported"
    case (0x53, 0x02): "medium removal prevented"
    case (0x27, 0x00): "write protected"
    case (0x27, 0x07): "space allocation failed"
    case (0x2a, 0x09): "capacity data changed"
    case (0x2a, 0x01): "mode parameters changed"
    case (0x2a, 0x03): "reservations preempted"
    case (0x2a, 0x05): "registrations preempted"
    case (0x29, 0x00): "power on, reset, or bus device reset occurred"
    case (0x29, 0x02): "SCSI bus reset occurred"
    case (0x29, 0x03): "bus device reset occurred"
    case (0x28, 0x00): "medium may have changed"
    case (0x3f, 0x03): "inquiry data changed"
    case (0x3f, 0x0e): "reported LUN data changed"
    case (0x11, 0x00): "unrecovered read error"
    case (0x03, 0x00): "peripheral device write fault"
    case (0x0c, 0x00): "write error"
    case (0x10, 0x01): "logical block guard check failed"
    case (0x10, 0x03): "logical block reference tag check failed"
    case (0x11, 0x02): "logical block application tag check failed"
    case (0x00, 0x00): "no further information"
    case (0x44, 0x00): "internal target failure"
    case (0x04, 0x01): "in process of becoming ready"
    case (0x04, 0x0a): "asymmetric access state transition"
    case (0x3a, 0x00): "medium not present"
    case (0x3a, 0x01): "medium not present, tray closed"
    case (0x3a, 0x02): "medium not present, tray open"
    default: nil
    }
  }
}
