import CFUSE

/// What stat(2) shows of a file.
public struct FUSEAttributes: Sendable, Equatable {
  /// The number of the file, also its node.
  public var node: UInt64
  /// Whether it is a directory; otherwise it is a regular file.
  public var isDirectory: Bool
  /// Permission bits.
  public var permissions: UInt32
  /// Length in bytes.
  public var byteCount: UInt64
  /// The best unit of I/O in bytes (st_blksize).
  public var blockByteCount: Int
  /// Owner.
  public var user: UInt32
  /// Group.
  public var group: UInt32

  /// Attributes; the owner is the one of this process.
  public init(node: UInt64, isDirectory: Bool, permissions: UInt32, byteCount: UInt64, blockByteCount: Int = 4096) {
    self.node = node
    self.isDirectory = isDirectory
    self.permissions = permissions
    self.byteCount = byteCount
    self.blockByteCount = blockByteCount
    user = geteuid()
    group = getegid()
  }

  var stat: stat {
    // SAFETY: a plain C struct, zeroed by its initializer.
    var value = CFUSE.stat()
    value.st_ino = UInt(node)
    value.st_mode = (isDirectory ? 0o040000 : 0o100000) | permissions
    value.st_nlink = isDirectory ? 2 : 1
    value.st_uid = user
    value.st_gid = group
    value.st_size = Int(clamping: byteCount)
    value.st_blksize = blockByteCount
    value.st_blocks = Int(clamping: byteCount / 512)
    return value
  }
}

/// One name of a directory.
public struct FUSEDirectoryEntry: Sendable, Equatable {
  /// The name.
  public var name: String
  /// The node behind it.
  public var node: UInt64
  /// Whether it is a directory.
  public var isDirectory: Bool

  /// An entry.
  public init(name: String, node: UInt64, isDirectory: Bool = false) {
    self.name = name
    self.node = node
    self.isDirectory = isDirectory
  }
}

/// What statfs(2) shows.
public struct FUSEStatistics: Sendable, Equatable {
  /// The unit of `blockCount` in bytes.
  public var blockByteCount: Int
  /// Size of the filesystem; none of it is free.
  public var blockCount: UInt64
  /// How many files there are.
  public var fileCount: UInt64

  /// Statistics.
  public init(blockByteCount: Int, blockCount: UInt64, fileCount: UInt64) {
    self.blockByteCount = blockByteCount
    self.blockCount = blockCount
    self.fileCount = fileCount
  }
}
