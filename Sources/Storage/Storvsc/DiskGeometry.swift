import Block
import SCSI

/// What the data plane needs to know of a disk: a plain value that each queue copies.
struct DiskGeometry: BitwiseCopyable, Sendable, Equatable {
  var byteCount: UInt64 = 0
  var sectorByteCount = 512
  var maximumTransferByteCount = 4096
  var isReadOnly = false
  var hasWriteCache = true
  /// FUA is a bit of the command; else a flush follows the write.
  var usesForceUnitAccess = false
  var usesUnmap = false
  var usesWriteSame = false
  /// WRITE SAME may deallocate and the blocks read as zeros.
  var writeSameUnmaps = false
  var usesLBAStatus = true
  /// Deallocated blocks read as zeros.
  var unmappedReadsZero = false
  /// Bytes of one UNMAP, a multiple of the sector.
  var unmapByteCount: UInt64 = 0
  /// Bytes of one WRITE SAME, a multiple of the sector.
  var writeSameByteCount: UInt64 = 0
}

/// What discovery found at an address.
struct DiskProfile: Sendable {
  var info: BlockDeviceInfo
  var geometry: DiskGeometry
  var vendor: String
  var product: String
  var revision: String
  /// The name of the unit by which it is recognised; empty when it has none.
  var designator: [UInt8]

  /// Makes the profile of a disk out of what its pages say. A page that is not there leaves its properties plain.
  init(
    inquiry: StandardInquiry, capacity: Capacity, identification: DeviceIdentification?, serial: UnitSerialNumber?,
    limits: BlockLimits?, characteristics: BlockDeviceCharacteristics?, provisioning: LogicalBlockProvisioning?,
    mode: ModeParameters?, maximumTransferByteCount: Int
  ) {
    let sector = Int(capacity.blockByteCount)
    vendor = inquiry.vendor
    product = inquiry.product
    revision = inquiry.revision
    designator = identification?.unitDesignator?.bytes ?? []
    geometry = DiskGeometry()
    geometry.byteCount = UInt64(capacity.byteCount)
    geometry.sectorByteCount = sector
    var transfer = maximumTransferByteCount
    if let blocks = limits?.maximumTransferLength, blocks > 0 {
      transfer = min(transfer, max(4096, Int(clamping: UInt64(blocks) * UInt64(sector))))
    }
    geometry.maximumTransferByteCount = transfer / 4096 * 4096
    geometry.isReadOnly = mode?.isWriteProtected ?? false
    geometry.hasWriteCache = mode?.caching?.writeCacheEnabled ?? true
    geometry.usesForceUnitAccess = mode?.supportsFUA ?? false
    geometry.unmappedReadsZero = capacity.readsZeros || (provisioning?.readsZeros ?? 0) & 1 != 0
    let unmapBlocks = UInt64(limits?.maximumUnmapBlocks ?? 0)
    geometry.usesUnmap = (provisioning?.supportsUnmap ?? false) && unmapBlocks > 0
    // Four million blocks at a time, as other initiators do: a longer run keeps a host busy for too long.
    geometry.unmapByteCount = min(unmapBlocks, 0x40_0000) * UInt64(sector)
    let sameBlocks = limits?.maximumWriteSameLength ?? 0
    geometry.usesWriteSame = sameBlocks > 0
    geometry.writeSameByteCount = min(sameBlocks, 0x40_0000) * UInt64(sector)
    geometry.writeSameUnmaps = (provisioning?.supportsWriteSame16Unmap ?? false) && geometry.unmappedReadsZero
    info = BlockDeviceInfo(byteCount: geometry.byteCount, sectorByteCount: sector)
    info.physicalSectorByteCount = max(sector, Int(capacity.physicalByteCount))
    info.maximumTransferByteCount = geometry.maximumTransferByteCount
    info.supportsForceUnitAccess = true
    info.discardGranularity = max(sector, Int(clamping: UInt64(limits?.unmapGranularity ?? 0) * UInt64(sector)))
    info.isRotational = (characteristics?.rotationRate ?? BlockDeviceCharacteristics.nonRotating) > 1
    info.identity = identification.map(Self.identity) ?? DiskIdentity()
    info.serial = serial?.text ?? ""
    applyGeometry()
  }

  /// Brings `info` in line with `geometry`.
  mutating func applyGeometry() {
    info.byteCount = geometry.byteCount
    info.isReadOnly = geometry.isReadOnly
    info.hasWriteCache = geometry.hasWriteCache
    info.supportsDiscard = geometry.usesUnmap
    info.discardReadsZero = geometry.usesUnmap && geometry.unmappedReadsZero
    info.supportsWriteZeroes = geometry.usesWriteSame
  }

  /// 16 bytes out of the names of a unit: Hyper-V's T10 name holds the identifier of the disk whole, its NAA name only
  /// twelve bytes of it. Shorter names fill the upper bytes.
  private static func identity(_ page: DeviceIdentification) -> DiskIdentity {
    var bytes: ArraySlice<UInt8> = []
    let t10 = page.designators.first {
      $0.association == 0 && $0.type == DeviceIdentification.Designator.t10 && $0.bytes.count == 24
        && $0.bytes.starts(with: Array("Msft    ".utf8))
    }
    if let t10 {
      bytes = t10.bytes[8...]
    } else if let unit = page.unitDesignator {
      bytes = unit.bytes.prefix(16)
    }
    func word(_ part: ArraySlice<UInt8>) -> UInt64 {
      part.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(56 - 8 * $1.offset) }
    }
    return DiskIdentity(high: word(bytes.prefix(8)), low: word(bytes.dropFirst(8).prefix(8)))
  }
}
