public import Ethernet
import WireBytes

/// Text in RNDIS messages: UTF-16, little-endian, ended by a zero or by its length.
public enum RNDISText {
  /// The most bytes of a friendly name.
  @inlinable public static var maximumFriendlyNameByteCount: Int { 512 }

  /// The text in `bytes`, up to the first zero; what is no UTF-16 shows as replacement characters, an odd byte at the
  /// end is dropped.
  public static func text(parsing bytes: RawSpan) -> String {
    var units: [UInt16] = []
    for index in 0..<bytes.byteCount / 2 {
      let unit = bytes.le16(at: 2 * index)
      if unit == 0 { break }
      units.append(unit)
    }
    return String(decoding: units, as: UTF16.self)
  }

  /// The bytes of `text`, with no zero at the end.
  public static func bytes(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  }
}

/// A named setting (GEN_RNDIS_CONFIG_PARAMETER).
public struct RNDISConfigurationParameter: Hashable, Sendable {
  /// The value of a setting.
  public enum Value: Hashable, Sendable {
    /// A number.
    case integer(UInt32)
    /// A text.
    case string(String)
  }

  /// The name.
  public var name: String
  /// The value.
  public var value: Value

  /// The name of the setting that changes the address of the NIC; its value is 12 hexadecimal digits.
  public static let networkAddress = "NetworkAddress"
  /// The most bytes of name and value, each.
  @inlinable public static var maximumTextByteCount: Int { 255 }

  /// A setting as given.
  public init(name: String, value: Value) {
    self.name = name
    self.value = value
  }

  /// The setting that gives the NIC the address `address`.
  public init(address: MACAddress) {
    let digits = "\(address)".filter { $0 != ":" }
    self.init(name: RNDISConfigurationParameter.networkAddress, value: .string(digits.uppercased()))
  }

  /// The address that the setting asks for; nil if it asks for something else.
  public var address: MACAddress? {
    guard name == RNDISConfigurationParameter.networkAddress, case .string(let digits) = value else { return nil }
    return MACAddress(digits)
  }

  /// Parses the setting.
  public init(parsing bytes: RawSpan) throws(NetvscError) {
    try bytes.require(20)
    func text(at field: Int) throws(NetvscError) -> String {
      let byteCount = bytes.le32(at: field + 4)
      guard byteCount <= 255 else { throw .count(byteCount) }
      try bytes.requirePart(offset: bytes.le32(at: field), count: byteCount, minimum: 20, limit: bytes.byteCount)
      let start = Int(bytes.le32(at: field))
      return RNDISText.text(parsing: bytes.extracting(start..<(start + Int(byteCount))))
    }
    name = try text(at: 0)
    switch bytes.le32(at: 8) {
    case 0:
      let byteCount = bytes.le32(at: 16)
      guard byteCount == 4 else { throw .count(byteCount) }
      try bytes.requirePart(offset: bytes.le32(at: 12), count: 4, minimum: 20, limit: bytes.byteCount)
      value = .integer(bytes.le32(at: Int(bytes.le32(at: 12))))
    case 2: value = .string(try text(at: 12))
    case let type: throw .unexpectedType(type, expected: 2)
    }
  }

  /// The bytes of the setting: the fields, the name, the value.
  public var bytes: [UInt8] {
    let name = RNDISText.bytes(self.name)
    let type: UInt32
    var value: [UInt8]
    switch self.value {
    case .integer(let number):
      type = 0
      value = [UInt8](zeroed: 4) { $0.storeLE(number, at: 0) }
    case .string(let text):
      type = 2
      value = RNDISText.bytes(text)
    }
    let fields = [UInt8](zeroed: 20) {
      $0.storeLE(UInt32(20), at: 0)
      $0.storeLE(UInt32(name.count), at: 4)
      $0.storeLE(type, at: 8)
      $0.storeLE(UInt32(20 + name.count), at: 12)
      $0.storeLE(UInt32(value.count), at: 16)
    }
    return fields + name + value
  }
}
