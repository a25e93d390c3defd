import WireBytes

/// Standard INQUIRY data (T10 SPC-3): what kind of device a unit is.
public struct StandardInquiry: Equatable, Sendable {
  /// Whether the unit exists: 0 connected, 3 no unit here; three bits.
  public var peripheralQualifier: UInt8
  /// The kind of device: 0 disk, 5 optical drive, 1F none; five bits.
  public var deviceType: UInt8
  /// Whether the medium can be removed.
  public var isRemovable: Bool
  /// The standard: 5 is SPC-3, 4 is SPC-2.
  public var version: UInt8
  /// The number of bytes after byte 4; 99 for the 104 bytes of ``byteCount``.
  public var additionalLength: UInt8
  /// Whether the unit queues commands (CMDQUE).
  public var queuesCommands: Bool
  /// The vendor, at most 8 characters.
  public var vendor: String
  /// The product, at most 16 characters.
  public var product: String
  /// The product's revision, at most 4 characters.
  public var revision: String

  /// The bytes that ``encode(into:)`` gives.
  public static let byteCount = 104
  /// The least bytes that can be parsed: up to the additional length.
  public static let minimumByteCount = 5

  /// Data of a disk as Hyper-V describes its own, unless other values are given.
  public init(
    peripheralQualifier: UInt8 = 0, deviceType: UInt8 = 0, isRemovable: Bool = false, version: UInt8 = 5,
    additionalLength: UInt8 = 99, queuesCommands: Bool = true, vendor: String = "Msft",
    product: String = "Virtual Disk", revision: String = "1.0"
  ) {
    self.peripheralQualifier = peripheralQualifier
    self.deviceType = deviceType
    self.isRemovable = isRemovable
    self.version = version
    self.additionalLength = additionalLength
    self.queuesCommands = queuesCommands
    self.vendor = vendor
    self.product = product
    self.revision = revision
  }

  /// The answer for an address without a unit: qualifier 3, type 1F, no names.
  public static let absent = StandardInquiry(
    peripheralQualifier: 3, deviceType: 0x1f, vendor: "", product: "", revision: "")

  /// Whether there is a unit: it is connected, and the data are not all zero (an answer of some hosts for no unit).
  public var isPresent: Bool {
    peripheralQualifier == 0 && !(version == 0 && additionalLength == 0 && deviceType == 0)
  }

  /// Parses at least 5 bytes; texts that are cut off or absent are empty.
  public init(parsing bytes: RawSpan) throws(ParameterDataError) {
    try bytes.require(StandardInquiry.minimumByteCount)
    let additional = bytes.byte(at: 4)
    let count = min(bytes.byteCount, 5 + Int(additional))
    self.init(
      peripheralQualifier: bytes.byte(at: 0) >> 5, deviceType: bytes.byte(at: 0) & 0x1f,
      isRemovable: bytes.byte(at: 1) & 0x80 != 0, version: bytes.byte(at: 2), additionalLength: additional,
      queuesCommands: count > 7 && bytes.byte(at: 7) & 0x02 != 0,
      vendor: count >= 16 ? bytes.ascii(at: 8, count: 8) : "",
      product: count >= 32 ? bytes.ascii(at: 16, count: 16) : "",
      revision: count >= 36 ? bytes.ascii(at: 32, count: 4) : "")
  }

  /// Stores 104 bytes at the start of `target` and returns 104. An empty text is stored as zeros.
  @_lifetime(target: copy target)
  @discardableResult
  public func encode(into target: inout MutableRawSpan) -> Int {
    target.zero(from: 0, count: StandardInquiry.byteCount)
    target.storeBE(peripheralQualifier << 5 | deviceType & 0x1f, at: 0)
    target.storeBE(UInt8(isRemovable ? 0x80 : 0), at: 1)
    target.storeBE(version, at: 2)
    // Response data format 2, the only one in use.
    target.storeBE(UInt8(2), at: 3)
    target.storeBE(additionalLength, at: 4)
    target.storeBE(UInt8(queuesCommands ? 0x02 : 0), at: 7)
    if !vendor.isEmpty { target.storeASCII(vendor, at: 8, count: 8) }
    if !product.isEmpty { target.storeASCII(product, at: 16, count: 16) }
    if !revision.isEmpty { target.storeASCII(revision, at: 32, count: 4) }
    return StandardInquiry.byteCount
  }
}
