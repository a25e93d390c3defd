/// The code of a vital product data page (T10 SPC-4, SBC-3).
public struct VPDPage: RawRepresentable, Hashable, BitwiseCopyable, Sendable {
  /// The value on the wire.
  public var rawValue: UInt8

  /// A value as it came over the wire, known or not.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Supported VPD pages.
  @inlinable public static var supportedPages: VPDPage { VPDPage(rawValue: 0x00) }

  /// Unit serial number.
  @inlinable public static var unitSerialNumber: VPDPage { VPDPage(rawValue: 0x80) }

  /// Device identification.
  @inlinable public static var deviceIdentification: VPDPage { VPDPage(rawValue: 0x83) }

  /// Block limits.
  @inlinable public static var blockLimits: VPDPage { VPDPage(rawValue: 0xB0) }

  /// Block device characteristics.
  @inlinable public static var blockDeviceCharacteristics: VPDPage { VPDPage(rawValue: 0xB1) }

  /// Logical block provisioning.
  @inlinable public static var logicalBlockProvisioning: VPDPage { VPDPage(rawValue: 0xB2) }
}

extension VPDPage: CustomStringConvertible {
  /// The standard name, or the number of a value that has none.
  public var description: String {
    switch self {
    case .supportedPages: "supported VPD pages"
    case .unitSerialNumber: "unit serial number"
    case .deviceIdentification: "device identification"
    case .blockLimits: "block limits"
    case .blockDeviceCharacteristics: "block device characteristics"
    case .logicalBlockProvisioning: "logical block provisioning"
    default: "VPD page \(rawValue.hexadecimal(digits: 2))"
    }
  }
}
