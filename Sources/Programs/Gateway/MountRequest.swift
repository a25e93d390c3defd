public import DiskImage
public import SyntheticHost

/// What `synthgate mount` was asked to do.
public struct MountRequest: Sendable {
  /// What is to be done with filesystems on the disk.
  public enum Filesystem: Sendable, Equatable {
    /// The one that is found there.
    case automatic
    /// One of this type, whatever is found.
    case type(String)
    /// None: the raw view of the disk is what is mounted.
    case none
  }

  /// Path or URI of an image, or the name of a disk on the bus.
  public var source: String
  /// Where to mount it, an absolute path.
  public var directory: String
  /// The bus.
  public var bus: BusChoice
  /// Whether it may not be written.
  public var readOnly: Bool
  /// Further options for the filesystem.
  public var options: [String]
  /// Number of the partition; nil for the only one with a filesystem.
  public var partition: Int?
  /// What is to be done with filesystems.
  public var filesystem: Filesystem
  /// Who carries the filesystem.
  public var driver: FilesystemDriver
  /// How the image of an embedded host is read and written.
  public var cache: DiskCache
  /// What the bytes of the image of an embedded host are.
  public var format = DiskImage.Format.automatic
  /// Directories in which its parents may stand, besides its own.
  public var parentDirectories: [String] = []
  /// Threads that serve the files, each with a channel of its own; nil for one per processor, at most 4.
  public var workers: Int?
  /// Seconds for which I/O waits for a host that is gone before it fails.
  public var reconnectSeconds: Int

  /// A request with its usual choices.
  public init(source: String, directory: String) {
    self.source = source
    self.directory = directory
    bus = .embedded
    readOnly = false
    options = []
    filesystem = .automatic
    driver = .automatic
    cache = .automatic
    reconnectSeconds = 60
  }
}
