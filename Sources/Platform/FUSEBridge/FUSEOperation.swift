public import SharedMemory

/// What the kernel asks for. Nodes are the numbers that replies to `lookUp` gave out; the root is `rootNode`.
public enum FUSEOperation: Sendable {
  /// The node behind a name (FUSE_LOOKUP).
  case lookUp(parent: UInt64, name: String)
  /// Size, mode and owner (FUSE_GETATTR).
  case attributes(node: UInt64)
  /// A change of size, mode, owner or times (FUSE_SETATTR).
  case changeAttributes(node: UInt64, changes: AttributeChanges)
  /// Any change of names: create, remove, rename, link (FUSE_CREATE, FUSE_UNLINK, ...).
  case changeNames
  /// An open of a file with the O_ flags of open(2) (FUSE_OPEN).
  case open(node: UInt64, flags: Int32)
  /// Bytes wanted (FUSE_READ).
  case read(node: UInt64, offset: UInt64, byteCount: Int)
  /// Bytes to be put (FUSE_WRITE), with the O_ flags of the open file. The payload lies in the area that the request was
  /// received into, and stays there until that area is used again.
  case write(node: UInt64, offset: UInt64, payload: MemorySlice, flags: Int32)
  /// fsync(2) or fdatasync(2) (FUSE_FSYNC).
  case synchronize(node: UInt64)
  /// Names of a directory from a cookie on (FUSE_READDIR).
  case readDirectory(node: UInt64, cookie: UInt64, byteCount: Int)
  /// statfs(2) (FUSE_STATFS).
  case statistics
  /// fallocate(2) (FUSE_FALLOCATE).
  case allocate(node: UInt64, mode: FUSEAllocationMode, offset: UInt64, byteCount: UInt64)
  /// lseek(2) for data or holes (FUSE_LSEEK).
  case seek(node: UInt64, offset: UInt64, whence: SeekTarget)

  /// How many bytes of a file it moves.
  public var payloadByteCount: Int {
    switch self {
    case .read(_, _, let byteCount): byteCount
    case .write(_, _, let payload, _): payload.byteCount
    default: 0
    }
  }

  /// The node of the root directory (FUSE_ROOT_ID).
  public static let rootNode: UInt64 = 1
}

/// What FUSE_SETATTR wants to change.
public struct AttributeChanges: OptionSet, Sendable {
  /// The bits (FATTR_ in linux/fuse.h).
  public let rawValue: UInt32
  /// Changes of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Permissions (FATTR_MODE).
  public static let mode = AttributeChanges(rawValue: 1 << 0)
  /// Owner (FATTR_UID).
  public static let user = AttributeChanges(rawValue: 1 << 1)
  /// Group (FATTR_GID).
  public static let group = AttributeChanges(rawValue: 1 << 2)
  /// Length: truncate(2), or O_TRUNC of open(2) (FATTR_SIZE).
  public static let byteCount = AttributeChanges(rawValue: 1 << 3)
}

/// The mode bits of fallocate(2).
public struct FUSEAllocationMode: OptionSet, Sendable {
  /// The bits (FALLOC_FL_ in linux/falloc.h).
  public let rawValue: UInt32
  /// A mode of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// The length of the file stays (FALLOC_FL_KEEP_SIZE).
  public static let keepSize = FUSEAllocationMode(rawValue: 1)
  /// Storage is released; the range reads as zeros (FALLOC_FL_PUNCH_HOLE).
  public static let punchHole = FUSEAllocationMode(rawValue: 2)
  /// The range reads as zeros (FALLOC_FL_ZERO_RANGE).
  public static let zeroRange = FUSEAllocationMode(rawValue: 16)
}

/// What lseek(2) looks for.
public struct SeekTarget: RawRepresentable, Hashable, Sendable {
  /// The number (SEEK_ in linux/fs.h).
  public let rawValue: Int32
  /// The target with this number.
  public init(rawValue: Int32) { self.rawValue = rawValue }
  /// The next byte that is stored (SEEK_DATA).
  public static let data = SeekTarget(rawValue: 3)
  /// The next hole, or the end (SEEK_HOLE).
  public static let hole = SeekTarget(rawValue: 4)
}
