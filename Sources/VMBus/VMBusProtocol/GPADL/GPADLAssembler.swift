/// The host's side of a page list: puts GPADL_HEADER and its GPADL_BODY messages together and checks them.
///
/// It never holds more than the 64 KiB that a header can announce.
public struct GPADLAssembler: Sendable {
  /// The channel to which the list belongs.
  public let relid: UInt32
  /// The handle that the guest chose.
  public let gpadl: UInt32
  private let rangeCount: Int
  private let wordCount: Int
  private var words: [UInt64]

  /// Starts with the header.
  ///
  /// - Throws: `GPADLError` when the announced length is no multiple of 8 or cannot hold the announced ranges.
  public init(header: GPADLHeader) throws(GPADLError) {
    guard header.rangeCount > 0 else { throw .noRanges }
    // A range takes two words at least: its lengths and one page.
    guard header.rangeByteCount % 8 == 0, Int(header.rangeByteCount) >= Int(header.rangeCount) * 16 else {
      throw .announcedLength(byteCount: header.rangeByteCount, rangeCount: header.rangeCount)
    }
    relid = header.relid
    gpadl = header.gpadl
    rangeCount = Int(header.rangeCount)
    wordCount = Int(header.rangeByteCount) / 8
    words = Array(header.words.prefix(wordCount))
  }

  /// Whether all announced data has come.
  public var isComplete: Bool { words.count == wordCount }

  /// Takes the next body; what exceeds the announced length is ignored.
  ///
  /// - Throws: `GPADLError` when the body is of another list, brings nothing, or nothing is missing.
  public mutating func append(body: GPADLBody) throws(GPADLError) {
    guard body.gpadl == gpadl else { throw .otherGPADL(expected: gpadl, found: body.gpadl) }
    guard !isComplete else { throw .alreadyComplete }
    guard !body.words.isEmpty else { throw .emptyBody }
    words += body.words.prefix(wordCount - words.count)
  }

  /// The ranges of the complete list.
  ///
  /// - Throws: `GPADLError` when data is missing, a range is empty, starts past its first page or lacks pages, or data
  ///   is left after the announced number of ranges.
  public func ranges() throws(GPADLError) -> [GPADLRange] {
    guard isComplete else { throw .incomplete(missingByteCount: (wordCount - words.count) * 8) }
    var ranges: [GPADLRange] = []
    var position = 0
    for index in 0..<rangeCount {
      guard position < words.count else { throw .pageCount(index: index, needs: 1, has: 0) }
      let lengths = words[position]
      position += 1
      var range = GPADLRange(
        byteCount: UInt32(truncatingIfNeeded: lengths), byteOffset: UInt32(truncatingIfNeeded: lengths >> 32), pages: []
      )
      guard range.byteCount != 0 else { throw .emptyRange(index: index) }
      guard range.byteOffset < GPADLRange.pageByteCount else { throw .byteOffset(index: index, range.byteOffset) }
      let needs = range.pageCount
      guard needs <= words.count - position else {
        throw .pageCount(index: index, needs: needs, has: words.count - position)
      }
      range.pages = Array(words[position..<(position + needs)])
      position += needs
      ranges.append(range)
    }
    guard position == words.count else { throw .surplus(byteCount: (words.count - position) * 8) }
    return ranges
  }
}
