import ImageFormats

/// One field of the headers of an image, for people.
public struct HeaderField: Sendable, Hashable {
  /// Which structure it belongs to, and its name: `footer.timestamp`. Names are stable.
  public var name: String
  /// What it holds.
  public var value: String
}

extension HeaderField {
  /// The fields of a footer.
  static func fields(of footer: VHDFooter) -> [HeaderField] {
    func field(_ name: String, _ value: String) -> HeaderField { HeaderField(name: "footer.\(name)", value: value) }
    let geometry = footer.geometry
    return [
      field("features", hexadecimal(footer.features)),
      field("version", version(footer.version)),
      field("data_offset", footer.dataOffset == VHDFooter.noDataOffset ? "none" : "\(footer.dataOffset)"),
      field("timestamp", time(footer.timeStamp)),
      field("creator_application", characters(footer.creatorApplication)),
      field("creator_version", version(footer.creatorVersion)),
      field("creator_host_os", characters(footer.creatorHost)),
      field("original_size", "\(footer.originalByteCount)"),
      field("current_size", "\(footer.diskByteCount)"),
      field("geometry", "\(geometry.cylinders) cylinders, \(geometry.heads) heads, \(geometry.sectors) sectors"),
      field("disk_type", "\(footer.kind)"),
      field("unique_id", "\(footer.uniqueID)"),
      field("saved_state", footer.isSavedState ? "yes" : "no"),
    ]
  }

  /// The fields of a dynamic header.
  static func fields(of header: VHDDynamicHeader) -> [HeaderField] {
    func field(_ name: String, _ value: String) -> HeaderField { HeaderField(name: "header.\(name)", value: value) }
    var fields = [
      field("table_offset", "\(header.tableOffset)"),
      field("max_table_entries", "\(header.entryCount)"),
      field("block_size", "\(header.blockByteCount)"),
    ]
    guard header.parentID != .zero else { return fields }
    fields += [
      field("parent_unique_id", "\(header.parentID)"),
      field("parent_timestamp", time(header.parentTimeStamp)),
      field("parent_name", header.parentName),
    ]
    for locator in header.locators {
      fields.append(
        field(
          "locator.\(characters(locator.platform.rawValue))", "\(locator.byteCount) bytes at \(locator.offset)"))
    }
    return fields
  }

  /// The fields of all structures of a VHDX.
  static func fields(of image: VHDXInspection) -> [HeaderField] {
    func field(_ name: String, _ value: String) -> HeaderField { HeaderField(name: name, value: value) }
    let header = image.header
    var fields = [
      field("header.sequence_number", "\(header.sequenceNumber)"),
      field("header.file_write_guid", "\(header.fileWriteGUID)"),
      field("header.data_write_guid", "\(header.dataWriteGUID)"),
      field("header.log_guid", header.logGUID == .zero ? "none: the log is empty" : "\(header.logGUID)"),
      field("header.log_version", "\(header.logVersion)"),
      field("header.version", "\(header.version)"),
      field("header.log", "\(header.logByteCount) bytes at \(header.logOffset)"),
    ]
    for region in image.regions.entries {
      let name =
        switch region.id {
        case VHDXRegionTable.blockTable: "block_table"
        case VHDXRegionTable.metadata: "metadata"
        default: "\(region.id)"
        }
      let required = region.isRequired ? ", required" : ""
      fields.append(field("region.\(name)", "\(region.byteCount) bytes at \(region.offset)\(required)"))
    }
    let parameters = image.parameters
    let geometry = parameters.geometry
    fields += [
      field("metadata.block_size", "\(geometry.blockByteCount)"),
      field("metadata.leave_blocks_allocated", parameters.leavesBlocksAllocated ? "yes" : "no"),
      field("metadata.has_parent", geometry.hasParent ? "yes" : "no"),
      field("metadata.virtual_disk_size", "\(geometry.diskByteCount)"),
      field("metadata.virtual_disk_id", "\(parameters.diskID)"),
      field("metadata.logical_sector_size", "\(geometry.sectorByteCount)"),
      field("metadata.physical_sector_size", "\(parameters.physicalSectorByteCount)"),
    ]
    let known = Set(VHDXMetadataItem.allCases.map(\.id))
    for entry in image.metadata.entries where entry.isUser || !known.contains(entry.id) {
      let owner = entry.isUser ? ", a user's" : ""
      fields.append(field("metadata.\(entry.id)", "\(entry.byteCount) bytes\(owner)"))
    }
    for pair in image.parent?.pairs ?? [] { fields.append(field("parent_locator.\(pair.key)", pair.value)) }
    return fields
  }

  private static func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }

  private static func version(_ value: UInt32) -> String { "\(value >> 16).\(value & 0xffff)" }

  /// Four characters, those that can't be printed as their numbers.
  private static func characters(_ value: UInt32) -> String {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
    guard bytes.allSatisfy({ (0x20..<0x7f).contains($0) || $0 == 0 }) else { return hexadecimal(value) }
    let text = String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
    return String(text.reversed().drop { $0 == " " }.reversed())
  }

  /// A time stamp in seconds since 2000 as a date (UTC) of the Gregorian calendar.
  private static func time(_ stamp: UInt32) -> String {
    func digits(_ value: Int, _ count: Int = 2) -> String {
      String(repeating: "0", count: max(0, count - "\(value)".count)) + "\(value)"
    }
    var days = Int(stamp) / 86_400
    let seconds = Int(stamp) % 86_400
    var year = 2000
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    while days >= (isLeap(year) ? 366 : 365) {
      days -= isLeap(year) ? 366 : 365
      year += 1
    }
    var month = 0
    for length in [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
      month += 1
      if days < length { break }
      days -= length
    }
    let date = "\(digits(year, 4))-\(digits(month))-\(digits(days + 1))"
    return "\(date)T\(digits(seconds / 3600)):\(digits(seconds / 60 % 60)):\(digits(seconds % 60))Z"
  }
}
