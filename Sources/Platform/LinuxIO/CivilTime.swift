import CLinux

/// A date and a time of day in UTC.
public struct CivilTime: Equatable, Sendable {
  /// The year of the Gregorian calendar.
  public let year: Int
  /// 1 is January.
  public let month: Int
  /// Of the month, from 1.
  public let day: Int
  /// 1 is Sunday.
  public let weekday: Int
  /// From 0.
  public let hour: Int
  /// From 0.
  public let minute: Int
  /// From 0.
  public let second: Int

  /// The time `secondsSinceEpoch` after 1970 began.
  public init(secondsSinceEpoch: Int) {
    let time = synthgate_civil_time(Int64(secondsSinceEpoch))
    year = Int(time.year)
    month = Int(time.month)
    day = Int(time.day)
    weekday = Int(time.weekday)
    hour = Int(time.hour)
    minute = Int(time.minute)
    second = Int(time.second)
  }
}
