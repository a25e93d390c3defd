extension FixedWidthInteger {
  /// This value in lower-case hexadecimal, with at least `digits` digits and no prefix.
  func hexadecimal(digits: Int) -> String {
    let text = String(self, radix: 16)
    return String(repeating: "0", count: Swift.max(0, digits - text.utf8.count)) + text
  }
}
