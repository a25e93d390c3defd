import WireBytes

/// A key with its value.
public struct ICKeyValuePair: Hashable, Sendable {
  /// A value with its registry type.
  public enum Value: Hashable, Sendable {
    /// Text (type 1).
    case text(String)
    /// Text with names of variables in it (type 2).
    case expandableText(String)
    /// A number of 32 bits (type 4).
    case number(UInt32)
    /// Of any other type; the bytes are as many as the message says. Linux and OpenVMM have different types for a number
    /// of 64 bits (8 and 11).
    case other(type: UInt32, [UInt8])
  }

  /// The key.
  public var key: String
  /// The value; an empty text where none is told.
  public var value: Value

  /// A pair, by default without a value.
  public init(key: String, value: Value = .text("")) {
    self.key = key
    self.value = value
  }

  /// The size of type, both lengths and both spaces, in bytes.
  static let byteCount = 12 + ICKeyValue.keyByteCount + ICKeyValue.valueByteCount

  init(parsing bytes: RawSpan, at offset: Int) throws(ICError) {
    let type = bytes.le32(at: offset)
    let valueCount = Int(bytes.le32(at: offset + 8))
    key = try bytes.utf16(
      at: offset + 12, byteCount: Int(bytes.le32(at: offset + 4)), space: ICKeyValue.keyByteCount)
    let start = offset + 12 + ICKeyValue.keyByteCount
    let space = ICKeyValue.valueByteCount
    switch type {
    case 1: value = .text(try bytes.utf16(at: start, byteCount: valueCount, space: space))
    case 2: value = .expandableText(try bytes.utf16(at: start, byteCount: valueCount, space: space))
    case 4: value = .number(bytes.le32(at: start))
    default:
      guard valueCount <= space else { throw .text(byteCount: valueCount, space: space) }
      value = .other(type: type, bytes.array(from: start, count: valueCount))
    }
  }

  func store(into bytes: inout MutableRawSpan, at offset: Int) {
    let keyCount = bytes.storeUTF16(key, at: offset + 12, space: ICKeyValue.keyByteCount)
    let start = offset + 12 + ICKeyValue.keyByteCount
    let type: UInt32
    let valueCount: Int
    switch value {
    case .text(let text):
      type = 1
      valueCount = bytes.storeUTF16(text, at: start, space: ICKeyValue.valueByteCount)
    case .expandableText(let text):
      type = 2
      valueCount = bytes.storeUTF16(text, at: start, space: ICKeyValue.valueByteCount)
    case .number(let number):
      type = 4
      valueCount = 4
      bytes.storeLE(number, at: start)
    case .other(let other, let content):
      type = other
      let content = Array(content.prefix(ICKeyValue.valueByteCount))
      valueCount = content.count
      bytes.store(content.rawSpan, at: start)
    }
    bytes.storeLE(type, at: offset)
    bytes.storeLE(UInt32(keyCount), at: offset + 4)
    bytes.storeLE(UInt32(valueCount), at: offset + 8)
  }
}

extension RawSpan {
  /// The text of `byteCount` bytes of UTF-16 at `offset`, up to the first zero; `space` bytes belong to it.
  func utf16(at offset: Int, byteCount: Int, space: Int) throws(ICError) -> String {
    guard byteCount <= space, byteCount % 2 == 0 else { throw .text(byteCount: byteCount, space: space) }
    var units: [UInt16] = []
    for place in stride(from: offset, to: offset + byteCount, by: 2) {
      let unit = le16(at: place)
      if unit == 0 { break }
      units.append(unit)
    }
    return String(decoding: units, as: UTF16.self)
  }
}

extension MutableRawSpan {
  /// Writes `text` as UTF-16 with a terminating zero into `space` bytes that are zero; answers the bytes that it takes.
  /// What does not fit is left out.
  mutating func storeUTF16(_ text: String, at offset: Int, space: Int) -> Int {
    var place = offset
    for unit in text.utf16.prefix(space / 2 - 1) {
      storeLE(unit, at: place)
      place += 2
    }
    return place - offset + 2
  }
}
