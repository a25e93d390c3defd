public import ImageFormats
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
  /// It stands on a filesystem or device that can't be written.
  case readOnlyStorage
  /// Somebody else has it open; `holder` as `name (process 123)` if it is known.
  case inUse(holder: String?)
  /// It has a format that is not supported yet.
  case unsupportedFormat(String)
  /// The sector size can't be used: `needed` is what can.
  case sectorSize(Int, needed: Int)
  /// The image is damaged, or needs what this program can't do, or its chain is broken.
  case fault(ImageFault)
  /// It can't be given that length, in words.
  case length(String)
  /// The URI of an NBD source is wrong, in words.
  case address(String)
  /// An NBD server gives no disk.
  case server(NBDProblem)
  /// It is an NBD source, and this can be done only with a file.
  case remote
  /// The system refused.
  case system(what: String, Errno)

  /// What is wrong, in words.
  public var description: String {
    switch self {
    case .notFound: "there is no such file"
    case .directory: "it is a directory"
    case .notAnImage: "it is neither a file nor a block device"
    case .empty: "it is empty"
    case .oddLength(let byteCount, let sector):
      "its length of \(byteCount) bytes is not a multiple of the sector size of \(sector) bytes"
    case .noPermission(let toWrite): "no permission to \(toWrite ? "write" : "read") it"
    case .readOnlyStorage: "it can't be written where it stands"
    case .inUse(let holder): "it is in use\(holder.map { " by \($0)" } ?? "")"
    case .unsupportedFormat(let format): "the format \(format) is not supported yet"
    case .sectorSize(let size, let needed): "a sector size of \(size) bytes is not possible; \(needed) is"
    case .fault(let fault): "\(fault)"
    case .length(let problem): problem
    case .address(let problem): "it is no URI of an NBD source: \(problem)"
    case .server(let problem): "\(problem)"
    case .remote: "this can't be done with an NBD source"
    case .system(let what, let errno): "can't \(what): \(errno)"
    }
  }

  /// What to do about it, empty when nothing can be advised.
  public var advice: String {
    switch self {
    case .notFound: "check the path"
    case .directory, .notAnImage: "name an image file or a block device"
    case .empty: "make it longer first, for example with truncate -s 10G"
    case .oddLength(_, let sector):
      sector > 512 ? "try sectors of 512 bytes" : "check that it is a whole disk image; truncate -s %512 rounds it up"
    case .noPermission(let toWrite): toWrite ? "become another user, or open it read-only" : "become another user"
    case .readOnlyStorage: "open it read-only"
    case .inUse: "end the other use first"
    case .unsupportedFormat: "convert it with qemu-img convert -O raw"
    case .fault: ""
    case .sectorSize(_, let needed): "use a sector size of \(needed)"
    case .server(let problem): problem.advice
    case .remote: "name an image file"
    case .length, .address, .system: ""
    }
  }

  /// What a failed open(2) of an image means.
  init(opening path: String, _ errno: Errno, toWrite: Bool) {
    switch errno {
    case .ENOENT, .ENOTDIR: self = .notFound
    case .EISDIR: self = .directory
    case .EACCES, .EPERM: self = .noPermission(toWrite: toWrite)
    case .EROFS: self = .readOnlyStorage
    case .EBUSY: self = .inUse(holder: imageHolder(path))
    case .ENXIO, .ENODEV: self = .notAnImage
    default: self = .system(what: "open it", errno)
    }
  }
}
