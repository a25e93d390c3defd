public import LinuxIO

/// Why an image can't be opened.
public enum DiskImageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// There is no such file.
  case notFound
  /// It is a directory.
  case directory
  /// It is a pipe, a socket or a character device.
  case notAnImage
  /// It has no bytes.
  case empty
  /// Its length is not a multiple of the sector size.
  case oddLength(byteCount: UInt64, sectorByteCount: Int)
  /// The permission to read it, or to write it, is missing.
  case noPermission(toWrite: Bool)
  /// Somebody else has it open.
  case inUse(holder: String?)
  /// It has a format that is not served.
  case unsupportedFormat(String)
  /// The sector size can't be used with it.
  case sectorSize(Int, needed: Int)
  /// The system refused.
  case system(what: String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .notFound: "there is no such file"
    case .directory: "it is a directory"
    case .notAnImage: "it is neither a file nor a block device"
    case .empty: "it is empty"
    case .oddLength(let byteCount, let sector): "its length of \(byteCount) bytes is not a multiple of \(sector)"
    case .noPermission(let toWrite): "no permission to \(toWrite ? "write" : "read") it"
    case .inUse(let holder): "it is in use\(holder.map { " by \($0)" } ?? "")"
    case .unsupportedFormat(let format): "it is a \(format) image, which is not supported"
    case .sectorSize(let size, let needed): "a sector size of \(size) is not possible, it has \(needed)"
    case .system(let what, let errno): "\(what): \(errno)"
    }
  }

  /// What to do about it, empty when nothing can be advised.
  public var advice: String {
    switch self {
    case .notFound: "check the path"
    case .directory, .notAnImage: "name an image file or a block device"
    case .empty: "make it longer first, for example with truncate -s 10G"
    case .oddLength: "is it a disk image? truncate(1) can round its length up"
    case .noPermission(let toWrite): toWrite ? "run as another user, or mount it read-only (-o ro)" : "run as another user"
    case .inUse: "end the other use first"
    case .unsupportedFormat: "convert it with qemu-img convert -O raw"
    case .sectorSize(_, let needed): "use a sector size of \(needed)"
    case .system: ""
    }
  }
}
