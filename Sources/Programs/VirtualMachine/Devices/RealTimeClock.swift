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

/// A time of day in UTC.
struct CivilTime: Equatable {
  var year = 1970
  var month = 1
  var day = 1
  /// 1 is Sunday.
  var weekday = 1
  var hour = 0
  var minute = 0
  var second = 0

  /// The time `secondsSinceEpoch` after 1970 began.
  init(secondsSinceEpoch: Int) {
    var days = secondsSinceEpoch / 86400
    let rest = secondsSinceEpoch % 86400
    (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
    // 1970 began on a Thursday.
    weekday = (days + 4) % 7 + 1
    while days >= Self.isLeap(year) + 365 {
      days -= Self.isLeap(year) + 365
      year += 1
    }
    let lengths = [31, 28 + Self.isLeap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while days >= lengths[month - 1] {
      days -= lengths[month - 1]
      month += 1
    }
    day = days + 1
  }

  private static func isLeap(_ year: Int) -> Int {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 1 : 0
  }
}
