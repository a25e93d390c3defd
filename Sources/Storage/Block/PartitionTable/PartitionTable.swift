/// The partitions of a disk, from a GPT or an MBR.
///
/// All that is read may be hostile: sizes are checked before memory is taken (at most 4 MiB), chains are bounded, and
/// partitions that don't lie on the disk or overlap one with a lower number are left out, with a note.
public struct PartitionTable: Sendable, Equatable {
  /// The kind of a table.
  public enum Scheme: String, Sendable {
    /// There is none: the disk is empty or one filesystem.
    case none
    /// Master boot record, with extended partitions.
    case mbr
    /// GUID partition table.
    case gpt
  }

  /// The kind of the table.
  public var scheme: Scheme
  /// GUID of the disk in lower case, or the eight hexadecimal digits of an MBR; empty without a table.
  public var identifier: String
  /// The partitions by number.
  public var partitions: [Partition]
  /// What is odd about the table, in words.
  public var notes: [String]

  /// Reads the table of a disk.
  ///
  /// - Parameters:
  ///   - byteCount: capacity of the disk.
  ///   - sectorByteCount: logical sector size, 512 or 4096, in which the table counts.
  ///   - read: answers `count` bytes from `offset` on; both are multiples of the sector size.
  /// - Throws: any `PartitionTableError`. A disk without a table is no error.
  public init(
    byteCount: UInt64, sectorByteCount: Int,
    read: @escaping (_ offset: UInt64, _ count: Int) throws(BlockError) -> [UInt8]
  ) throws(PartitionTableError) {
    precondition(sectorByteCount == 512 || sectorByteCount == 4096)
    let disk = PartitionedDisk(
      sectorCount: byteCount / UInt64(sectorByteCount), sectorByteCount: sectorByteCount, read: read)
    self.init(scheme: .none)
    guard disk.sectorCount > 0 else { return }
    let first: [UInt8]
    switch disk.sectors(at: 0, count: 1) {
    case .success(let bytes): first = bytes
    case .failure(let error): throw .unreadable(error)
    }
    guard let record = MasterBootRecord(first) else {
      if disk.hasGPTSignature(at: 1) {
        notes.append("a GPT header stands behind a first sector without a partition table and is ignored")
      }
      return
    }
    if record.isProtective {
      try readGPT(disk, record)
    } else {
      readMBR(disk, record, first: first)
    }
    partitions.sort { $0.number < $1.number }
  }

  private init(scheme: Scheme) {
    self.scheme = scheme
    identifier = ""
    partitions = []
    notes = []
  }

  /// Adds a partition that takes `sectorCount` sectors from `first` on, unless that is not possible.
  mutating func add(_ partition: Partition, first: UInt64, sectorCount: UInt64, of disk: PartitionedDisk) {
    let label = "partition \(partition.number)"
    guard sectorCount > 0, first > 0 else {
      return notes.append("\(label) is left out: it has no sectors or begins at the partition table")
    }
    guard first < disk.sectorCount, sectorCount <= disk.sectorCount - first else {
      return notes.append("\(label) is left out: it does not lie on the disk")
    }
    var partition = partition
    partition.offset = first * UInt64(disk.sectorByteCount)
    partition.byteCount = sectorCount * UInt64(disk.sectorByteCount)
    let end = partition.offset + partition.byteCount
    if let other = partitions.first(where: { $0.offset < end && partition.offset < $0.offset + $0.byteCount }) {
      return notes.append("\(label) is left out: it overlaps partition \(other.number)")
    }
    partitions.append(partition)
  }
}

/// A disk as the parsers see it: sectors that may be unreadable.
struct PartitionedDisk {
  let sectorCount: UInt64
  let sectorByteCount: Int
  let read: (UInt64, Int) throws(BlockError) -> [UInt8]

  /// `count` sectors from `first` on, which must lie on the disk.
  func sectors(at first: UInt64, count: Int) -> Result<[UInt8], BlockError> {
    guard first < sectorCount, count > 0, UInt64(count) <= sectorCount - first else { return .failure(.outOfRange) }
    do throws(BlockError) {
      let bytes = try read(first * UInt64(sectorByteCount), count * sectorByteCount)
      return bytes.count == count * sectorByteCount ? .success(bytes) : .failure(.medium)
    } catch {
      return .failure(error)
    }
  }

  /// Whether a GPT header seems to stand at sector `index`.
  func hasGPTSignature(at index: UInt64) -> Bool {
    (try? sectors(at: index, count: 1).get())?.starts(with: GPTHeader.signature) ?? false
  }
}
