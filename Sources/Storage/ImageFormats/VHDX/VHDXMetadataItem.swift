import WireBytes

/// The items of the metadata region that the format itself defines.
public enum VHDXMetadataItem: CaseIterable, Sendable {
  /// Block size, whether blocks stay allocated, whether there is a parent.
  case fileParameters
  /// Capacity.
  case diskSize
  /// The identity of the disk (SCSI page 83h).
  case diskID
  /// Logical sector size.
  case logicalSectorSize
  /// Physical sector size.
  case physicalSectorSize
  /// Where the parent is; only with a parent.
  case parentLocator

  /// The name in the table.
  public var id: GUID {
    switch self {
    case .fileParameters: GUID(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b)
    case .diskSize: GUID(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8)
    case .diskID: GUID(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746)
    case .logicalSectorSize: GUID(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f)
    case .physicalSectorSize: GUID(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556)
    case .parentLocator: GUID(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c)
    }
  }

  /// The name in words.
  public var name: String {
    switch self {
    case .fileParameters: "file parameters"
    case .diskSize: "virtual disk size"
    case .diskID: "virtual disk ID"
    case .logicalSectorSize: "logical sector size"
    case .physicalSectorSize: "physical sector size"
    case .parentLocator: "parent locator"
    }
  }

  /// The length in bytes; nil where it varies.
  public var byteCount: UInt32? {
    switch self {
    case .fileParameters, .diskSize: 8
    case .diskID: 16
    case .logicalSectorSize, .physicalSectorSize: 4
    case .parentLocator: nil
    }
  }

  /// Whether it describes the disk and not the file.
  public var isVirtualDisk: Bool { self != .fileParameters && self != .parentLocator }

  /// An item that says that the file is still being made.
  public static let incompleteMarker = GUID(0x71cc_85f0, 0x1b69, 0x4e28, 0x9558_c3bf_83ae_75d3)
}

/// What the mandatory metadata items say.
public struct VHDXParameters: Hashable, Sendable {
  /// Sizes.
  public var geometry: VHDXGeometry
  /// Whether blocks stay allocated: the file is a fixed image.
  public var leavesBlocksAllocated: Bool
  /// The identity of the disk.
  public var diskID: GUID
  /// Physical sector size in bytes: 512 or 4096.
  public var physicalSectorByteCount: UInt64

  /// Parameters.
  public init(
    geometry: VHDXGeometry, leavesBlocksAllocated: Bool, diskID: GUID, physicalSectorByteCount: UInt64
  ) {
    self.geometry = geometry
    self.leavesBlocksAllocated = leavesBlocksAllocated
    self.diskID = diskID
    self.physicalSectorByteCount = physicalSectorByteCount
  }

  /// Reads the five items.
  ///
  /// - Parameter items: the bytes of each.
  /// - Throws: `vhdx.meta.missing` for one that is not there or has a wrong length, `vhdx.param`.
  public init(_ items: [VHDXMetadataItem: [UInt8]]) throws(ImageFault) {
    for item in VHDXMetadataItem.allCases where item.byteCount != nil {
      guard let bytes = items[item], bytes.count == Int(item.byteCount ?? 0) else {
        throw ImageFault("vhdx.meta.missing", "VHDX metadata item \(item.name) is missing")
      }
    }
    func number(_ item: VHDXMetadataItem, at offset: Int = 0) -> UInt64 {
      let bytes = items[item] ?? []
      return UInt64(bytes.rawSpan.le32(at: offset))
    }
    let flags = number(.fileParameters, at: 4)
    guard flags & ~3 == 0 else {
      throw ImageFault("vhdx.param", "VHDX file parameters \(flags) are not allowed")
    }
    // A child is never fixed, whatever it says.
    leavesBlocksAllocated = flags == 1
    let identity = items[.diskID] ?? []
    diskID = GUID(parsing: identity.rawSpan)
    physicalSectorByteCount = number(.physicalSectorSize)
    guard physicalSectorByteCount == 512 || physicalSectorByteCount == 4096 else {
      throw ImageFault("vhdx.param", "VHDX physical sector size \(physicalSectorByteCount) is not allowed")
    }
    geometry = try VHDXGeometry(
      diskByteCount: number(.diskSize) | number(.diskSize, at: 4) << 32, blockByteCount: number(.fileParameters),
      sectorByteCount: number(.logicalSectorSize), hasParent: flags & 2 != 0)
  }

  /// The bytes of an item; nil for the parent locator.
  public func encoded(_ item: VHDXMetadataItem) -> [UInt8]? {
    guard let count = item.byteCount else { return nil }
    return [UInt8](zeroed: Int(count)) { bytes in
      switch item {
      case .fileParameters:
        bytes.storeLE(UInt32(geometry.blockByteCount), at: 0)
        bytes.storeLE(UInt32((leavesBlocksAllocated ? 1 : 0) | (geometry.hasParent ? 2 : 0)), at: 4)
      case .diskSize: bytes.storeLE(geometry.diskByteCount, at: 0)
      case .diskID: diskID.store(into: &bytes)
      case .logicalSectorSize: bytes.storeLE(UInt32(geometry.sectorByteCount), at: 0)
      case .physicalSectorSize: bytes.storeLE(UInt32(physicalSectorByteCount), at: 0)
      case .parentLocator: break
      }
    }
  }
}
