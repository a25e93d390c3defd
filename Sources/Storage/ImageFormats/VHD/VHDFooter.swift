import WireBytes

/// The footer of a VHD: the last sector of the file; dynamic and differencing images have a copy at the start.
public struct VHDFooter: Hashable, Sendable {
  /// Length on disk in bytes.
  public static let byteCount = 512
  /// The data offset of an image that has no dynamic header.
  public static let noDataOffset = UInt64.max

  /// Bit 1 is always set, bit 0 marks a temporary disk.
  public var features: UInt32
  /// 0x00010000 for version 1.0.
  public var version: UInt32
  /// Where the dynamic header stands in the file, in bytes.
  public var dataOffset: UInt64
  /// When the image was created, in seconds since 2000.
  public var timeStamp: UInt32
  /// Four characters that name the program that made the image.
  public var creatorApplication: UInt32
  /// Its version.
  public var creatorVersion: UInt32
  /// Four characters that name its system.
  public var creatorHost: UInt32
  /// Capacity in bytes when the image was made.
  public var originalByteCount: UInt64
  /// Capacity in bytes now.
  public var diskByteCount: UInt64
  /// Cylinders, heads and sectors; only for old systems.
  public var geometry: VHDGeometry
  /// What kind of image it is.
  public var kind: Kind
  /// Names the image; children know their parent by it.
  public var uniqueID: VHDUniqueID
  /// Whether the image belongs to a saved machine.
  public var isSavedState: Bool

  /// What kind of image a VHD is.
  public struct Kind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The value in the footer.
    public var rawValue: UInt32
    /// A value as it stands in a file, known or not.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The bytes of the disk, then the footer.
    public static let fixed = Kind(rawValue: 2)
    /// Blocks are allocated when they are written.
    public static let dynamic = Kind(rawValue: 3)
    /// Dynamic, on top of a parent.
    public static let differencing = Kind(rawValue: 4)

    /// The name, or the number.
    public var description: String {
      switch self {
      case .fixed: "fixed"
      case .dynamic: "dynamic"
      case .differencing: "differencing"
      default: "\(rawValue)"
      }
    }
  }

  /// A footer as programs of Windows write it, so that all readers take the size from it.
  public init(
    kind: Kind, diskByteCount: UInt64, uniqueID: VHDUniqueID = .random(), timeStamp: UInt32,
    dataOffset: UInt64 = noDataOffset
  ) {
    features = 2
    version = 0x0001_0000
    self.dataOffset = dataOffset
    self.timeStamp = timeStamp
    creatorApplication = 0x7769_6e20
    creatorVersion = 0x000a_0000
    creatorHost = 0x5769_326b
    originalByteCount = diskByteCount
    self.diskByteCount = diskByteCount
    geometry = VHDGeometry(diskByteCount: diskByteCount)
    self.kind = kind
    self.uniqueID = uniqueID
    isSavedState = false
  }

  /// What stands where a footer should be.
  public enum Reading: Hashable, Sendable {
    /// A footer whose checksum is right. Whether its values can be is not looked at.
    case footer(VHDFooter)
    /// The cookie is there, the checksum is wrong.
    case damaged
    /// Not even the cookie.
    case absent
  }

  /// Reads a footer of 512 bytes, or of 511 as the oldest programs wrote it.
  public static func read(_ bytes: RawSpan) -> Reading {
    guard bytes.byteCount >= byteCount - 1, bytes.be64(at: 0) == VHD.footerCookie else { return .absent }
    let bytes = bytes.extracting(0..<min(byteCount, bytes.byteCount))
    guard VHD.checksum(bytes, storedAt: 64) == bytes.be32(at: 64) else { return .damaged }
    return .footer(VHDFooter(unchecked: bytes))
  }

  private init(unchecked bytes: RawSpan) {
    features = bytes.be32(at: 8)
    version = bytes.be32(at: 12)
    dataOffset = bytes.be64(at: 16)
    timeStamp = bytes.be32(at: 24)
    creatorApplication = bytes.be32(at: 28)
    creatorVersion = bytes.be32(at: 32)
    creatorHost = bytes.be32(at: 36)
    originalByteCount = bytes.be64(at: 40)
    diskByteCount = bytes.be64(at: 48)
    geometry = VHDGeometry(
      cylinders: bytes.be16(at: 56), heads: bytes.byte(at: 58), sectors: bytes.byte(at: 59))
    kind = Kind(rawValue: bytes.be32(at: 60))
    uniqueID = VHDUniqueID(high: bytes.be64(at: 68), low: bytes.be64(at: 76))
    isSavedState = bytes.byte(at: 84) == 1
  }

  /// Says why an image with this footer can't be used, whatever else stands in the file.
  ///
  /// - Parameter offset: where the footer stands in the file, for messages.
  /// - Throws: `vhd.version`, `vhd.type`, `vhd.size`.
  public func check(at offset: UInt64) throws(ImageFault) {
    if version >> 16 != 1 {
      throw ImageFault(
        "vhd.version", "VHD version \(version >> 16).\(version & 0xffff) is not supported", at: offset + 12)
    }
    guard [.fixed, .dynamic, .differencing].contains(kind) else {
      throw ImageFault("vhd.type", "VHD disk type \(kind.rawValue) is not supported", at: offset + 60)
    }
    guard diskByteCount > 0, diskByteCount % 512 == 0, diskByteCount <= VHD.maximumDiskByteCount else {
      throw ImageFault("vhd.size", "VHD current size \(diskByteCount) is not allowed", at: offset + 48)
    }
  }

  /// The bytes on disk.
  public func encoded() -> [UInt8] {
    var bytes = [UInt8](zeroed: Self.byteCount) { bytes in
      bytes.storeBE(VHD.footerCookie, at: 0)
      bytes.storeBE(features, at: 8)
      bytes.storeBE(version, at: 12)
      bytes.storeBE(dataOffset, at: 16)
      bytes.storeBE(timeStamp, at: 24)
      bytes.storeBE(creatorApplication, at: 28)
      bytes.storeBE(creatorVersion, at: 32)
      bytes.storeBE(creatorHost, at: 36)
      bytes.storeBE(originalByteCount, at: 40)
      bytes.storeBE(diskByteCount, at: 48)
      bytes.storeBE(geometry.cylinders, at: 56)
      bytes.storeBE(UInt16(geometry.heads) << 8 | UInt16(geometry.sectors), at: 58)
      bytes.storeBE(kind.rawValue, at: 60)
      bytes.storeBE(uniqueID.high, at: 68)
      bytes.storeBE(uniqueID.low, at: 76)
      bytes.storeBE(UInt16(isSavedState ? 0x100 : 0), at: 84)
    }
    let checksum = VHD.checksum(bytes.rawSpan, storedAt: 64)
    bytes.withMutableBytes { $0.storeBE(checksum, at: 64) }
    return bytes
  }

  /// The name of the program that made the image, as far as it is text.
  public var creatorName: String {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: creatorApplication >> (24 - 8 * UInt32($0))) }
    let text = bytes.map { $0 > 0x20 && $0 < 0x7f ? Character(UnicodeScalar($0)) : " " }
    return String(text).split(separator: " ").joined(separator: " ")
  }
}
