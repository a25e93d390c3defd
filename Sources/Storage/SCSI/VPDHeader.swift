import WireBytes

/// The four bytes before every VPD page (T10 SPC-4): peripheral byte, page code, 16-bit length of what follows.
enum VPDHeader {
  static let byteCount = 4

  /// The end of the page in `bytes`: what the header says, or fewer where the data were truncated.
  static func end(of page: VPDPage, in bytes: RawSpan) throws(ParameterDataError) -> Int {
    try bytes.require(byteCount)
    guard bytes.byte(at: 1) == page.rawValue else { throw .invalidField(offset: 1) }
    return min(bytes.byteCount, byteCount + Int(bytes.be16(at: 2)))
  }

  /// Stores the header of a page with `length` bytes after it, at most 65,535.
  @_lifetime(target: copy target)
  static func store(_ page: VPDPage, length: Int, into target: inout MutableRawSpan) {
    target.storeBE(UInt8(0), at: 0)
    target.storeBE(page.rawValue, at: 1)
    target.storeBE(UInt16(length), at: 2)
  }
}
