import WireBytes

/// A GPT header (UEFI: 5.3.2 GPT Header).
struct GPTHeader {
  static let signature = Array("EFI PART".utf8)

  let ownSector: UInt64
  let alternateSector: UInt64
  let firstUsable: UInt64
  let lastUsable: UInt64
  let diskGUID: String
  let entriesSector: UInt64
  let entryCount: Int
  let entryByteCount: Int
  let entriesChecksum: UInt32

  /// The most entries, and the longest one in bytes, that are read.
  static let maximumEntryCount = 1024
  static let maximumEntryByteCount = 4096

  /// The header in a sector; what is wrong with it otherwise.
  static func parse(_ sector: [UInt8], at index: UInt64, sectorCount: UInt64) -> Result<GPTHeader, Damage> {
    let bytes = sector.rawSpan
    guard bytes.byteCount >= 512, sector.starts(with: signature) else { return .failure("no signature") }
    guard bytes.le32(at: 8) >> 16 == 1 else { return .failure("unknown revision") }
    let headerByteCount = Int(bytes.le32(at: 12))
    guard headerByteCount >= 92, headerByteCount <= bytes.byteCount else { return .failure("wrong header length") }
    var covered = Array(sector[..<headerByteCount])
    for position in 16..<20 { covered[position] = 0 }
    guard checksum(covered) == bytes.le32(at: 16) else { return .failure("wrong header checksum") }
    let header = GPTHeader(
      ownSector: bytes.le64(at: 24), alternateSector: bytes.le64(at: 32), firstUsable: bytes.le64(at: 40),
      lastUsable: bytes.le64(at: 48), diskGUID: guidText(bytes, at: 56), entriesSector: bytes.le64(at: 72),
      entryCount: Int(bytes.le32(at: 80)), entryByteCount: Int(bytes.le32(at: 84)),
      entriesChecksum: bytes.le32(at: 88))
    guard header.ownSector == index else { return .failure("header of another sector") }
    guard header.entryCount <= maximumEntryCount else { return .failure("more than \(maximumEntryCount) entries") }
    let size = header.entryByteCount
    guard size >= 128, size <= maximumEntryByteCount, size & (size - 1) == 0 else {
      return .failure("wrong entry length")
    }
    guard header.firstUsable <= header.lastUsable, header.lastUsable < sectorCount else {
      return .failure("usable sectors not on the disk")
    }
    return .success(header)
  }

  /// What is wrong with a copy of the table.
  struct Damage: Error, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    let text: String
    init(stringLiteral text: String) { self.text = text }
  }
}

extension PartitionTable {
  mutating func readGPT(_ disk: PartitionedDisk, _ record: MasterBootRecord) throws(PartitionTableError) {
    scheme = .gpt
    if record.hasOtherPartitions { notes.append("hybrid MBR: its partitions beside the GPT are ignored") }
    let last = disk.sectorCount - 1
    let primary = Self.copy(disk, at: 1)
    switch primary {
    case .success(let (header, entries)):
      addEntries(entries, header, disk)
      if header.alternateSector != last { notes.append("the backup of the GPT is not at the end of the disk") }
      if case .failure(let damage) = Self.copy(disk, at: header.alternateSector) {
        notes.append("the backup of the GPT is damaged: \(damage.text)")
      }
    case .failure(let damage):
      // A header whose checksum is right tells where the backup is, even if its entries are damaged.
      var places = [last]
      if let sector = try? disk.sectors(at: 1, count: 1).get(),
        case .success(let header) = GPTHeader.parse(sector, at: 1, sectorCount: disk.sectorCount),
        header.alternateSector != last, header.alternateSector > 1
      {
        places.append(header.alternateSector)
      }
      var reasons = ["sector 1: \(damage.text)"]
      for place in places where place > 1 {
        switch Self.copy(disk, at: place) {
        case .success(let (header, entries)):
          notes.append("the GPT is damaged (\(damage.text)); its backup is used")
          return addEntries(entries, header, disk)
        case .failure(let damage): reasons.append("sector \(place): \(damage.text)")
        }
      }
      if disk.sectorByteCount == 512, disk.hasGPTSignature(at: 8) {
        reasons.append("a table for sectors of 4096 bytes is there")
      }
      throw .damaged(reasons)
    }
  }

  private static func copy(
    _ disk: PartitionedDisk, at index: UInt64
  ) -> Result<(GPTHeader, [UInt8]), GPTHeader.Damage> {
    guard index < disk.sectorCount else { return .failure("not on the disk") }
    let sector: [UInt8]
    switch disk.sectors(at: index, count: 1) {
    case .success(let bytes): sector = bytes
    case .failure(let error): return .failure("\(error)")
    }
    let header: GPTHeader
    switch GPTHeader.parse(sector, at: index, sectorCount: disk.sectorCount) {
    case .success(let parsed): header = parsed
    case .failure(let damage): return .failure(damage)
    }
    let byteCount = header.entryCount * header.entryByteCount
    if byteCount == 0 { return header.entriesChecksum == 0 ? .success((header, [])) : .failure("wrong entry checksum") }
    let count = (byteCount + disk.sectorByteCount - 1) / disk.sectorByteCount
    guard header.entriesSector > 1, header.entriesSector < disk.sectorCount else {
      return .failure("entries not on the disk")
    }
    switch disk.sectors(at: header.entriesSector, count: count) {
    case .success(let bytes):
      let entries = Array(bytes[..<byteCount])
      return checksum(entries) == header.entriesChecksum
        ? .success((header, entries)) : .failure("wrong entry checksum")
    case .failure(let error): return .failure("entries: \(error)")
    }
  }

  /// UEFI: 5.3.3 GPT Partition Entry Array.
  private mutating func addEntries(_ entries: [UInt8], _ header: GPTHeader, _ disk: PartitionedDisk) {
    identifier = header.diskGUID
    let bytes = entries.rawSpan
    for index in 0..<header.entryCount {
      let start = index * header.entryByteCount
      if bytes.le64(at: start) == 0, bytes.le64(at: start + 8) == 0 { continue }
      let first = bytes.le64(at: start + 32)
      let last = bytes.le64(at: start + 40)
      let partition = Partition(
        number: index + 1, offset: 0, byteCount: 0, type: guidText(bytes, at: start), name: name(bytes, at: start + 56),
        uuid: guidText(bytes, at: start + 16), attributes: bytes.le64(at: start + 48))
      guard last >= first, last < UInt64.max else {
        notes.append("partition \(index + 1) is left out: it ends before it begins")
        continue
      }
      let before = partitions.count
      add(partition, first: first, sectorCount: last - first + 1, of: disk)
      if partitions.count > before, first < header.firstUsable || last > header.lastUsable {
        notes.append("partition \(index + 1) lies outside of the usable sectors")
      }
    }
  }

  /// 36 UTF-16 units, ended by a zero.
  private func name(_ bytes: RawSpan, at offset: Int) -> String {
    var units: [UInt16] = []
    for index in 0..<36 {
      let unit = bytes.le16(at: offset + 2 * index)
      if unit == 0 { break }
      // Control characters could do harm on a terminal.
      units.append(unit < 0x20 || (unit >= 0x7f && unit < 0xa0) ? 0xfffd : unit)
    }
    return String(decoding: units, as: UTF16.self)
  }
}

/// The text of a GUID whose first three fields are little-endian, in lower case.
func guidText(_ bytes: RawSpan, at offset: Int) -> String {
  let order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15]
  return order.map { $0 < 0 ? "-" : hexadecimalText(UInt64(bytes.byte(at: offset + $0)), digits: 2) }.joined()
}

/// `number` in hexadecimal, with leading zeros.
func hexadecimalText(_ number: UInt64, digits: Int) -> String {
  let text = String(number, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}

/// The CRC-32 of IEEE 802.3, as GPT uses it.
func checksum(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(~0) { checksumTable[Int(($0 ^ UInt32($1)) & 0xff)] ^ ($0 >> 8) }
}

private let checksumTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : (value >> 1) ^ 0xedb8_8320 }
}
