/// The bytes of hexadecimal text. White space is ignored; `[n]` and `00*n` stand for n zero bytes.
package func hex(_ text: String) -> [UInt8] {
  text.split(whereSeparator: \.isWhitespace).flatMap { word -> [UInt8] in
    if word.hasPrefix("[") { return [UInt8](repeating: 0, count: Int(word.dropFirst().dropLast())!) }
    if word.hasPrefix("00*") { return [UInt8](repeating: 0, count: Int(word.dropFirst(3))!) }
    let digits = word.map { UInt8($0.hexDigitValue!) }
    precondition(digits.count % 2 == 0, "half a byte in \(word)")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
