import CLinux

extension OwnedDescriptor {
  /// Makes a new file for reading and writing.
  ///
  /// - Throws: EEXIST when there is one, or another errno of open(2).
  public static func create(_ path: String, mode: UInt32 = 0o644) throws(Errno) -> OwnedDescriptor {
    try open(path, flags: O_RDWR | O_CREAT | O_EXCL, mode: mode)
  }
}

/// Gives a file another name on the same filesystem, and makes the names durable.
///
/// - Parameter replacing: whether a file that has the new name already is replaced.
/// - Throws: EEXIST when there is one and it is not to be replaced, or the errno of renameat2(2).
public func renameFile(_ path: String, to newPath: String, replacing: Bool) throws(Errno) {
  // SAFETY: both texts are null-terminated during the call.
  _ = try unsafe check(synthgate_rename(path, newPath, replacing ? 1 : 0))
  let directory = try OwnedDescriptor.open(parentDirectory(newPath), flags: O_RDONLY | O_DIRECTORY)
  if fsync(directory.number) < 0 { throw Errno(rawValue: synthgate_errno()) }
}

/// The directory in which the file at `path` stands.
public func parentDirectory(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
