public import Block

extension DiskImage {
  /// How an image is read and written.
  public enum Cache: Sendable, Equatable {
    /// `direct` for block devices, `buffered` for files.
    case automatic
    /// Through the page cache.
    case buffered
    /// Past the page cache (O_DIRECT) where filesystem and format can. With an NBD source: every write is durable at the
    /// server when it completes.
    case direct
  }

  /// What the bytes of the file are.
  public enum Format: String, Sendable, Equatable, CaseIterable {
    /// Told by the signature that the file bears; raw when there is none.
    case automatic = "auto"
    /// Those of the disk, whatever they look like. A guest can write the signature of another format into them: say so for
    /// disks that it writes.
    case raw
    /// A virtual hard disk of the first version.
    case vhd
    /// A virtual hard disk of the second version.
    case vhdx
  }

  /// How an image is opened.
  public struct Options: Sendable {
    /// Whether it may not be written.
    public var isReadOnly = false
    /// Logical sector size in bytes of a raw image: 512 or 4096; nil for that of a block device, 512 for a file. Other
    /// formats tell it themselves, and are refused when they tell another.
    public var sectorByteCount: Int?
    /// How it is read and written.
    public var cache = Cache.automatic
    /// What its bytes are.
    public var format = Format.automatic
    /// Whether it is locked against other users: exclusively, or shared when it is read-only.
    public var isLocked = true
    /// Whether a write that has ended outlives this process also without a flush: for whoever serves clients that stay when it
    /// dies. A write that takes room then ends only when the table names that room durably.
    public var keepsUnflushedWrites = false
    /// Serial number; nil for one derived from the identity.
    public var serial: String?
    /// Identity; nil for the one in the image, or one derived from the path where it has none.
    public var identity: DiskIdentity?

    /// Directories in which parents of differencing images may stand, besides that of the image itself.
    public var parentDirectories: [String] = []
    /// The parents of a differencing image, its own first, the base last, wherever they stand; empty: they are found by the
    /// paths in the images.
    public var parentPaths: [String] = []

    /// For an NBD source: how many seconds requests wait for a server that is gone, before they fail.
    public var reconnectSeconds = 60
    /// Told what is worth a line in a log, from any thread: the loss and the return of a server.
    public var report: (@Sendable (String) -> Void)?

    /// For an NBD source: the most connections, and how long an answer may take.
    var connectionCount = 4
    var answerMilliseconds = 60_000
    /// Whether children still know the image after it was changed: only for a merge of one of them.
    var keepsIdentity = false
    /// Finds the parents of differencing images in another way; for tests.
    var parents: (any ParentResolver)?
    /// Told of every change of the file of a mapped image before it is made.
    var observer: (any FileObserver)?

    /// The defaults: writable, locked, any format that is known.
    public init() {}
  }
}

/// An image that was opened, of any format.
public protocol OpenedImage: BlockDevice {
  /// How it is read and written: `buffered` or `direct`.
  var cache: DiskImage.Cache { get }

  /// Looks at the size again, and answers whether it has changed. Only raw images can change while they are open.
  @discardableResult
  func refreshSize() -> Bool

  /// Gives the disk another capacity; any thread may call it. Bytes that come read as zeros.
  ///
  /// - Throws: `.length` for a size or an image with which this is not possible.
  func resize(to byteCount: UInt64) throws(DiskImageError)

  /// Writes what is still to be written and marks the image as closed properly; all queues must be closed before, and
  /// nothing may be done with it afterwards. It is done when the last reference ends, too, but then nobody sees an error.
  ///
  /// - Throws: why it could not be written; the image is as after a crash then.
  func close() throws(DiskImageError)
}
