/// The guest's side of a page list: the messages that announce it.
public enum GPADLDescription {
  /// The largest length of all ranges, in bytes: what 16 bits can say, in whole words.
  public static let maximumByteCount = 65528

  /// The largest number of pages of a GPADL with one range.
  public static let maximumPageCount = maximumByteCount / 8 - 1

  /// GPADL_HEADER and the GPADL_BODY messages that carry `ranges`, in the order in which they must be posted.
  ///
  /// - Throws: `GPADLError` when a range is not consistent or all of them exceed `maximumByteCount`.
  public static func messages(relid: UInt32, gpadl: UInt32, ranges: [GPADLRange]) throws(GPADLError) -> [Message] {
    guard !ranges.isEmpty else { throw .noRanges }
    for (index, range) in ranges.enumerated() { try range.validate(index: index) }
    let wordCount = ranges.reduce(0) { $0 + $1.wordCount }
    guard wordCount * 8 <= maximumByteCount else { throw .tooLarge(byteCount: wordCount * 8) }
    var words: [UInt64] = []
    words.reserveCapacity(wordCount)
    for range in ranges {
      words.append(UInt64(range.byteCount) | UInt64(range.byteOffset) << 32)
      words += range.pages
    }
    var rest = words[...]
    let header = GPADLHeader(
      relid: relid, gpadl: gpadl, rangeByteCount: UInt16(wordCount * 8), rangeCount: UInt16(ranges.count),
      words: Array(rest.prefix(GPADLHeader.maximumWordCount)))
    rest = rest.dropFirst(header.words.count)
    var messages: [Message] = [.gpadlHeader(header)]
    while !rest.isEmpty {
      let body = GPADLBody(gpadl: gpadl, words: Array(rest.prefix(GPADLBody.maximumWordCount)))
      rest = rest.dropFirst(body.words.count)
      messages.append(.gpadlBody(body))
    }
    return messages
  }
}
