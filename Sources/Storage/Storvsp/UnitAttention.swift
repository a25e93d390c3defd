import SCSI

/// A condition that is reported once to a guest instead of carrying its next command out (T10 SPC-4: unit attention).
///
/// Lower values are reported first.
enum UnitAttention: UInt32, CaseIterable {
  case capacityChanged
  case modeParametersChanged
  case registrationsPreempted
  case reservationsPreempted
  case reservationsReleased

  var sense: SenseData {
    switch self {
    case .capacityChanged: .capacityChanged
    case .modeParametersChanged: .modeParametersChanged
    case .registrationsPreempted: .registrationsPreempted
    case .reservationsPreempted: .reservationsPreempted
    // 6/2A/04: reservations released.
    case .reservationsReleased: SenseData(.unitAttention, 0x2a, 0x04)
    }
  }

  var bit: UInt32 { 1 << rawValue }
}
