import WireBytes

extension MutableRawSpan {
  /// Stores `text` left-aligned in `count` bytes, cut or padded with spaces; what is not printable ASCII becomes "?".
  @_lifetime(self: copy self)
  mutating func storeASCII(_ text: String, at offset: Int, count: Int) {
    var index = 0
    for byte in text.utf8.prefix(count) {
      storeBE(byte.isPrintableASCII ? byte : UInt8(ascii: "?"), at: offset + index)
      index += 1
    }
    while index < count {
      storeBE(UInt8(ascii: " "), at: offset + index)
      index += 1
    }
  }
}

extension RawSpan {
  /// The text in `count` bytes from `offset` on, or as many as there are, without trailing spaces and zeros; what is not
  /// printable ASCII becomes "?".
  func ascii(at offset: Int, count: Int) -> String {
    var bytes: [UInt8] = []
    for index in offset..<max(offset, min(offset + count, byteCount)) {
      bytes.append(byte(at: index))
    }
    while let last = bytes.last, last == 0 || last == UInt8(ascii: " ") {
      bytes.removeLast()
    }
    return String(decoding: bytes.map { $0.isPrintableASCII ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}

extension UInt8 {
  var isPrintableASCII: Bool {
    self >= 0x20 && self < 0x7f
  }
}
