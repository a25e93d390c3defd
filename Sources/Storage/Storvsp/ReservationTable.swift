import SCSI

/// The reservations of one disk: persistent ones (T10 SPC-4), and the older RESERVE(6) (SPC-2).
///
/// A nexus is a guest; persistent registrations outlive its sessions, RESERVE(6) does not.
struct ReservationTable {
  /// How an action ends.
  enum Outcome: Equatable {
    case good
    case conflict
    case refused(SenseData)
  }

  /// A unit attention that an action makes pending for other guests.
  struct Notice: Equatable {
    var guestID: UInt64
    var attention: UnitAttention
  }

  /// A persistent reservation.
  struct Reservation: Equatable {
    /// The holder; nobody in particular when all registrants hold it.
    var guestID: UInt64
    var type: ReservationType
  }

  private(set) var generation: UInt32 = 0
  /// Keys in the order of registration.
  private(set) var registrations: [(guestID: UInt64, key: UInt64)] = []
  private(set) var reservation: Reservation?
  private(set) var exclusiveGuestID: UInt64?
  private var notices: [Notice] = []

  /// The most registrations that are kept; a guest has one.
  static let maximumRegistrationCount = 256

  /// Whether nothing restricts anybody.
  var isEmpty: Bool { reservation == nil && exclusiveGuestID == nil }

  func key(of guestID: UInt64) -> UInt64? {
    registrations.first { $0.guestID == guestID }?.key
  }

  /// The notices of the last actions, which are forgotten.
  mutating func takeNotices() -> [Notice] {
    defer { notices = [] }
    return notices
  }

  /// What `guestID` may not do.
  func restrictions(of guestID: UInt64) -> UnitNexus.Restrictions {
    if let exclusiveGuestID { return exclusiveGuestID == guestID ? [] : [.read, .write] }
    guard let reservation, !isHolder(guestID) else { return [] }
    switch reservation.type {
    case .writeExclusive: return .write
    case .exclusiveAccess: return [.read, .write]
    case .writeExclusiveRegistrantsOnly, .writeExclusiveAllRegistrants:
      return key(of: guestID) != nil ? [] : .write
    default: return key(of: guestID) != nil ? [] : [.read, .write]
    }
  }

  /// The reservation as READ RESERVATION shows it.
  var report: ReservationReport.Reservation? {
    reservation.map { held in
      ReservationReport.Reservation(
        key: held.type.isForAllRegistrants ? 0 : key(of: held.guestID) ?? 0, type: held.type)
    }
  }

  private func isHolder(_ guestID: UInt64) -> Bool {
    guard let reservation else { return false }
    return reservation.type.isForAllRegistrants ? key(of: guestID) != nil : reservation.guestID == guestID
  }

  // MARK: RESERVE(6) and RELEASE(6)

  mutating func reserve(_ guestID: UInt64) -> Outcome {
    guard registrations.isEmpty, reservation == nil else { return .conflict }
    guard exclusiveGuestID == nil || exclusiveGuestID == guestID else { return .conflict }
    exclusiveGuestID = guestID
    return .good
  }

  /// The end of a RESERVE(6); that of another guest stays.
  mutating func release(_ guestID: UInt64) -> Outcome {
    guard registrations.isEmpty, reservation == nil else { return .conflict }
    if exclusiveGuestID == guestID { exclusiveGuestID = nil }
    return .good
  }

  // MARK: PERSISTENT RESERVE OUT

  mutating func perform(
    _ action: PersistentReserveOutAction, guestID: UInt64, scope: UInt8, type: ReservationType,
    _ parameters: PersistentReserveOutParameters
  ) -> Outcome {
    guard exclusiveGuestID == nil else { return .conflict }
    switch action {
    case .register, .registerAndIgnoreExistingKey:
      if parameters.persistsThroughPowerLoss { return .refused(.invalidFieldInParameterList) }
      return register(
        guestID, parameters.serviceActionKey,
        expecting: action == .register ? parameters.reservationKey : key(of: guestID) ?? 0)
    case .registerAndMove: return .refused(.invalidFieldInCDB)
    default: break
    }
    guard let ownKey = key(of: guestID), ownKey == parameters.reservationKey else { return .conflict }
    switch action {
    case .reserve:
      guard scope == 0, type.isKnown else { return .refused(.invalidFieldInCDB) }
      return reserve(guestID, type)
    case .release:
      guard isHolder(guestID) else { return .good }
      // 5/26/04: invalid release of persistent reservation.
      guard scope == 0, type == reservation?.type else { return .refused(SenseData(.illegalRequest, 0x26, 0x04)) }
      endReservation(by: guestID)
      return .good
    case .clear:
      generation &+= 1
      notify(.reservationsPreempted, except: guestID)
      registrations = []
      reservation = nil
      return .good
    case .preempt, .preemptAndAbort:
      guard scope == 0 else { return .refused(.invalidFieldInCDB) }
      return preempt(guestID, type, key: parameters.serviceActionKey)
    default: return .refused(.invalidFieldInCDB)
    }
  }

  private mutating func register(_ guestID: UInt64, _ newKey: UInt64, expecting oldKey: UInt64) -> Outcome {
    guard oldKey == key(of: guestID) ?? 0 else { return .conflict }
    let index = registrations.firstIndex { $0.guestID == guestID }
    guard newKey != 0 else {
      guard let index else { return .good }
      generation &+= 1
      let wasHolder = isHolder(guestID)
      registrations.remove(at: index)
      if wasHolder, let held = reservation, !held.type.isForAllRegistrants || registrations.isEmpty {
        endReservation(by: guestID)
      }
      return .good
    }
    if let index {
      registrations[index].key = newKey
    } else {
      guard registrations.count < Self.maximumRegistrationCount else {
        // 5/55/04: insufficient registration resources.
        return .refused(SenseData(.illegalRequest, 0x55, 0x04))
      }
      registrations.append((guestID, newKey))
    }
    generation &+= 1
    return .good
  }

  private mutating func reserve(_ guestID: UInt64, _ type: ReservationType) -> Outcome {
    guard let held = reservation else {
      reservation = Reservation(guestID: guestID, type: type)
      return .good
    }
    return isHolder(guestID) && held.type == type ? .good : .conflict
  }

  private mutating func preempt(_ guestID: UInt64, _ type: ReservationType, key: UInt64) -> Outcome {
    let takesOver: Bool
    if let held = reservation {
      takesOver = held.type.isForAllRegistrants ? key == 0 : key == self.key(of: held.guestID)
      // A key of 0 names nobody, unless all registrants hold the reservation.
      if key == 0, !takesOver { return .refused(.invalidFieldInParameterList) }
    } else {
      takesOver = false
      if key == 0 { return .refused(.invalidFieldInParameterList) }
    }
    if takesOver, !type.isKnown { return .refused(.invalidFieldInCDB) }
    let removed = registrations.filter { $0.guestID != guestID && (takesOver && key == 0 || $0.key == key) }
    guard takesOver || registrations.contains(where: { $0.key == key }) else { return .conflict }
    generation &+= 1
    for other in removed { notices.append(Notice(guestID: other.guestID, attention: .registrationsPreempted)) }
    registrations.removeAll { entry in removed.contains { $0.guestID == entry.guestID } }
    if takesOver {
      let before = reservation?.type
      reservation = Reservation(guestID: guestID, type: type)
      if before != type { notify(.reservationsReleased, except: guestID) }
    } else if let held = reservation, held.type.isForAllRegistrants, registrations.isEmpty {
      reservation = nil
    }
    return .good
  }

  /// Ends the reservation; where registrants had a part in it, they are told.
  private mutating func endReservation(by guestID: UInt64) {
    let isShared = reservation?.type.isForRegistrants ?? false
    reservation = nil
    if isShared { notify(.reservationsReleased, except: guestID) }
  }

  private mutating func notify(_ attention: UnitAttention, except guestID: UInt64) {
    for entry in registrations where entry.guestID != guestID {
      notices.append(Notice(guestID: entry.guestID, attention: attention))
    }
  }
}

extension ReservationType {
  /// Whether every registrant holds the reservation.
  var isForAllRegistrants: Bool { self == .writeExclusiveAllRegistrants || self == .exclusiveAccessAllRegistrants }

  /// Whether registrants have more rights than others.
  var isForRegistrants: Bool {
    isForAllRegistrants || self == .writeExclusiveRegistrantsOnly || self == .exclusiveAccessRegistrantsOnly
  }

  /// Whether it is one of the six types.
  var isKnown: Bool { isForRegistrants || self == .writeExclusive || self == .exclusiveAccess }

  /// All six types.
  static let allKnown: [ReservationType] = [
    .writeExclusive, .exclusiveAccess, .writeExclusiveRegistrantsOnly, .exclusiveAccessRegistrantsOnly,
    .writeExclusiveAllRegistrants, .exclusiveAccessAllRegistrants,
  ]
}
