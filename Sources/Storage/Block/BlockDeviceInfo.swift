/// What a disk is and can do.
public struct BlockDeviceInfo: Sendable, Equatable {
  /// Capacity in bytes, a multiple of `sectorByteCount`.
  public var byteCount: UInt64
  /// Logical sector size in bytes: 512 or 4096.
  public var sectorByteCount: Int
  /// Physical sector size in bytes, at least the logical one: smaller writes cost a read.
  public var physicalSectorByteCount: Int
  /// Offsets and lengths of requests must be multiples of this; 1 where the device takes any.
  public var requestAlignment: Int
  /// The longest read or write in bytes.
  public var maximumTransferByteCount: Int
  /// Whether writes are refused.
  public var isReadOnly: Bool
  /// Whether completed writes may be volatile until a flush.
  public var hasWriteCache: Bool
  /// Whether `forceUnitAccess` is honoured.
  public var supportsForceUnitAccess: Bool
  /// Whether `discard` does something.
  public var supportsDiscard: Bool
  /// Whether discarded bytes read as zeros.
  public var discardReadsZero: Bool
  /// The unit in bytes in which storage is released.
  public var discardGranularity: Int
  /// Whether `writeZeroes` works without sending zeros.
  public var supportsWriteZeroes: Bool
  /// Whether seeking costs time.
  public var isRotational: Bool
  /// 16 bytes that name the disk wherever it is attached; all zero when it has none.
  public var identity: DiskIdentity
  /// Serial number in ASCII, empty when there is none.
  public var serial: String

  /// A disk of `byteCount` bytes with plain properties: writable, any alignment, a write cache, no discard.
  public init(byteCount: UInt64, sectorByteCount: Int = 512) {
    self.byteCount = byteCount
    self.sectorByteCount = sectorByteCount
    physicalSectorByteCount = max(4096, sectorByteCount)
    requestAlignment = 1
    maximumTransferByteCount = 1 << 20
    isReadOnly = false
    hasWriteCache = true
    supportsForceUnitAccess = true
    supportsDiscard = false
    discardReadsZero = false
    discardGranularity = 4096
    supportsWriteZeroes = false
    isRotational = false
    identity = DiskIdentity()
    serial = ""
  }

  /// Capacity in sectors.
  public var sectorCount: UInt64 { byteCount / UInt64(sectorByteCount) }
}

/// 16 bytes that name a disk wherever it is attached.
public struct DiskIdentity: Hashable, Sendable {
  /// The bytes, first half in the upper bits of `high`.
  public var high: UInt64
  /// See `high`.
  public var low: UInt64

  /// An identity; without arguments the one that means "none".
  public init(high: UInt64 = 0, low: UInt64 = 0) {
    self.high = high
    self.low = low
  }

  /// The bytes in order.
  public var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * UInt64($0 % 8))) }
  }
}
