import Block
import SCSI
import WireBytes

/// What a disk says of itself: INQUIRY, vital product data, capacity and mode parameters (T10 SPC-3, SBC-3), in the
/// manner of Hyper-V's virtual disks.
struct DiskParameterData {
  let info: BlockDeviceInfo
  let transferByteCount: Int

  /// The most bytes of one WRITE SAME.
  static let maximumWriteSameByteCount: UInt64 = 8 << 20

  init(_ info: BlockDeviceInfo, transferByteCount: Int) {
    self.info = info
    self.transferByteCount = transferByteCount
  }

  /// Standard INQUIRY data.
  var inquiry: [UInt8]? {
    [UInt8](zeroed: StandardInquiry.byteCount) { StandardInquiry().encode(into: &$0) }
  }

  /// Nil for a disk without blocks.
  var capacity: Capacity? {
    var capacity = Capacity(blockCount: info.sectorCount, blockByteCount: UInt32(info.sectorByteCount))
    let ratio = max(1, info.physicalSectorByteCount / max(1, info.sectorByteCount))
    capacity?.physicalExponent = UInt8(min(15, ratio.trailingZeroBitCount))
    capacity?.isProvisioned = info.supportsDiscard
    capacity?.readsZeros = info.supportsDiscard && info.discardReadsZero
    return capacity
  }

  var caching: ModeParameters.CachingPage {
    ModeParameters.CachingPage(writeCacheEnabled: info.hasWriteCache)
  }

  /// Mode parameters; nothing of them is changeable.
  func mode(_ control: PageControl, ten: Bool) -> [UInt8] {
    let page = control == .changeable ? ModeParameters.CachingPage(writeCacheEnabled: false) : caching
    let parameters = ModeParameters(
      isWriteProtected: info.isReadOnly, supportsFUA: info.supportsForceUnitAccess, caching: page)
    return [UInt8](zeroed: parameters.byteCount(ten: ten)) { parameters.encode(into: &$0, ten: ten) }
  }

  /// The serial number as far as it is printable ASCII, at most 252 characters.
  private var serial: String {
    String(decoding: info.serial.utf8.filter { $0 >= 0x20 && $0 < 0x7f }.prefix(252), as: UTF8.self)
  }

  /// Page 83 must name nothing but this disk: a disk without an identity has no such page.
  private var pages: [VPDPage] {
    var pages: [VPDPage] = [.supportedPages]
    if !serial.isEmpty { pages.append(.unitSerialNumber) }
    if info.identity != DiskIdentity() { pages.append(.deviceIdentification) }
    return pages + [.blockLimits, .blockDeviceCharacteristics, .logicalBlockProvisioning]
  }

  /// A page of vital product data; nil when there is no such page.
  func vitalProductData(_ page: VPDPage) -> [UInt8]? {
    guard pages.contains(page) else { return nil }
    switch page {
    case .supportedPages:
      let list = SupportedVPDPages(pages)
      return [UInt8](zeroed: list.byteCount) { list.encode(into: &$0) }
    case .unitSerialNumber:
      let number = UnitSerialNumber(serial)
      return [UInt8](zeroed: number.byteCount) { number.encode(into: &$0) }
    case .deviceIdentification:
      let identification = DeviceIdentification(
        identifier: DiskIdentifier(high: info.identity.high, low: info.identity.low))
      return [UInt8](zeroed: identification.byteCount) { identification.encode(into: &$0) }
    case .blockLimits:
      return [UInt8](zeroed: BlockLimits.byteCount) { blockLimits.encode(into: &$0) }
    case .blockDeviceCharacteristics:
      let characteristics = BlockDeviceCharacteristics(
        rotationRate: info.isRotational ? 0 : BlockDeviceCharacteristics.nonRotating)
      return [UInt8](zeroed: BlockDeviceCharacteristics.byteCount) { characteristics.encode(into: &$0) }
    default:
      return [UInt8](zeroed: LogicalBlockProvisioning.byteCount) { provisioning.encode(into: &$0) }
    }
  }

  private var blockLimits: BlockLimits {
    let sector = info.sectorByteCount
    var limits = BlockLimits()
    limits.maximumTransferLength = UInt32(transferByteCount / sector)
    if info.supportsDiscard {
      limits.maximumUnmapBlocks = .max
      limits.maximumUnmapDescriptors = 4095
      limits.unmapGranularity = UInt32(clamping: max(1, info.discardGranularity / sector))
      limits.unmapAlignment = 0
    }
    limits.maximumWriteSameLength = Self.maximumWriteSameByteCount / UInt64(sector)
    return limits
  }

  private var provisioning: LogicalBlockProvisioning {
    LogicalBlockProvisioning(
      thresholdExponent: info.supportsDiscard ? 1 : 0, supportsUnmap: info.supportsDiscard,
      supportsWriteSame16Unmap: info.supportsWriteZeroes, supportsWriteSame10Unmap: info.supportsWriteZeroes,
      readsZeros: info.supportsDiscard && info.discardReadsZero ? 1 : 0,
      provisioningType: info.supportsDiscard ? LogicalBlockProvisioning.thin : 1)
  }
}
