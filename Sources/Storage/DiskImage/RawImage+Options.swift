public import Block

extension RawImage {
  /// How an image is read and written.
  public enum Cache: Sendable, Equatable {
    /// `direct` for block devices, `buffered` for files.
    case automatic
    /// Through the page cache.
    case buffered
    /// Past the page cache (O_DIRECT) where the filesystem can.
    case direct
  }

  /// What the bytes of the file are.
  public enum Format: Sendable, Equatable {
    /// Raw, unless the file bears the signature of another format.
    case automatic
    /// Those of the disk, whatever they look like.
    case raw
  }

  /// How an image is opened.
  public struct Options: Sendable {
    /// Whether it may not be written.
    public var isReadOnly = false
    /// Logical sector size in bytes: 512 or 4096; nil for that of a block device, 512 for a file.
    public var sectorByteCount: Int?
    /// How it is read and written.
    public var cache = Cache.automatic
    /// What its bytes are.
    public var format = Format.automatic
    /// Whether it is locked against other users: exclusively, or shared when it is read-only.
    public var isLocked = true
    /// Serial number; nil for one derived from the identity.
    public var serial: String?
    /// Identity; nil for one derived from the path.
    public var identity: DiskIdentity?

    /// The defaults: writable, locked, any format that is known.
    public init() {}
  }
}
