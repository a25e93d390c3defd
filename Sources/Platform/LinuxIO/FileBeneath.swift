import CLinux

extension OwnedDescriptor {
  /// Opens a directory, to open files below it.
  ///
  /// - Throws: the errno of open(2).
  public static func openDirectory(_ path: String) throws(Errno) -> OwnedDescriptor {
    try open(path, flags: O_RDONLY | O_DIRECTORY)
  }

  /// Opens a file without the right to read or write it (O_PATH), to tell which one it is.
  ///
  /// - Throws: the errno of open(2).
  public static func openForIdentity(_ path: String) throws(Errno) -> OwnedDescriptor {
    try open(path, flags: O_RDONLY | 0o10000000)
  }

  /// Opens a file for reading below this directory, whose path may come from anybody: it is relative, and no symbolic link
  /// is followed. The file does not wait (see `setBlocking`).
  ///
  /// - Throws: EXDEV when the path leaves the directory, ELOOP for a symbolic link, or another errno of openat2(2).
  public borrowing func openBeneath(_ path: String) throws(Errno) -> OwnedDescriptor {
    // SAFETY: the text is null-terminated during the call.
    try unsafe OwnedDescriptor(adopting: check(synthgate_open_beneath(number, path)))
  }
}

/// Which file a descriptor is of: the same for all paths and descriptors of one file.
public struct FileIdentity: Hashable, Sendable {
  /// The number of the filesystem.
  public let device: UInt64
  /// The number of the file there.
  public let inode: UInt64

  /// The identity of an open file.
  ///
  /// - Throws: the errno of fstat(2).
  public init(_ file: borrowing OwnedDescriptor) throws(Errno) {
    (device, inode, _) = try describe(file.number)
  }
}

/// When an open file was changed last, in seconds since 1970.
///
/// - Throws: the errno of fstat(2).
public func modificationTime(_ descriptor: Int32) throws(Errno) -> Int64 { try describe(descriptor).modified }

private func describe(_ descriptor: Int32) throws(Errno) -> (device: UInt64, inode: UInt64, modified: Int64) {
  var device: UInt64 = 0
  var inode: UInt64 = 0
  var modified: Int64 = 0
  // SAFETY: local values are filled during the call.
  _ = try unsafe check(synthgate_file_identity(descriptor, &device, &inode, &modified))
  return (device, inode, modified)
}
