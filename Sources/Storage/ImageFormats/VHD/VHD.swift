import WireBytes

/// Numbers of the format VHD 1.0 ("Virtual Hard Disk Image Format Specification", October 2006). All integers are
/// big-endian.
public enum VHD {
  /// Length of a sector in bytes; there is no other.
  public static let sectorByteCount: UInt64 = 512
  /// The largest disk in bytes: 2040 GiB.
  public static let maximumDiskByteCount: UInt64 = 0xff00_0000 * 512
  /// Block sizes that are read, in bytes; powers of two.
  public static let blockByteCounts: ClosedRange<UInt64> = 512...(256 << 20)
  /// The block size that every program uses, in bytes.
  public static let usualBlockByteCount: UInt64 = 2 << 20
  /// The text at the start of a footer: `conectix`.
  public static let footerCookie: UInt64 = 0x636f_6e65_6374_6978
  /// The text at the start of a dynamic header: `cxsparse`.
  public static let headerCookie: UInt64 = 0x6378_7370_6172_7365
  /// Seconds from 1970 to 2000, where time stamps begin.
  public static let epoch: Int64 = 946_684_800

  /// The time stamp of a time in seconds since 1970.
  public static func timeStamp(unixSeconds: Int64) -> UInt32 {
    UInt32(clamping: unixSeconds - epoch)
  }

  /// The checksum of a footer or dynamic header: the complement of the sum of its bytes, those of the checksum being taken
  /// as zero.
  public static func checksum(_ bytes: RawSpan, storedAt place: Int) -> UInt32 {
    var sum: UInt32 = 0
    for index in 0..<bytes.byteCount where index < place || index >= place + 4 {
      sum &+= UInt32(bytes.byte(at: index))
    }
    return ~sum
  }

  /// Length in bytes of the sector bitmap in front of a block: one bit for each sector, whole sectors.
  public static func bitmapByteCount(blockByteCount: UInt64) -> UInt64 {
    let bytes = (blockByteCount / sectorByteCount + 7) / 8
    return (bytes + sectorByteCount - 1) / sectorByteCount * sectorByteCount
  }
}

/// Cylinders, heads and sectors per track, as the footer of a VHD tells them.
public struct VHDGeometry: Hashable, Sendable {
  /// Cylinders.
  public var cylinders: UInt16
  /// Heads.
  public var heads: UInt8
  /// Sectors per track.
  public var sectors: UInt8

  /// The largest that can be told; disks that are larger have it, too.
  public static let maximum = VHDGeometry(cylinders: 65535, heads: 16, sectors: 255)

  /// A geometry.
  public init(cylinders: UInt16, heads: UInt8, sectors: UInt8) {
    self.cylinders = cylinders
    self.heads = heads
    self.sectors = sectors
  }

  /// The geometry of a disk of so many bytes, by the appendix of the specification.
  public init(diskByteCount: UInt64) {
    let total = min(diskByteCount / 512, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63 {
      self.init(cylinders: UInt16(total / 255 / 16), heads: 16, sectors: 255)
      return
    }
    var sectors: UInt64 = 17
    var tracks = total / sectors
    var heads = max(4, (tracks + 1023) / 1024)
    if tracks >= heads * 1024 || heads > 16 {
      (sectors, heads) = (31, 16)
      tracks = total / sectors
    }
    if tracks >= heads * 1024 {
      (sectors, heads) = (63, 16)
      tracks = total / sectors
    }
    self.init(cylinders: UInt16(tracks / heads), heads: UInt8(heads), sectors: UInt8(sectors))
  }

  /// What cylinders, heads and sectors amount to, in bytes.
  public var byteCount: UInt64 { UInt64(cylinders) * UInt64(heads) * UInt64(sectors) * 512 }
}

/// The 16 bytes that name a VHD; compared as they stand, printed in their order.
public struct VHDUniqueID: Hashable, Sendable, CustomStringConvertible {
  /// Bytes 0 to 7, the first one in the highest bits.
  public let high: UInt64
  /// Bytes 8 to 15.
  public let low: UInt64

  /// The identifier of files that have none.
  public static let zero = VHDUniqueID(high: 0, low: 0)

  /// An identifier of its bytes.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A new identifier of random bits (RFC 9562, version 4).
  public static func random() -> VHDUniqueID {
    VHDUniqueID(
      high: UInt64.random(in: 0...UInt64.max) & ~0xf000 | 0x4000,
      low: UInt64.random(in: 0...UInt64.max) & (UInt64.max >> 2) | 1 << 63)
  }

  /// 8-4-4-4-12 hexadecimal digits in lower case.
  public var description: String {
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: count - text.count) + text
    }
    return [
      digits(high >> 32, 8), digits(high >> 16 & 0xffff, 4), digits(high & 0xffff, 4), digits(low >> 48, 4),
      digits(low & 0xffff_ffff_ffff, 12),
    ].joined(separator: "-")
  }
}
