import Block

/// What the data plane has to know of a disk; plain numbers, so that a copy costs nothing.
struct DiskProfile: Equatable, BitwiseCopyable, Sendable {
  var sectorCount: UInt64
  var sectorByteCount: UInt64
  var maximumTransferByteCount: UInt64
  var isReadOnly: Bool
  var hasWriteCache: Bool
  var supportsForceUnitAccess: Bool
  var supportsDiscard: Bool
  var supportsWriteZeroes: Bool

  init(_ info: BlockDeviceInfo) {
    sectorByteCount = UInt64(info.sectorByteCount)
    // Byte offsets stay within 63 bits.
    sectorCount = min(info.byteCount, UInt64(Int64.max)) / sectorByteCount
    // A slice is whole pages, so that it is whole sectors of either size.
    maximumTransferByteCount = UInt64(max(4096, info.maximumTransferByteCount & ~4095))
    isReadOnly = info.isReadOnly
    hasWriteCache = info.hasWriteCache
    supportsForceUnitAccess = info.supportsForceUnitAccess
    supportsDiscard = info.supportsDiscard
    supportsWriteZeroes = info.supportsWriteZeroes
  }

  /// Whether the run lies on the disk, without overflow; an empty one may lie at the end.
  @inline(__always)
  func contains(lba: UInt64, blocks: UInt64) -> Bool {
    lba <= sectorCount && blocks <= sectorCount - lba
  }
}
