import WireBytes

/// GPADL_HEADER: announces a page list and carries its first part.
public struct GPADLHeader: Hashable, Sendable {
  /// The channel to which the list belongs.
  public var relid: UInt32
  /// The handle that the guest chose; never 0.
  public var gpadl: UInt32
  /// The length of all range data, in bytes, bodies included.
  public var rangeByteCount: UInt16
  /// The number of ranges.
  public var rangeCount: UInt16
  /// The first part of the range data, never more than announced.
  public let words: [UInt64]

  /// How many words of range data fit beside the fields.
  public static let maximumWordCount = 27

  /// A header; traps when `words` are more than fit.
  public init(relid: UInt32, gpadl: UInt32, rangeByteCount: UInt16, rangeCount: UInt16, words: [UInt64]) {
    precondition(words.count <= GPADLHeader.maximumWordCount)
    self.relid = relid
    self.gpadl = gpadl
    self.rangeByteCount = rangeByteCount
    self.rangeCount = rangeCount
    self.words = words
  }

  var byteCount: Int { 20 + words.count * 8 }

  init(parsing bytes: RawSpan) {
    relid = bytes.le32(at: 8)
    gpadl = bytes.le32(at: 12)
    rangeByteCount = bytes.le16(at: 16)
    rangeCount = bytes.le16(at: 18)
    // What a padded message carries past the announced length is no range data.
    words = bytes.words(from: 20, atMost: min(Int(rangeByteCount) / 8, GPADLHeader.maximumWordCount))
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(relid, at: 8)
    bytes.storeLE(gpadl, at: 12)
    bytes.storeLE(rangeByteCount, at: 16)
    bytes.storeLE(rangeCount, at: 18)
    for (index, word) in words.enumerated() { bytes.storeLE(word, at: 20 + index * 8) }
  }
}

/// GPADL_BODY: the next part of a page list.
///
/// Bodies follow in order; nothing on the wire numbers them reliably.
public struct GPADLBody: Hashable, Sendable {
  /// Reserved; 0 as Linux and OpenVMM send it.
  public var messageNumber: UInt32
  /// The handle of the header.
  public var gpadl: UInt32
  /// The next part of the range data; a receiver ignores what exceeds the announced length.
  public let words: [UInt64]

  /// How many words of range data fit beside the fields.
  public static let maximumWordCount = 28

  /// A body; traps when `words` are more than fit.
  public init(gpadl: UInt32, words: [UInt64], messageNumber: UInt32 = 0) {
    precondition(words.count <= GPADLBody.maximumWordCount)
    self.messageNumber = messageNumber
    self.gpadl = gpadl
    self.words = words
  }

  var byteCount: Int { 16 + words.count * 8 }

  init(parsing bytes: RawSpan) {
    messageNumber = bytes.le32(at: 8)
    gpadl = bytes.le32(at: 12)
    words = bytes.words(from: 16, atMost: GPADLBody.maximumWordCount)
  }

  func store(into bytes: inout MutableRawSpan) {
    bytes.storeLE(messageNumber, at: 8)
    bytes.storeLE(gpadl, at: 12)
    for (index, word) in words.enumerated() { bytes.storeLE(word, at: 16 + index * 8) }
  }
}

extension RawSpan {
  /// The whole 64-bit words from `offset` to the end, at most `limit`.
  fileprivate func words(from offset: Int, atMost limit: Int) -> [UInt64] {
    (0..<min((byteCount - offset) / 8, limit)).map { le64(at: offset + $0 * 8) }
  }
}
