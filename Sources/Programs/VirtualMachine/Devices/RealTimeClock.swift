import LinuxIO

/// The clock of a PC (MC146818), which guests read once to know the time of day. In UTC, and never set.
struct RealTimeClock: Sendable {
  private var index: UInt8 = 0

  /// The guest chooses a register.
  mutating func select(_ value: UInt8) {
    index = value & 0x7F
  }

  /// The guest reads the register that it chose.
  func read(secondsSinceEpoch now: Int) -> UInt8 {
    let time = CivilTime(secondsSinceEpoch: now)
    switch index {
    case 0x00: return Self.decimal(time.second)
    case 0x02: return Self.decimal(time.minute)
    case 0x04: return Self.decimal(time.hour)
    case 0x06: return Self.decimal(time.weekday)
    case 0x07: return Self.decimal(time.day)
    case 0x08: return Self.decimal(time.month)
    case 0x09: return Self.decimal(time.year % 100)
    // No update is in progress; 24 hours in decimal digits; the battery is good.
    case 0x0A: return 0x26
    case 0x0B: return 0x02
    case 0x0D: return 0x80
    case 0x32: return Self.decimal(time.year / 100)
    default: return 0
    }
  }

  private static func decimal(_ value: Int) -> UInt8 { UInt8((value / 10) << 4 | value % 10) }
}
