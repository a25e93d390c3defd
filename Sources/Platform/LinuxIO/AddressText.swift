import CLinux

/// The 4 bytes of an IPv4 address or the 16 of an IPv6 address, in network order; nil when `text` is neither
/// (inet_pton(3)).
public func parseAddress(_ text: String) -> [UInt8]? {
  guard !text.utf8.contains(0) else { return nil }
  var bytes = [UInt8](repeating: 0, count: 16)
  // SAFETY: the text is null-terminated; at most 16 bytes are filled, which is what the array has.
  let count = unsafe synthgate_parse_address(text, &bytes)
  return count > 0 ? Array(bytes[..<Int(count)]) : nil
}

/// An address of 4 or 16 bytes as text; empty for any other length (inet_ntop(3)).
public func addressText(_ bytes: [UInt8]) -> String {
  var text = [CChar](repeating: 0, count: 64)
  // SAFETY: as many bytes are read as the array has; at most 64 are filled, with a zero at the end.
  guard unsafe synthgate_format_address(bytes, Int32(bytes.count), &text) == 0 else { return "" }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
