import WireBytes

/// A message of rtnetlink, without its header: numbers in the order of the machine, which is little-endian everywhere where
/// VMBus is.
struct NetlinkMessage: Sendable {
  /// RTM_ number.
  var type: UInt16
  /// The fixed part and the attributes behind it.
  var payload: [UInt8]

  /// A message with a fixed part of `count` zeros.
  init(type: UInt16, fixedByteCount count: Int) {
    self.type = type
    payload = [UInt8](repeating: 0, count: count)
  }

  /// A message as it came.
  init(type: UInt16, payload: [UInt8]) {
    self.type = type
    self.payload = payload
  }

  /// Stores a number in the fixed part.
  mutating func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    payload.withMutableBytes { $0.storeLE(value, at: offset) }
  }

  /// Appends an attribute, padded to 4 bytes.
  mutating func append(_ type: UInt16, _ bytes: [UInt8]) {
    let length = UInt16(4 + bytes.count)
    payload += [UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)]
    payload += [UInt8(truncatingIfNeeded: type), UInt8(truncatingIfNeeded: type >> 8)]
    payload += bytes
    payload += [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
  }

  /// Appends a 32-bit attribute.
  mutating func append(_ type: UInt16, _ value: UInt32) {
    append(type, (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) })
  }

  /// Appends a text with its null byte.
  mutating func append(_ type: UInt16, _ text: String) {
    append(type, Array(text.utf8) + [0])
  }
}

/// Calls `body` for each attribute from `offset` on, until the end or the first one that does not fit.
func forEachAttribute(in bytes: RawSpan, from offset: Int, _ body: (_ type: UInt16, _ value: RawSpan) -> Void) {
  var offset = offset
  while offset >= 0, bytes.byteCount - offset >= 4 {
    let length = Int(bytes.le16(at: offset))
    guard length >= 4, length <= bytes.byteCount - offset else { return }
    // The upper two bits are flags (nested, network order).
    body(bytes.le16(at: offset + 2) & 0x3fff, bytes.extracting((offset + 4)..<(offset + length)))
    offset += (length + 3) & ~3
  }
}

extension RawSpan {
  /// The attribute as a 32-bit number; 0 when it is shorter.
  var attributeNumber: UInt32 {
    byteCount >= 4 ? le32(at: 0) : byteCount == 1 ? UInt32(byte(at: 0)) : 0
  }

  /// The attribute as text, up to its null byte.
  var attributeText: String {
    String(decoding: array().prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// What the kernel says about an error, from a whole NLMSG_ERROR message (header, error, the header of the request, and the
/// attributes behind it: NETLINK_EXT_ACK with NETLINK_CAP_ACK); nil when it says nothing.
func extendedAcknowledgement(_ message: [UInt8]) -> String? {
  let (hasAttributes, isCapped): (UInt16, UInt16) = (0x200, 0x100)
  let bytes = message.rawSpan
  guard bytes.byteCount >= 36, bytes.le16(at: 6) & hasAttributes != 0 else { return nil }
  var offset = 36
  if bytes.le16(at: 6) & isCapped == 0 {
    // The request follows whole: its header tells its length.
    let length = bytes.le32(at: 20)
    guard length >= 16, length <= 1 << 20 else { return nil }
    offset = 20 + (Int(length) + 3) & ~3
  }
  var text: String?
  forEachAttribute(in: bytes, from: offset) { type, value in
    if type == 1 { text = value.attributeText }
  }
  return text?.isEmpty == false ? text : nil
}
