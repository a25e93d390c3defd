/// A figure that Synthgate wants to reach, and what was measured.
struct Aim: Encodable {
  /// What it is about.
  var what: String
  /// The aim in words.
  var wanted: String
  /// What was measured.
  var measured: String
  /// Whether it is reached.
  var isMet: Bool

  /// The line for people.
  var line: String { "\(what): aim \(wanted): \(measured) \(isMet ? "met" : "MISSED")" }

  /// An aim for the quotient of two figures, which is shown rounded towards a miss.
  static func ratio(_ what: String, _ ratio: Double, atLeast limit: Double) -> Aim {
    Aim(
      what: what, wanted: "\(fixed(limit, 2))x", measured: "\(fixed((ratio * 100).rounded(.down) / 100, 2))x",
      isMet: ratio >= limit)
  }

  /// The same for a quotient that is to be small.
  static func ratio(_ what: String, _ ratio: Double, atMost limit: Double) -> Aim {
    Aim(
      what: what, wanted: "at most \(fixed(limit, 2))x", measured: "\(fixed((ratio * 100).rounded(.up) / 100, 2))x",
      isMet: ratio <= limit)
  }

  /// An aim for the processor time of somebody who has nothing to do.
  static func idle(_ title: String, milliseconds: Double) -> Aim {
    Aim(
      what: "\(title), idle", wanted: "no processor time in 3 s", measured: "\(fixed(milliseconds, 0)) ms",
      isMet: milliseconds == 0)
  }
}
