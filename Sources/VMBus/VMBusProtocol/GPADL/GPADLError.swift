/// Why a page list cannot be sent, or why a received one is refused.
public enum GPADLError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No range at all.
  case noRanges
  /// The ranges need more bytes than the 16-bit length of GPADL_HEADER can say.
  case tooLarge(byteCount: Int)
  /// The announced length is no multiple of 8, or too short for the announced number of ranges.
  case announcedLength(byteCount: UInt16, rangeCount: UInt16)
  /// A body without data, which would never complete the list.
  case emptyBody
  /// A body that names another GPADL.
  case otherGPADL(expected: UInt32, found: UInt32)
  /// A body after the announced length was reached.
  case alreadyComplete
  /// The announced length is not reached yet.
  case incomplete(missingByteCount: Int)
  /// A range of no bytes.
  case emptyRange(index: Int)
  /// A range that starts past its first page.
  case byteOffset(index: Int, UInt32)
  /// A range with too few or too many pages for its length.
  case pageCount(index: Int, needs: Int, has: Int)
  /// The data holds more than the announced ranges.
  case surplus(byteCount: Int)
  /// A ring pair that is not exactly one range of whole pages.
  case notARing
  /// A downstream ring that starts where one of the two rings has no data page.
  case downstreamOffset(UInt32, pageCount: Int)

  /// What is wrong, with its place.
  public var description: String {
    switch self {
    case .noRanges: "a GPADL without ranges"
    case .tooLarge(let byteCount): "GPADL ranges of \(byteCount) bytes; at most \(GPADLDescription.maximumByteCount)"
    case .announcedLength(let byteCount, let rangeCount):
      "a GPADL header announces \(rangeCount) ranges in \(byteCount) bytes"
    case .emptyBody: "a GPADL body without data"
    case .otherGPADL(let expected, let found): "a GPADL body for \(found) in place of \(expected)"
    case .alreadyComplete: "a GPADL body after the last one"
    case .incomplete(let missing): "a GPADL that lacks \(missing) bytes"
    case .emptyRange(let index): "GPADL range \(index) is empty"
    case .byteOffset(let index, let offset): "GPADL range \(index) starts at byte \(offset) of its first page"
    case .pageCount(let index, let needs, let has): "GPADL range \(index) has \(has) pages; its length needs \(needs)"
    case .surplus(let byteCount): "\(byteCount) bytes after the last GPADL range"
    case .notARing: "a ring pair must be one range of whole pages"
    case .downstreamOffset(let offset, let pageCount):
      "the downstream ring cannot start at page \(offset) of \(pageCount)"
    }
  }
}
