/// A partition of a disk.
public struct Partition: Sendable, Equatable {
  /// Number as Linux counts: the place in the table from 1 on; logical partitions of an MBR from 5 on.
  public var number: Int
  /// First byte on the disk.
  public var offset: UInt64
  /// Length in bytes; above zero.
  public var byteCount: UInt64
  /// What it is for: a GUID in lower case, or `0x83` and the like for an MBR.
  public var type: String
  /// Name in the table without control characters; empty in an MBR.
  public var name: String
  /// What /dev/disk/by-partuuid calls it: a GUID in lower case, or disk identifier and number for an MBR; may be empty.
  public var uuid: String
  /// The attribute bits of GPT; for an MBR bit 2 (legacy boot) where the partition is active.
  public var attributes: UInt64

  /// A partition with all its fields.
  public init(
    number: Int, offset: UInt64, byteCount: UInt64, type: String, name: String = "", uuid: String = "",
    attributes: UInt64 = 0
  ) {
    self.number = number
    self.offset = offset
    self.byteCount = byteCount
    self.type = type
    self.name = name
    self.uuid = uuid
    self.attributes = attributes
  }
}

/// Why the partitions of a disk are not known.
public enum PartitionTableError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The first sector can't be read.
  case unreadable(BlockError)
  /// The disk has a GPT, neither copy of which is intact: what is wrong with each.
  case damaged([String])

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .unreadable(let error): "the first sector can't be read: \(error)"
    case .damaged(let reasons): "both copies of the partition table are damaged: \(reasons.joined(separator: "; "))"
    }
  }
}
