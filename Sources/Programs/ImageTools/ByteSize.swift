/// A number of bytes as people write it: `10G`, `512M`, `1.5T`, `4096`. Units are powers of 1024.
public struct ByteSize: Hashable, Sendable {
  /// The number of bytes.
  public var byteCount: UInt64

  /// Reads the text; nil when it is no size, or is 2^63 bytes or more.
  public init?(_ text: String) {
    let units: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]
    var digits = Substring(text.uppercased())
    if digits.hasSuffix("IB") {
      digits = digits.dropLast(2)
    } else if digits.hasSuffix("B") {
      digits = digits.dropLast()
    }
    var shift: UInt64 = 0
    if let last = digits.last, let found = units[last] {
      shift = found
      digits = digits.dropLast()
    }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy({ part in !part.isEmpty && part.allSatisfy(\.isASCIIDigit) }),
      let whole = UInt64(parts[0]), whole < 1 << (63 - shift)
    else { return nil }
    byteCount = whole << shift
    guard parts.count == 2 else { return }
    guard shift > 0, parts[1].count <= 6, let fraction = UInt64(parts[1]) else { return nil }
    let scale = (0..<parts[1].count).reduce(UInt64(1)) { scale, _ in scale * 10 }
    let (product, overflow) = fraction.multipliedReportingOverflow(by: 1 << shift)
    if overflow { return nil }
    byteCount += product / scale
  }
}

extension Character {
  fileprivate var isASCIIDigit: Bool { self >= "0" && self <= "9" }
}
