import WireBytes

/// The parameter list of PERSISTENT RESERVE OUT (T10 SPC-4), except for REGISTER AND MOVE.
public struct PersistentReserveOutParameters: Equatable, BitwiseCopyable, Sendable {
  /// The key of the nexus that sends the command.
  public var reservationKey: UInt64
  /// The key that the action is about.
  public var serviceActionKey: UInt64
  /// ALL_TG_PT: register on all target ports.
  public var allTargetPorts: Bool
  /// APTPL: keep registrations over a loss of power.
  public var persistsThroughPowerLoss: Bool

  /// The bytes of a list.
  public static let byteCount = 24

  /// A list with these values.
  public init(
    reservationKey: UInt64, serviceActionKey: UInt64, allTargetPorts: Bool = false,
    persistsThroughPowerLoss: Bool = false
  ) {
    self.reservationKey = reservationKey
    self.serviceActionKey = serviceActionKey
    self.allTargetPorts = allTargetPorts
    self.persistsThroughPowerLoss = persistsThroughPowerLoss
  }

  /// Parses exactly 24 bytes; other lengths are `tooShort`, a list of initiator ports (SPEC_I_PT) is refused.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    guard bytes.byteCount == PersistentReserveOutParameters.byteCount else {
      throw .tooShort(byteCount: bytes.byteCount, needed: PersistentReserveOutParameters.byteCount)
    }
    let flags = bytes.byte(at: 20)
    guard flags & 0x08 == 0 else { throw .invalidField(offset: 20) }
    self.init(
      reservationKey: bytes.be64(at: 0), serviceActionKey: bytes.be64(at: 8), allTargetPorts: flags & 0x04 != 0,
      persistsThroughPowerLoss: flags & 0x01 != 0)
  }

  /// Stores 24 bytes at the start of `target` and returns 24.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: PersistentReserveOutParameters.byteCount)
    target.storeBE(reservationKey, at: 0)
    target.storeBE(serviceActionKey, at: 8)
    target.storeBE(UInt8((allTargetPorts ? 0x04 : 0) | (persistsThroughPowerLoss ? 0x01 : 0)), at: 20)
    return PersistentReserveOutParameters.byteCount
  }
}

/// What READ KEYS returns: the registered keys.
public struct ReservationKeys: Equatable, Sendable {
  /// The count of changes to registrations.
  public var generation: UInt32
  /// The keys.
  public var keys: [UInt64]

  /// A list of `keys`.
  public init(generation: UInt32, keys: [UInt64]) {
    self.generation = generation
    self.keys = keys
  }

  /// Parses at least 8 bytes; a list that was truncated gives the keys that are whole.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(8)
    generation = bytes.be32(at: 0)
    let end = min(bytes.byteCount, 8 + Int(bytes.be32(at: 4)))
    keys = stride(from: 8, through: end - 8, by: 8).map { bytes.be64(at: $0) }
  }

  /// The bytes that ``encode(into:)`` gives.
  public var byteCount: Int { 8 + 8 * keys.count }

  /// Stores the list at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.storeBE(generation, at: 0)
    target.storeBE(UInt32(8 * keys.count), at: 4)
    for (index, key) in keys.enumerated() {
      target.storeBE(key, at: 8 + 8 * index)
    }
    return byteCount
  }
}

/// What READ RESERVATION returns: the reservation, if there is one.
public struct ReservationReport: Equatable, Sendable {
  /// A persistent reservation.
  public struct Reservation: Equatable, Sendable {
    /// The key of the holder; 0 if all registrants hold it.
    public var key: UInt64
    /// The scope; 0 is the logical unit, the only one in use.
    public var scope: UInt8
    /// The type.
    public var type: ReservationType

    /// A reservation with these values.
    public init(key: UInt64, scope: UInt8 = 0, type: ReservationType) {
      self.key = key
      self.scope = scope & 0x0f
      self.type = type
    }
  }

  /// The count of changes to registrations.
  public var generation: UInt32
  /// The reservation; nil if there is none.
  public var reservation: Reservation?

  /// A report with these values.
  public init(generation: UInt32, reservation: Reservation?) {
    self.generation = generation
    self.reservation = reservation
  }

  /// Parses at least 8 bytes; a reservation that is announced must be there.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(8)
    generation = bytes.be32(at: 0)
    guard bytes.be32(at: 4) > 0 else { return }
    guard bytes.be32(at: 4) >= 16 else { throw .invalidField(offset: 4) }
    try bytes.require(24)
    let scopeAndType = bytes.byte(at: 21)
    reservation = Reservation(
      key: bytes.be64(at: 8), scope: scopeAndType >> 4, type: ReservationType(rawValue: scopeAndType & 0x0f))
  }

  /// The bytes that ``encode(into:)`` gives: 8 or 24.
  public var byteCount: Int { reservation == nil ? 8 : 24 }

  /// Stores the report at the start of `target`, which must have ``byteCount`` bytes, and returns their number.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: byteCount)
    target.storeBE(generation, at: 0)
    if let reservation {
      target.storeBE(UInt32(16), at: 4)
      target.storeBE(reservation.key, at: 8)
      target.storeBE(reservation.scope << 4 | reservation.type.rawValue & 0x0f, at: 21)
    }
    return byteCount
  }
}

/// What REPORT CAPABILITIES returns.
public struct ReservationCapabilities: Equatable, Sendable {
  /// ATP_C: registrations on all target ports are supported.
  public var allTargetPorts: Bool
  /// PTPL_C: registrations can be kept over a loss of power.
  public var persistsThroughPowerLoss: Bool
  /// The supported types; nil if they are not reported (TMV is 0).
  public var types: [ReservationType]?

  /// The bytes that ``encode(into:)`` gives.
  public static let byteCount = 8

  /// The types and their bits in the big-endian type mask.
  private static let typeBits: [(ReservationType, UInt16)] = [
    (.writeExclusive, 0x0200), (.exclusiveAccess, 0x0800), (.writeExclusiveRegistrantsOnly, 0x2000),
    (.exclusiveAccessRegistrantsOnly, 0x4000), (.writeExclusiveAllRegistrants, 0x8000),
    (.exclusiveAccessAllRegistrants, 0x0001),
  ]

  /// Capabilities with these values.
  public init(allTargetPorts: Bool, persistsThroughPowerLoss: Bool, types: [ReservationType]?) {
    self.allTargetPorts = allTargetPorts
    self.persistsThroughPowerLoss = persistsThroughPowerLoss
    self.types = types
  }

  /// Parses at least 6 bytes.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(6)
    let mask = bytes.be16(at: 4)
    self.init(
      allTargetPorts: bytes.byte(at: 2) & 0x04 != 0, persistsThroughPowerLoss: bytes.byte(at: 2) & 0x01 != 0,
      types: bytes.byte(at: 3) & 0x80 != 0
        ? ReservationCapabilities.typeBits.filter { mask & $0.1 != 0 }.map { $0.0 } : nil)
  }

  /// Stores 8 bytes at the start of `target` and returns 8.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: ReservationCapabilities.byteCount)
    target.storeBE(UInt16(ReservationCapabilities.byteCount), at: 0)
    target.storeBE(UInt8((allTargetPorts ? 0x04 : 0) | (persistsThroughPowerLoss ? 0x01 : 0)), at: 2)
    if let types {
      target.storeBE(UInt8(0x80), at: 3)
      let mask = ReservationCapabilities.typeBits.reduce(UInt16(0)) { types.contains($1.0) ? $0 | $1.1 : $0 }
      target.storeBE(mask, at: 4)
    }
    return ReservationCapabilities.byteCount
  }
}
