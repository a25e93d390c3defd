import Synchronization

/// What one disk keeps for one guest, shared by all channels of that guest.
///
/// Two words are looked at for every command; both are zero nearly always, and no lock is behind them.
final class UnitNexus: Sendable {
  let disk: SCSIDisk
  let guestID: UInt64

  private let attentions = Atomic<UInt32>(0)
  private let restrictionWord = Atomic<UInt32>(0)

  init(disk: SCSIDisk, guestID: UInt64) {
    self.disk = disk
    self.guestID = guestID
  }

  /// What the reservations of other guests forbid to this one.
  struct Restrictions: OptionSet {
    let rawValue: UInt32
    static let read = Restrictions(rawValue: 1)
    static let write = Restrictions(rawValue: 2)
  }

  var restrictions: Restrictions {
    get { Restrictions(rawValue: restrictionWord.load(ordering: .acquiring)) }
    set { restrictionWord.store(newValue.rawValue, ordering: .releasing) }
  }

  /// Makes `attention` pending; one that is pending already stays one.
  func post(_ attention: UnitAttention) {
    attentions.bitwiseOr(attention.bit, ordering: .acquiringAndReleasing)
  }

  @inline(__always)
  var hasAttention: Bool { attentions.load(ordering: .relaxed) != 0 }

  /// Takes the pending attention of the highest priority; each is given out once, whichever channel asks first.
  func takeAttention() -> UnitAttention? {
    for attention in UnitAttention.allCases {
      let before = attentions.bitwiseAnd(~attention.bit, ordering: .acquiringAndReleasing).oldValue
      if before & attention.bit != 0 { return attention }
    }
    return nil
  }
}
