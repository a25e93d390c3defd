import Block
import NBDConnection

/// How an export is used: what its server has told, checked and turned into rules.
struct NBDGeometry: Sendable, Equatable {
  /// Capacity of the disk in bytes: that of the export, rounded down to whole sectors.
  let byteCount: UInt64
  let sectorByteCount: Int
  let physicalSectorByteCount: Int
  /// Offsets and lengths of commands are multiples of it.
  let alignment: UInt64
  /// The longest read or write in bytes.
  let payloadByteCount: UInt64
  let isReadOnly: Bool
  /// Whether every write is durable when it completes, so that there is nothing to be flushed.
  let isWriteThrough: Bool
  /// Whether a durable write is a command; else it is a write and a flush.
  let canForceUnitAccess: Bool
  let canTrim: Bool
  let canZero: Bool
  let canBlockStatus: Bool

  /// The longest range of a trim or of zeros: lengths have 32 bits.
  static let rangeByteCount: UInt64 = 1 << 30
  /// The longest read or write where the server allows more, and where it tells nothing.
  private static let longestPayload: UInt64 = 32 << 20
  /// The alignment where the server tells nothing (doc/proto.md of the NBD project).
  private static let usualAlignment: UInt64 = 512

  /// - Throws: why the export can't be a disk, or not as the options want it.
  init(_ export: NBDExport, _ options: DiskImage.Options) throws(DiskImageError) {
    let minimum = export.minimumBlockByteCount == 0 ? Self.usualAlignment : export.minimumBlockByteCount
    guard minimum & (minimum - 1) == 0, minimum <= 65536 else {
      throw .server(
        .unfit("the server tells blocks of \(minimum) bytes, which is no power of two up to 65536", advice: ""))
    }
    guard minimum <= 4096 else {
      throw .server(
        .unfit(
          "the server takes only whole blocks of \(minimum) bytes, and sectors have at most 4096",
          advice: "have it take smaller ones (nbdkit: --filter=blocksize)"))
    }
    let sector = UInt64(options.sectorByteCount ?? (minimum > 512 ? 4096 : 512))
    guard sector == 512 || sector == 4096 else { throw .sectorSize(Int(clamping: sector), needed: 512) }
    guard sector >= minimum else { throw .sectorSize(Int(sector), needed: 4096) }
    let told = export.maximumPayloadByteCount == 0 ? Self.longestPayload : export.maximumPayloadByteCount
    payloadByteCount = min(told, Self.longestPayload) / sector * sector
    guard payloadByteCount > 0 else {
      throw .server(.unfit("the server takes at most \(told) bytes at once, less than a sector", advice: ""))
    }
    byteCount = export.byteCount / sector * sector
    guard byteCount > 0 else { throw .empty }
    alignment = minimum
    sectorByteCount = Int(sector)
    physicalSectorByteCount = Int(max(sector, 4096))
    isReadOnly = options.isReadOnly
    canForceUnitAccess = export.canForceUnitAccess
    canTrim = export.canTrim && !options.isReadOnly
    canZero = export.canZero
    canBlockStatus = export.canBlockStatus
    isWriteThrough = !options.isReadOnly && (options.cache == .direct || !export.canFlush)
    if options.isReadOnly { return }
    if export.isReadOnly { throw .readOnlyStorage }
    guard export.canFlush || export.canForceUnitAccess else {
      throw .server(
        .unfit("the server can make nothing durable: it has neither flush nor FUA", advice: "open it read-only"))
    }
    guard !isWriteThrough || export.canForceUnitAccess else {
      throw .server(
        .unfit("the server has no durable writes (FUA), which `direct` needs", advice: "leave the cache alone"))
    }
  }

  /// What the disk is.
  func info(_ export: NBDExport) -> BlockDeviceInfo {
    var info = BlockDeviceInfo(byteCount: byteCount, sectorByteCount: sectorByteCount)
    info.physicalSectorByteCount = physicalSectorByteCount
    info.requestAlignment = Int(alignment)
    info.maximumTransferByteCount = Int(min(payloadByteCount, NBDImage.maximumTransferByteCount))
    info.isReadOnly = isReadOnly
    info.hasWriteCache = !isReadOnly && !isWriteThrough
    info.isRotational = export.isRotational
    info.supportsDiscard = canTrim
    // What a trimmed range reads as is left to the server.
    info.discardReadsZero = false
    let preferred = export.preferredBlockByteCount
    info.discardGranularity = Int(min(max(preferred, UInt64(physicalSectorByteCount)), 1 << 20))
    info.supportsWriteZeroes = !isReadOnly
    return info
  }
}

extension NBDExport {
  /// How `other` differs from this export so that it can't go on in its place, in words; nil when it can.
  func change(to other: NBDExport) -> String? {
    if other.byteCount != byteCount { return "it has \(other.byteCount) bytes instead of \(byteCount)" }
    if other.minimumBlockByteCount != minimumBlockByteCount {
      return "it wants blocks of \(other.minimumBlockByteCount) bytes instead of \(minimumBlockByteCount)"
    }
    if other.isReadOnly != isReadOnly { return other.isReadOnly ? "it is read-only now" : "it can be written now" }
    if maximumPayloadByteCount != other.maximumPayloadByteCount { return "it takes another length at once" }
    let lost = [
      ("flush", canFlush && !other.canFlush), ("FUA", canForceUnitAccess && !other.canForceUnitAccess),
      ("trim", canTrim && !other.canTrim), ("zeros", canZero && !other.canZero),
      ("block status", canBlockStatus && !other.canBlockStatus),
      ("several connections", canMultiConnection && !other.canMultiConnection),
    ].filter(\.1).map(\.0)
    return lost.isEmpty ? nil : "it has lost \(lost.joined(separator: ", "))"
  }
}
