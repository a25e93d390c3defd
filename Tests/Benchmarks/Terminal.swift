import LinuxIO

/// Signals that end a command in good order: SIGHUP, SIGINT, SIGTERM.
let endSignals: [Int32] = [1, 2, 15]

/// Writes a line to standard error.
func writeError(_ line: String) {
  try? writeAll(Array((line + "\n").utf8), to: 2)
}

/// A number with so many digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return "-" }
  var scale = 1
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int((abs(value) * Double(scale)).rounded())
  let fraction = String(scaled % scale)
  let sign = value < 0 && scaled > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(scaled)" }
  return "\(sign)\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// A number with three significant digits or all before the point.
func short(_ value: Double) -> String {
  fixed(value, value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

/// The median; 0 of nothing.
func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return 0 }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
