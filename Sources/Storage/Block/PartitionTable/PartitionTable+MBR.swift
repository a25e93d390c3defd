import WireBytes

/// The partition table in the first sector of a disk or of a link of an extended partition.
struct MasterBootRecord {
  /// A line of the table.
  struct Entry: Equatable {
    let flags: UInt8
    let type: UInt8
    let first: UInt32
    let count: UInt32

    var isEmpty: Bool { type == 0 }
    /// DOS, Windows and Linux each have a type for extended partitions.
    var isExtended: Bool { type == 0x05 || type == 0x0f || type == 0x85 }
  }

  let entries: [Entry]
  let identifier: UInt32

  /// The table in a sector; nil without its signature.
  init?(_ sector: [UInt8]) {
    let bytes = sector.rawSpan
    guard bytes.byteCount >= 512, bytes.byte(at: 510) == 0x55, bytes.byte(at: 511) == 0xaa else { return nil }
    identifier = bytes.le32(at: 440)
    entries = (0..<4).map { index in
      let start = 446 + 16 * index
      return Entry(
        flags: bytes.byte(at: start), type: bytes.byte(at: start + 4), first: bytes.le32(at: start + 8),
        count: bytes.le32(at: start + 12))
    }
  }

  /// Whether it only guards a GPT (type 0xee, UEFI: 5.2.3 Protective MBR).
  var isProtective: Bool { entries.contains { $0.type == 0xee } }

  /// Whether there are partitions beside the protective one.
  var hasOtherPartitions: Bool { entries.contains { !$0.isEmpty && $0.type != 0xee } }

  /// Whether the lines can be a table at all: boot code and text in their place have other flags.
  var hasPlausibleFlags: Bool { entries.allSatisfy { $0.flags == 0 || $0.flags == 0x80 } }

  /// Whether every partition that is there lies on the disk, behind the first sector.
  func isPlausible(sectorCount: UInt64) -> Bool {
    hasPlausibleFlags
      && entries.allSatisfy {
        $0.isEmpty || ($0.first > 0 && $0.count > 0 && UInt64($0.first) + UInt64($0.count) <= sectorCount)
      }
  }
}

extension PartitionTable {
  /// The most logical partitions that are followed.
  static let maximumLogicalCount = 256

  mutating func readMBR(_ disk: PartitionedDisk, _ record: MasterBootRecord, first sector: [UInt8]) {
    // The boot sector of a filesystem has the same signature. A table that is left in a boot sector by a partitioning
    // program, or a boot sector that is left before a table, is told by whether the lines make sense.
    if let filesystem = filesystemOfBootSector(sector) {
      let isTable = record.isPlausible(sectorCount: disk.sectorCount) && record.entries.contains { !$0.isEmpty }
      guard isTable else { return }
      notes.append("the first sector is also the boot sector of a \(filesystem) filesystem")
    }
    guard record.hasPlausibleFlags else {
      notes.append("the first sector has the signature of an MBR, but no partition table")
      return
    }
    scheme = .mbr
    identifier = hexadecimalText(UInt64(record.identifier), digits: 8)
    if disk.hasGPTSignature(at: 1) { notes.append("a GPT header is there, but the MBR does not point to it: ignored") }
    for (index, entry) in record.entries.enumerated() where !entry.isEmpty && !entry.isExtended {
      add(partition(index + 1, entry), first: UInt64(entry.first), sectorCount: UInt64(entry.count), of: disk)
    }
    var number = 5
    for entry in record.entries where entry.isExtended { readExtended(entry, disk, &number) }
  }

  private func partition(_ number: Int, _ entry: MasterBootRecord.Entry) -> Partition {
    // Without a disk identifier there is no unique name.
    let isNamed = identifier != "00000000"
    return Partition(
      number: number, offset: 0, byteCount: 0, type: "0x" + hexadecimalText(UInt64(entry.type), digits: 2),
      uuid: isNamed ? "\(identifier)-\(hexadecimalText(UInt64(number), digits: 2))" : "",
      attributes: entry.flags == 0x80 ? 4 : 0)
  }

  /// Follows the chain of an extended partition: each link has a table with a logical partition, whose start counts from
  /// the link, and with the next link, whose start counts from the extended partition.
  private mutating func readExtended(
    _ extended: MasterBootRecord.Entry, _ disk: PartitionedDisk, _ number: inout Int
  ) {
    let start = UInt64(extended.first)
    var link = start
    var seen: Set<UInt64> = []
    while true {
      guard seen.insert(link).inserted else {
        return notes.append("the chain of logical partitions leads back to sector \(link)")
      }
      guard seen.count <= Self.maximumLogicalCount else {
        return notes.append("only \(Self.maximumLogicalCount) logical partitions are looked at")
      }
      guard let sector = try? disk.sectors(at: link, count: 1).get() else {
        return notes.append("sector \(link) of the chain of logical partitions can't be read")
      }
      guard let record = MasterBootRecord(sector) else {
        // An extended partition that nobody has written into yet.
        if link != start { notes.append("sector \(link) of the chain of logical partitions has no signature") }
        return
      }
      for entry in record.entries where !entry.isEmpty && !entry.isExtended {
        add(partition(number, entry), first: link + UInt64(entry.first), sectorCount: UInt64(entry.count), of: disk)
        number += 1
      }
      guard let next = record.entries.first(where: { $0.isExtended && $0.count > 0 }) else { return }
      link = start + UInt64(next.first)
    }
  }

  /// The filesystem whose boot sector this is: its parameter block makes sense.
  private func filesystemOfBootSector(_ sector: [UInt8]) -> String? {
    let bytes = sector.rawSpan
    if sector[3..<11].elementsEqual("NTFS    ".utf8) { return "NTFS" }
    if sector[3..<11].elementsEqual("EXFAT   ".utf8) { return "exFAT" }
    let sectorByteCount = bytes.le16(at: 11)
    let clusterSectorCount = bytes.byte(at: 13)
    let isFAT =
      sectorByteCount >= 512 && sectorByteCount <= 4096 && sectorByteCount & (sectorByteCount - 1) == 0
      && clusterSectorCount > 0 && clusterSectorCount & (clusterSectorCount - 1) == 0
      && bytes.le16(at: 14) > 0 && bytes.byte(at: 16) > 0 && bytes.byte(at: 16) <= 2
      && (bytes.byte(at: 21) == 0xf0 || bytes.byte(at: 21) >= 0xf8)
    return isFAT ? "FAT" : nil
  }
}
